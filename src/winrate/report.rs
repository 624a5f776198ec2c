//! What is told of comparisons.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::strengths::{Comparison, Strength, strengths};
use super::{Games, Played, WinRateOptions};

/// Model against model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WinRates {
    /// The version.
    pub version: u64,
    /// The key of the annotations.
    pub key: String,
    /// The project that was looked at; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Pairs of answers that were compared.
    pub comparisons: u64,
    /// Those of equal worth.
    pub ties: u64,
    /// Tasks that they stand in.
    pub tasks: u64,
    /// The models, or what else sent the answers: the strongest first, then those without a score.
    pub players: Vec<Player>,
    /// Each two of them that met, the stronger one first.
    pub matches: Vec<Match>,
    /// How often the answer that stands first won.
    pub position: Bias,
    /// How often the longer answer won.
    pub length: Bias,
    /// What was left out, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Player {
    /// Its name.
    pub name: String,
    /// Comparisons with it.
    pub comparisons: u64,
    /// Those that it won.
    pub won: u64,
    /// Those of equal worth.
    pub tied: u64,
    /// Those that it lost.
    pub lost: u64,
    /// The share that it won, a tie as a half.
    pub win_rate: f64,
    /// Its strength by the model of Bradley and Terry, as a logarithm: one that is `d` stronger wins with odds of e^`d`. The mean of
    /// all is 0. `None` where it can't be compared, because it never lost, or never won, against those that can.
    pub score: Option<f64>,
    /// Where that lies with 95 % confidence.
    pub interval: Option<Interval>,
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower one.
    pub low: f64,
    /// The upper one.
    pub high: f64,
}

/// One model against another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Match {
    /// The one.
    pub one: String,
    /// The other.
    pub other: String,
    /// How often they were compared.
    pub comparisons: u64,
    /// How often the one won.
    pub won: u64,
    /// How often they were equal.
    pub tied: u64,
    /// How often the one lost.
    pub lost: u64,
    /// The share that the one won, a tie as a half.
    pub win_rate: f64,
    /// Where that lies with 95 % confidence.
    pub interval: Interval,
}

/// How often answers with a property won over those without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bias {
    /// Comparisons where one has it and the other has not.
    pub comparisons: u64,
    /// The share that the one with it won, a tie as a half; `None` without any.
    pub win_rate: Option<f64>,
    /// Where that lies with 95 % confidence.
    pub interval: Option<Interval>,
}

/// 95 % of a normal distribution lie within so many standard deviations.
const DEVIATIONS: f64 = 1.959_964;

pub(super) fn of(version: u64, options: &WinRateOptions, games: &Games) -> WinRates {
    let mut names = games.names.iter().map(|(name, number)| (*number, &**name)).collect::<Vec<_>>();
    names.sort_unstable();
    let comparison = |played: &Played| {
        let [one, other] = played.players;
        Comparison { task: played.task, one, other, won: played.won }
    };
    let comparisons = games.played.iter().map(comparison).collect::<Vec<_>>();
    let strengths = strengths(names.len(), &comparisons);
    let mut players = names.iter().map(|(number, name)| player(*number, name, games, &strengths)).collect::<Vec<_>>();
    let better = |one: &Player, other: &Player| {
        let score = |player: &Player| player.score.unwrap_or(f64::NEG_INFINITY);
        let order = score(other).total_cmp(&score(one)).then(other.win_rate.total_cmp(&one.win_rate));
        order.then_with(|| one.name.cmp(&other.name))
    };
    players.sort_by(better);
    let matches = matches(&players, games);
    let first = games.played.iter().map(|played| (played.task, played.won));
    let longer = games.played.iter().filter_map(|played| match played.length {
        Ordering::Greater => Some((played.task, played.won)),
        Ordering::Less => Some((played.task, 1.0 - played.won)),
        Ordering::Equal => None,
    });
    WinRates {
        version,
        key: options.key.clone(),
        project: options.project.clone(),
        comparisons: games.played.len() as u64,
        ties: games.played.iter().filter(|played| played.won == TIE).count() as u64,
        tasks: u64::from(games.tasks),
        players,
        matches,
        position: bias(&first.collect::<Vec<_>>()),
        length: bias(&longer.collect::<Vec<_>>()),
        left_out: games.left_out.iter().map(|(reason, count)| (reason.word(), *count)).collect(),
    }
}

/// What either wins of a comparison of equals.
const TIE: f64 = 0.5;

