//! Which files were data at which versions: what a state alone can't tell.

use std::collections::{BTreeMap, HashSet};

use super::record::Record;
use super::state::State;
use crate::part::{PartEntry, path_of};

/// The history of a lake's parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    /// By part, in the order of versions: one that went may come again.
    by_part: BTreeMap<String, Vec<Life>>,
    /// Every path that a record ever named.
    named: HashSet<String>,
}

/// A part from the version that brought it until the one that it is not in any more.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub part: PartEntry,
    pub from: u64,
    /// The end; above all versions while there is none.
    pub until: u64,
}

impl Lives {
    /// Those of a version, as if it had brought all its parts.
    pub(super) fn of(state: &State) -> Lives {
        let mut lives = Lives::default();
        state.parts.values().for_each(|part| lives.begin(part, state.version));
        lives
    }

    /// Goes on with the next record.
    pub(super) fn apply(&mut self, record: &Record) {
        if record.begins.is_some() {
            // It brings all that there is; what went is not to be there.
            let last = self.by_part.values_mut().filter_map(|lives| lives.last_mut());
            last.filter(|life| life.until == u64::MAX).for_each(|life| life.until = record.version);
            return record.add.iter().for_each(|part| self.begin(part, record.version));
        }
        for removed in &record.remove {
            let lives = self.by_part.get_mut(&removed.part);
            if let Some(life) = lives.and_then(|lives| lives.last_mut()).filter(|life| life.until == u64::MAX) {
                life.until = record.version;
            }
            let paths = removed.files.keys().map(|table| path_of(table, &removed.folder, &removed.part));
            self.named.extend(paths);
        }
        record.add.iter().for_each(|part| self.begin(part, record.version));
    }

    fn begin(&mut self, part: &PartEntry, from: u64) {
        self.named.extend(part.files.keys().map(|table| part.path(table)));
        let life = Life { part: part.clone(), from, until: u64::MAX };
        self.by_part.entry(part.part.clone()).or_default().push(life);
    }

    /// Whether a record ever named this path.
    pub(super) fn has_named(&self, path: &str) -> bool {
        self.named.contains(path)
    }

    /// The parts of all versions that `is_kept` tells, once each.
    pub(super) fn kept(&self, kept: &Kept) -> impl Iterator<Item = &Life> {
        self.by_part.values().filter_map(move |lives| lives.iter().find(|life| kept.needs(life)))
    }
}

/// The versions whose files must be there.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// All from this one on, and these.
    From(u64, Vec<u64>),
    /// This one.
    One(u64),
}

impl Kept {
    /// Those that a lake keeps.
    pub(super) fn of(newest: &State) -> Kept {
        Kept::From(newest.oldest_version, newest.tags.values().copied().collect())
    }

    /// Whether files of this life must be there.
    pub(super) fn needs(&self, life: &Life) -> bool {
        let is_in = |version: &u64| (life.from..life.until).contains(version);
        match self {
            Kept::From(oldest, tagged) => life.until > *oldest || tagged.iter().any(is_in),
            Kept::One(version) => is_in(version),
        }
    }
}
