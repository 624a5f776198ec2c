//! Model against model: who was judged better how often, how strong each is, and what else the judgements went by.

mod report;
mod strengths;
mod table;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::annotations::parts_of;
use crate::error::{Error, Result};
use crate::judged::{Better, Message, Reason, Sink, Turn, Wanted, each_comparison};
use crate::lake::{Lake, State};
use crate::part::PartEntry;
use crate::progress::Progress;
use crate::store::{Store, with_readers};

pub use report::{Bias, Interval, Match, Player, WinRates};
pub use table::to_parquet;

/// What is compared, and how.
#[derive(Clone, Debug, Default)]
pub struct WinRateOptions {
    /// The key of the annotations.
    pub key: String,
    /// The project that is looked at, by its id; `None` for all.
    pub project: Option<String>,
    /// Which values are good, of a key whose values are numbers.
    pub better: Option<Better>,
    /// Values of the key that mean that all answers of the turn are equal.
    pub ties: Vec<String>,
}

/// A comparison without its texts.
#[derive(Clone, Copy, Debug)]
struct Played {
    task: u32,
    /// The one whose answer stands first, and the other.
    players: [u32; 2],
    /// What the first of the two won.
    won: f64,
    /// How its length compares to the other's.
    length: std::cmp::Ordering,
}

/// All that was compared, in a part or in many.
#[derive(Debug, Default)]
struct Games {
    names: BTreeMap<Box<str>, u32>,
    tasks: u32,
    last_task: Option<Box<str>>,
    played: Vec<Played>,
    left_out: BTreeMap<Reason, u64>,
    ratings: u64,
}

/// Compares the models of a version by what was said of their answers.
pub fn win_rates(lake: &Lake, state: &State, options: &WinRateOptions, progress: &Progress) -> Result<WinRates> {
    let parts = parts_of(state, options.project.as_deref())?;
    progress.expect_parts(parts.len());
    let store = &**lake.store();
    let look = |part: &&PartEntry| {
        progress.check()?;
        progress.part(|| Games::of(store, part, options))
    };
    let found = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    let mut games = Games::default();
    found.into_iter().for_each(|own| games.merge(own));
    if games.ratings > 0 && options.better.is_none() {
        return Err(Error::Usage {
            setting: "--better",
            expected: format!("`higher` or `lower`, since `{}` is a rating: in some projects 1 is best", options.key),
            found: "nothing".to_owned(),
        });
    }
    if games.played.is_empty() && games.left_out.is_empty() {
        return Err(Error::Usage {
            setting: "--by",
            expected: "a key that annotations have: `taskloom annotations` lists them".to_owned(),
            found: format!("`{}`", options.key),
        });
    }
    report::of(state.version, options, &games, progress)
}

impl Games {
    fn of(store: &dyn Store, part: &PartEntry, options: &WinRateOptions) -> Result<Games> {
        let mut games = Games::default();
        each_comparison(
            store,
            part,
            Wanted { key: &options.key, better: options.better, ties: &options.ties },
            &mut games,
        )?;
        Ok(games)
    }

    fn player(&mut self, name: &str) -> u32 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.insert(name.into(), number);
        number
    }

    /// Takes in those of a part that comes behind.
    fn merge(&mut self, other: Games) {
        let mut numbers = vec![0; other.names.len()];
        for (name, number) in &other.names {
            let own = self.player(name);
            if let Some(place) = numbers.get_mut(*number as usize) {
                *place = own;
            }
        }
        let number = |player: u32| numbers.get(player as usize).copied().unwrap_or_default();
        let before = self.tasks;
        let played = other.played.iter();
        self.played.extend(played.map(|played| Played {
            task: before + played.task,
            players: played.players.map(number),
            ..*played
        }));
        self.tasks += other.tasks;
        for (reason, count) in other.left_out {
            *self.left_out.entry(reason).or_default() += count;
        }
        self.ratings += other.ratings;
    }
}

impl Sink for Games {
    fn compared(&mut self, turn: &Turn<'_>, answers: [&Message<'_>; 2], won: f64) {
        let (one, other) = match answers.map(Message::sender) {
            [Some(one), Some(other)] if one == other => return self.left_out(Reason::SameModel),
            [Some(one), Some(other)] => (one, other),
            _ => return self.left_out(Reason::NoModel),
        };
        if self.last_task.as_deref() != Some(turn.task_id) {
            self.last_task = Some(turn.task_id.into());
            self.tasks += 1;
        }
        let players = [self.player(one), self.player(other)];
        let [one, other] = answers.map(|answer| answer.text.map_or(0, |text| text.chars().count()));
        self.played.push(Played { task: self.tasks - 1, players, won, length: one.cmp(&other) });
    }

    fn left_out(&mut self, reason: Reason) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    fn rating(&mut self) {
        self.ratings += 1;
    }
}
