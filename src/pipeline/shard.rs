//! A run on many machines: one leads it, others write shards of it, and one commit makes all of them a version.
//!
//! ```text
//!  lead: begin ──ticket──▶ each machine: its share of the tasks ──▶ files under names of its own attempt
//!        commit ◀──shard── what it wrote
//! ```
//!
//! An attempt that fails, or that is made twice, leaves files that no shard tells of: they bear the run's name, and go at its end.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parquet::basic::ZstdLevel;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::coordinator::{Coordinator, Produced, Tools};
use super::gathered::Gathered;
use super::rejects::Rejects;
use super::scratch::Scratch;
use super::workers::Workers;
use super::{Begun, Outcome, Run};
use crate::attachment::Attachments;
use crate::config::RunConfig;
use crate::drift::Drift;
use crate::error::{Error, Result};
use crate::file::{Encoding, Objects};
use crate::forgotten::Forgotten;
use crate::lake::{Lake, rejects_of_a_shard};
use crate::parse::Memberships;
use crate::part::{Ledger, PartEntry, PartWriter};
use crate::partition::Layout;
use crate::progress::{Progress, Stage};
use crate::report::{DriftReport, Report};
use crate::shuffle::{Position, identity};
use crate::source::Opening;
use crate::store::{Store, with_readers};
use crate::table::Dataset;

/// What a machine has to know to write a shard of a run that another one leads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ticket {
    taskloom_version: String,
    run: String,
    /// What the names of the run's files begin with.
    prefix: String,
    layout: Layout,
    compression_level: i32,
    forgotten: Option<Forgotten>,
}

/// What came of a share of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shard {
    run: String,
    parts: Vec<PartEntry>,
    /// Where its rejects lie until the run ends.
    rejects: Option<String>,
    input_bytes: u64,
    tasks_read: u64,
    rejected: u64,
    superseded: u64,
    forgotten: u64,
    replaced_surrogates: u64,
    spilled_bytes: u64,
    drift: DriftReport,
}

/// How tickets and shards travel.
const LEVEL: i32 = 1;

fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value).map_err(|source| Error::Json { action: "write what travels", source })?;
    zstd::bulk::compress(&json, LEVEL).map_err(Error::Output)
}

fn from_bytes<T: for<'d> Deserialize<'d>>(what: &'static str, bytes: &[u8]) -> Result<T> {
    let unlike = |cause: String| Error::Usage {
        setting: what,
        expected: format!("one of this release ({cause})"),
        found: "other bytes".to_owned(),
    };
    let json = zstd::stream::decode_all(bytes).map_err(|cause| unlike(cause.to_string()))?;
    serde_json::from_slice(&json).map_err(|cause| unlike(cause.to_string()))
}

impl Ticket {
    /// The ticket as it travels.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        to_bytes(self)
    }

    /// A ticket that has travelled.
    pub fn from_bytes(bytes: &[u8]) -> Result<Ticket> {
        from_bytes("a ticket", bytes)
    }

    /// An error unless this machine has the release of the one that leads, and the run is still under way.
    fn check(&self, lake: &Lake) -> Result<()> {
        if self.taskloom_version != env!("CARGO_PKG_VERSION") {
            let expected = format!("{}, as where the run is led", self.taskloom_version);
            return Err(Error::Usage { setting: "taskloom", expected, found: env!("CARGO_PKG_VERSION").to_owned() });
        }
        if lake.is_under_way(&self.run)? {
            return Ok(());
        }
        Err(Error::RunOver { run: self.run.clone(), path: lake.place().to_owned() })
    }
}

impl Shard {
    /// The shard as it travels.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        to_bytes(self)
    }

    /// A shard that has travelled.
    pub fn from_bytes(bytes: &[u8]) -> Result<Shard> {
        from_bytes("a shard", bytes)
    }

    /// What it tells, but for its parts.
    fn add_to(&self, report: &mut Report) {
        report.input_bytes += self.input_bytes;
        report.tasks_read += self.tasks_read;
        report.rejected += self.rejected;
        report.superseded += self.superseded;
        report.forgotten += self.forgotten;
        report.replaced_surrogates += self.replaced_surrogates;
        report.spilled_bytes += self.spilled_bytes;
        report.parts += self.parts.len() as u64;
    }
}