/// What one of two players won in each comparison with the other, with the task.
fn won_by(player: u32, games: &Games) -> Vec<(u32, f64)> {
    let own = |played: &Played| match played.players {
        [one, _] if one == player => Some((played.task, played.won)),
        [_, other] if other == player => Some((played.task, 1.0 - played.won)),
        _ => None,
    };
    games.played.iter().filter_map(own).collect()
}

/// How many were won, tied and lost.
fn counts(results: &[(u32, f64)]) -> [u64; 3] {
    let count = |of: f64| results.iter().filter(|(_, won)| *won == of).count() as u64;
    [count(1.0), count(TIE), count(0.0)]
}

fn player(number: u32, name: &str, games: &Games, strengths: &BTreeMap<usize, Strength>) -> Player {
    let results = won_by(number, games);
    let [won, tied, lost] = counts(&results);
    let strength = strengths.get(&(number as usize));
    let interval = |Strength { score, standard_error }: &Strength| {
        let reach = DEVIATIONS * standard_error;
        Interval { low: score - reach, high: score + reach }
    };
    Player {
        name: name.to_owned(),
        comparisons: results.len() as u64,
        won,
        tied,
        lost,
        win_rate: mean(&results).unwrap_or_default(),
        score: strength.map(|strength| strength.score),
        interval: strength.map(interval),
    }
}

fn matches(players: &[Player], games: &Games) -> Vec<Match> {
    let mut met = BTreeMap::<(u32, u32), Vec<(u32, f64)>>::new();
    for played in &games.played {
        let [one, other] = played.players;
        met.entry((one, other)).or_default().push((played.task, played.won));
        met.entry((other, one)).or_default().push((played.task, 1.0 - played.won));
    }
    let number = |player: &Player| games.names.get(player.name.as_str()).copied().unwrap_or_default();
    let mut matches = Vec::new();
    for (index, one) in players.iter().enumerate() {
        for other in players.iter().skip(index + 1) {
            let Some(results) = met.get(&(number(one), number(other))) else { continue };
            let [won, tied, lost] = counts(results);
            matches.push(Match {
                one: one.name.clone(),
                other: other.name.clone(),
                comparisons: results.len() as u64,
                won,
                tied,
                lost,
                win_rate: mean(results).unwrap_or_default(),
                interval: interval(results),
            });
        }
    }
    matches
}

fn bias(results: &[(u32, f64)]) -> Bias {
    let win_rate = mean(results);
    Bias { comparisons: results.len() as u64, win_rate, interval: win_rate.map(|_| interval(results)) }
}

fn mean(results: &[(u32, f64)]) -> Option<f64> {
    (!results.is_empty()).then(|| results.iter().map(|(_, won)| won).sum::<f64>() / results.len() as f64)
}

/// Wilson's interval of a share, for as many independent results as have the variance that is found between tasks.
fn interval(results: &[(u32, f64)]) -> Interval {
    let (Some(share), count) = (mean(results), results.len() as f64) else { return Interval { low: 0.0, high: 1.0 } };
    let mut by_task = BTreeMap::<u32, f64>::new();
    results.iter().for_each(|(task, won)| *by_task.entry(*task).or_default() += won - share);
    let variance = by_task.values().map(|sum| sum * sum).sum::<f64>() / (count * count);
    let tasks = results.iter().map(|(task, _)| task).collect::<BTreeSet<_>>().len() as f64;
    let independent = if variance > 0.0 { (share * (1.0 - share) / variance).min(count) } else { tasks };
    let square = DEVIATIONS * DEVIATIONS / independent;
    let middle = (share + square / 2.0) / (1.0 + square);
    let reach =
        DEVIATIONS / (1.0 + square) * (share * (1.0 - share) / independent + square / (4.0 * independent)).sqrt();
    Interval { low: (middle - reach).max(0.0), high: (middle + reach).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_independent_results_is_that_of_wilson() {
        // R: prop.test(7, 10, correct = FALSE)
        let results = (0..10).map(|task| (task, if task < 7 { 1.0 } else { 0.0 })).collect::<Vec<_>>();
        let Interval { low, high } = interval(&results);
        assert!((low - 0.396_8).abs() < 0.000_1 && (high - 0.892_2).abs() < 0.000_1, "{low} {high}");
        // What hangs together in one task counts as one.
        let together = results.iter().flat_map(|(task, won)| [(*task, *won); 4]).collect::<Vec<_>>();
        let found = interval(&together);
        assert!((found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn who_won_always_may_still_lose() {
        let Interval { low, high } = interval(&[(0, 1.0), (1, 1.0), (2, 1.0)]);
        assert!((low - 0.438_5).abs() < 0.000_1 && high == 1.0, "{low} {high}");
    }
}