/// Writes a share of a run: what the source of `config` brings, into its lake. How tasks become partitions, and how files are encoded, the
/// ticket says. The lead must hear of what this gives, or the files are taken for those of a failed attempt.
pub fn write_shard(ticket: &Ticket, config: &RunConfig, progress: &Arc<Progress>) -> Result<Shard> {
    let lake = &config.lake;
    ticket.check(lake)?;
    let (ledger, attempt) = (Ledger::default(), attempt());
    let rejects = rejects_of_a_shard(&ticket.run, &attempt);
    let shard = write(ticket, config, progress, &ledger, &attempt, &rejects);
    // Whoever leads may have ended meanwhile: then nobody looks for these files.
    let shard = shard.and_then(|shard| ticket.check(lake).map(|()| shard));
    if shard.is_err() {
        let _ = lake.store().delete(&rejects).and(ledger.take_back(&**lake.store()));
    }
    shard
}

fn write(
    ticket: &Ticket,
    config: &RunConfig,
    progress: &Arc<Progress>,
    ledger: &Ledger,
    attempt: &str,
    rejects_path: &str,
) -> Result<Shard> {
    let store = config.lake.store();
    progress.expect(config.source.size());
    let workers = Workers::start(config.threads)?;
    let scratch = Scratch::temporary(config.work_dir.as_deref())?;
    let prefix = format!("{}{attempt}-", ticket.prefix);
    let compression_level = ZstdLevel::try_new(ticket.compression_level).unwrap_or_default();
    let writer =
        PartWriter::new(store, prefix, Encoding { compression_level }, workers.pool(), ledger).with_attachments(
            Attachments::known(store, config.lake.state()?.parts.values().filter_map(PartEntry::keeping))?,
        );
    let opening = Opening {
        work_dir: scratch.path(),
        lake: None,
        committed: None,
        held_bytes: config.memory.block_bytes(),
        threads: config.threads,
    };
    let feed = config.source.open(opening, progress)?;
    let forgotten = ticket.forgotten.clone().map(Arc::new);
    let (layout, scratch) = (ticket.layout, scratch.path());
    let tools = Tools { config, layout, workers: &workers, writer, scratch, progress, forgotten, attachments: None };
    let Produced { parts, report, rejects, .. } = Coordinator::new(tools, feed).run()?;
    progress.enter(Stage::Committing);
    let rejects = rejects.publish(&**store, rejects_path)?.map(|_| rejects_path.to_owned());
    store.flush()?;
    Ok(Shard {
        run: ticket.run.clone(),
        parts,
        rejects,
        input_bytes: report.input_bytes,
        tasks_read: report.tasks_read,
        rejected: report.rejected,
        superseded: report.superseded,
        forgotten: report.forgotten,
        replaced_surrogates: report.replaced_surrogates,
        spilled_bytes: report.spilled_bytes,
        drift: report.drift,
    })
}

/// What tells the files of one attempt from those of another.
fn attempt() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    random.chars().take(12).collect()
}

/// A run that others write shards for. Ended by [`Lead::commit`]; if this value goes without it, nothing of the run is left.
#[derive(Debug)]
pub struct Lead(Option<Begun>);

impl Lead {
    /// Begins a run into a lake. The source of `config` tells in words what is read.
    pub fn begin(config: RunConfig, progress: &Arc<Progress>) -> Result<Lead> {
        let mut begun = Begun::begin(config, progress)?;
        begun.transaction.share();
        let lead = Lead(Some(begun));
        if let Some(begun) = &lead.0 {
            super::check_alone(&begun.config, &begun.transaction)?;
        }
        Ok(lead)
    }

    /// What those need who write for it.
    pub fn ticket(&self) -> Option<Ticket> {
        let Begun { config, transaction, .. } = self.0.as_ref()?;
        Some(Ticket {
            taskloom_version: env!("CARGO_PKG_VERSION").to_owned(),
            run: transaction.name().to_owned(),
            prefix: transaction.prefix(),
            layout: super::layout(config, transaction),
            compression_level: config.compression_level.compression_level(),
            forgotten: transaction.parent().forgotten(),
        })
    }

    /// Makes one version of the shards, in this order: where two have the same task, that of the later one counts.
    pub fn commit(mut self, shards: Vec<Shard>, progress: &Arc<Progress>) -> Result<Outcome> {
        let Some(begun) = self.0.take() else {
            return Err(bug("a run that has ended".to_owned()));
        };
        Begun { progress: Arc::clone(progress), ..begun }.end(|run| run.commit_shards(shards))
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(begun) = self.0.take() {
            begun.transaction.end(None);
        }
    }
}

impl Run<'_> {
    fn commit_shards(self, shards: Vec<Shard>) -> Result<Outcome> {
        let (lake, began_at) = (self.transaction.lake().clone(), self.transaction.parent().begins_at());
        match self.make_version_of(shards) {
            // What forgets takes away rejects, whoever's they are.
            Err(Error::NoFile { .. }) if lake.state()?.begins_at() > began_at => {
                Ok(Outcome::Conflict { version: lake.state()?.version })
            }
            ended => ended,
        }
    }

    fn make_version_of(self, shards: Vec<Shard>) -> Result<Outcome> {
        let workers = Workers::start(self.config.threads)?;
        let writer = self.writer(&workers);
        let lake = self.transaction.lake().clone();
        let scratch = Scratch::of(self.config.work_dir.as_deref(), lake.place())?;
        self.progress.enter(Stage::Merging);
        let (mut report, mut drift) = (Report::default(), Drift::default());
        let mut rejects = Rejects::new(scratch.path(), Vec::new());
        let mut parts = Vec::new();
        for (number, shard) in shards.into_iter().enumerate() {
            if shard.run != self.transaction.name() {
                return Err(bug(format!("a shard of the run {} in {}", shard.run, self.transaction.name())));
            }
            shard.add_to(&mut report);
            if let Some(path) = &shard.rejects {
                rejects.of_shard(&**lake.store(), path, shard.rejected)?;
            }
            drift.merge(shard.drift.into());
            parts.extend(shard.parts.into_iter().map(|part| (number as u64, part)));
        }
        let mut gathered = Gathered::new(self.config.memory.index_bytes(), scratch.path());
        gathered.note(drift);
        workers.run(|| gather(&**lake.store(), parts, &mut gathered, self.progress))?;
        let rewritten = gathered.finish(|part, identities| workers.run(|| writer.rewrite(part, identities)));
        let (parts, superseded, drift) = rewritten?;
        report.superseded += superseded;
        report.drift = drift;
        let left_out_memberships = Memberships::new();
        let renewed = HashSet::new();
        self.commit(Produced { parts, report, rejects, renewed, left_out_memberships, tail: None }, &writer)
    }
}

/// Parts that are looked into at a time.
const AT_A_TIME: usize = 1024;

/// Takes in parts, each with the number of its shard, and what objects they have that another shard may have too.
fn gather(store: &dyn Store, parts: Vec<(u64, PartEntry)>, gathered: &mut Gathered, progress: &Progress) -> Result<()> {
    let may_meet = may_meet(&parts);
    progress.expect_parts(may_meet.iter().filter(|may_meet| **may_meet).count());
    let look = |(part, may_meet): (&PartEntry, bool)| match may_meet {
        true => progress.part(|| objects(store, part)),
        false => Ok(Vec::new()),
    };
    let mut may_meet = may_meet.into_iter();
    let mut parts = parts.into_iter();
    loop {
        let some = parts.by_ref().take(AT_A_TIME).collect::<Vec<_>>();
        if some.is_empty() {
            return Ok(());
        }
        progress.check()?;
        let looks = some.iter().map(|(_, part)| part).zip(may_meet.by_ref()).collect::<Vec<_>>();
        let objects = with_readers(store, || looks.into_par_iter().map(look).collect::<Result<Vec<_>>>())??;
        for ((shard, part), objects) in some.into_iter().zip(objects) {
            let position = Position { block: shard, index: 0 };
            gathered.add_entry(part, objects.into_iter().map(|identity| (identity, position)))?;
        }
    }
}

/// The identities of a part's objects.
fn objects(store: &dyn Store, part: &PartEntry) -> Result<Vec<u128>> {
    let table = part.key.dataset.tables().next().filter(|table| part.rows(table.name) > 0);
    let Some(table) = table else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    Objects::open(table, store, &part.path(table.name))?.read(|object| {
        objects.push(identity(object.identity));
        Ok(())
    })?;
    Ok(objects)
}

/// A part among those of its dataset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span<'p> {
    /// Its least and its greatest id; what has none may be anywhere.
    bounds: Option<(&'p str, &'p str)>,
    shard: u64,
    index: usize,
}

/// Which parts have ids within the bounds of a part of another shard.
fn may_meet(parts: &[(u64, PartEntry)]) -> Vec<bool> {
    let mut may_meet = vec![false; parts.len()];
    let mut by_dataset: BTreeMap<Dataset, Vec<Span<'_>>> = BTreeMap::new();
    for (index, (shard, part)) in parts.iter().enumerate() {
        let bounds = part.least_id.as_deref().zip(part.greatest_id.as_deref());
        by_dataset.entry(part.key.dataset).or_default().push(Span { bounds, shard: *shard, index });
    }
    for mut spans in by_dataset.into_values() {
        spans.sort_unstable();
        let has_all = spans.iter().all(|span| span.bounds.is_some());
        let mut greatest = None;
        let neighbours = spans.chunk_by(|one, other| {
            greatest = greatest.max(one.bounds.map(|(_, greatest)| greatest));
            let is_near = !has_all || other.bounds.map(|(least, _)| least) <= greatest;
            if !is_near {
                greatest = None;
            }
            is_near
        });
        let of_others =
            |spans: &&[Span<'_>]| spans.iter().any(|span| Some(span.shard) != spans.first().map(|first| first.shard));
        for span in neighbours.filter(of_others).flatten() {
            if let Some(flag) = may_meet.get_mut(span.index) {
                *flag = true;
            }
        }
    }
    may_meet
}

fn bug(found: String) -> Error {
    Error::Bug { place: "pipeline::shard", found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::Key;

    fn part(least: &str, greatest: &str) -> PartEntry {
        let bound = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
        PartEntry {
            part: String::new(),
            key: Key::null(Dataset::Tasks),
            folder: String::new(),
            least_id: bound(least),
            greatest_id: bound(greatest),
            schema_version: 1,
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn parts_of_one_shard_or_apart_from_all_others_need_no_look() {
        let meets = |parts: &[(u64, &str, &str)]| {
            let parts =
                parts.iter().map(|(shard, least, greatest)| (*shard, part(least, greatest))).collect::<Vec<_>>();
            may_meet(&parts)
        };
        assert_eq!(meets(&[(0, "a", "m"), (0, "b", "c"), (1, "n", "z")]), [false, false, false]);
        assert_eq!(meets(&[(0, "a", "m"), (1, "m", "z"), (2, "zz", "zz")]), [true, true, false]);
        // The long one reaches over the short ones between.
        assert_eq!(meets(&[(0, "a", "z"), (0, "b", "c"), (1, "x", "y")]), [true, true, true]);
        assert_eq!(meets(&[(0, "a", "b"), (1, "c", "d"), (1, "", "")]), [true, true, true]);
        let mut other = (1, part("a", "m"));
        other.1.key = Key::null(Dataset::Projects);
        assert_eq!(may_meet(&[(0, part("a", "m")), other]), [false, false], "projects are no tasks");
    }
}
