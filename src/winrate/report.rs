//! What is told of comparisons.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use super::strengths::{Comparison, Strength, Strengths, strengths};
use super::{Games, Played, WinRateOptions};
use crate::error::Result;
use crate::progress::Progress;

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
    /// all is 0. `None` where it can't be compared with the others, because wins and losses don't lead from each to the other.
    pub score: Option<f64>,
    /// Where that lies with 95 % confidence; `None` where all stands in one task.
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

/// 95 % of Student's distribution lie within so many standard errors, where these are known from so many tasks.
fn deviations(tasks: usize) -> f64 {
    /// Those of a normal distribution.
    const NORMAL: f64 = 1.959_964;
    match tasks {
        0..=2 => 12.706_205,
        3 => 4.302_653,
        // Abramowitz and Stegun, 26.7.5.
        _ => {
            let (free, z) = (tasks as f64 - 1.0, NORMAL);
            let first = (z.powi(3) + z) / 4.0;
            let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
            let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
            let fourth = (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1_482.0 * z.powi(5) - 1_920.0 * z.powi(3) - 945.0 * z)
                / 92_160.0;
            z + first / free + second / free.powi(2) + third / free.powi(3) + fourth / free.powi(4)
        }
    }
}

pub(super) fn of(version: u64, options: &WinRateOptions, games: &Games, progress: &Progress) -> Result<WinRates> {
    let mut names = games.names.iter().map(|(name, number)| (*number, &**name)).collect::<Vec<_>>();
    names.sort_unstable();
    let comparison = |played: &Played| {
        let [one, other] = played.players;
        Comparison { task: played.task, one, other, won: played.won }
    };
    let comparisons = games.played.iter().map(comparison).collect::<Vec<_>>();
    let strengths = strengths(names.len(), &comparisons, progress)?;
    let mut results = vec![Vec::new(); names.len()];
    for Played { task, players: [one, other], won, .. } in &games.played {
        for (player, won) in [(one, *won), (other, 1.0 - won)] {
            results.get_mut(*player as usize).into_iter().for_each(|own: &mut Vec<_>| own.push((*task, won)));
        }
    }
    let players = names.iter().zip(&results);
    let mut players = players.map(|((number, name), own)| player(*number, name, own, &strengths)).collect::<Vec<_>>();
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
    Ok(WinRates {
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
    })
}

/// A variance that is none but for rounding.
const NOTHING: f64 = 1e-12;

/// What either wins of a comparison of equals.
const TIE: f64 = 0.5;

/// How many were won, tied and lost.
fn counts(results: &[(u32, f64)]) -> [u64; 3] {
    let count = |of: f64| results.iter().filter(|(_, won)| *won == of).count() as u64;
    [count(1.0), count(TIE), count(0.0)]
}

fn player(number: u32, name: &str, results: &[(u32, f64)], strengths: &Strengths) -> Player {
    let [won, tied, lost] = counts(results);
    let strength = strengths.of.get(&(number as usize));
    let interval = |Strength { score, standard_error }: &Strength| {
        let reach = deviations(strengths.tasks) * (*standard_error)?;
        Some(Interval { low: score - reach, high: score + reach })
    };
    Player {
        name: name.to_owned(),
        comparisons: results.len() as u64,
        won,
        tied,
        lost,
        win_rate: mean(results).unwrap_or_default(),
        score: strength.map(|strength| strength.score),
        interval: strength.and_then(interval),
    }
}

fn matches(players: &[Player], games: &Games) -> Vec<Match> {
    let mut met = BTreeMap::<(u32, u32), Vec<(u32, f64)>>::new();
    for played in &games.played {
        let [one, other] = played.players;
        met.entry((one, other)).or_default().push((played.task, played.won));
        met.entry((other, one)).or_default().push((played.task, 1.0 - played.won));
    }
    let rank =
        players.iter().enumerate().map(|(rank, player)| (player.name.as_str(), rank)).collect::<BTreeMap<_, _>>();
    let ranks = games.names.iter().map(|(name, number)| (*number, rank.get(&**name).copied().unwrap_or_default()));
    let ranks = ranks.collect::<BTreeMap<_, _>>();
    let ranked = met.iter().filter_map(|((one, other), results)| Some((*ranks.get(one)?, *ranks.get(other)?, results)));
    let mut ranked = ranked.filter(|(one, other, _)| one < other).collect::<Vec<_>>();
    ranked.sort_by_key(|(one, other, _)| (*one, *other));
    let name = |rank: usize| players.get(rank).map(|player| player.name.clone()).unwrap_or_default();
    let mut matches = Vec::new();
    for (one, other, results) in ranked {
        let [won, tied, lost] = counts(results);
        matches.push(Match {
            one: name(one),
            other: name(other),
            comparisons: results.len() as u64,
            won,
            tied,
            lost,
            win_rate: mean(results).unwrap_or_default(),
            interval: interval(results),
        });
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

/// Wilson's interval of a share, for as many independent results as have the variance that is found between tasks; where none is
/// found, for as many as there are tasks.
fn interval(results: &[(u32, f64)]) -> Interval {
    let (Some(share), count) = (mean(results), results.len() as f64) else { return Interval { low: 0.0, high: 1.0 } };
    let mut by_task = BTreeMap::<u32, f64>::new();
    results.iter().for_each(|(task, won)| *by_task.entry(*task).or_default() += won - share);
    let tasks = by_task.len() as f64;
    let few = tasks / (tasks - 1.0).max(1.0);
    let variance = few * by_task.values().map(|sum| sum * sum).sum::<f64>() / (count * count);
    let independent = if variance > NOTHING { (share * (1.0 - share) / variance).min(count) } else { tasks };
    // One task tells nothing of others, as one comparison does.
    let deviations = deviations(if tasks > 1.0 { by_task.len() } else { usize::MAX });
    let square = deviations * deviations / independent;
    let middle = (share + square / 2.0) / (1.0 + square);
    let spread = share * (1.0 - share) / independent + square / (4.0 * independent);
    let reach = deviations / (1.0 + square) * spread.sqrt();
    Interval { low: (middle - reach).max(0.0), high: (middle + reach).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_students_distribution() {
        for (tasks, known) in
            [(2, 12.706), (3, 4.303), (4, 3.182), (6, 2.571), (11, 2.228), (31, 2.042), (1_001, 1.962)]
        {
            assert!((deviations(tasks) - known).abs() < 0.005, "{tasks}: {}", deviations(tasks));
        }
    }

    #[test]
    fn the_interval_of_many_independent_results_is_that_of_wilson() {
        // R: prop.test(7000, 10000, correct = FALSE)
        let results = (0..10_000).map(|task| (task, if task < 7_000 { 1.0 } else { 0.0 })).collect::<Vec<_>>();
        let Interval { low, high } = interval(&results);
        assert!((low - 0.690_95).abs() < 0.000_05 && (high - 0.708_90).abs() < 0.000_05, "{low} {high}");
        // What hangs together in one task counts as one.
        let together = results.iter().flat_map(|(task, won)| [(*task, *won); 4]).collect::<Vec<_>>();
        let found = interval(&together);
        assert!((found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn few_tasks_tell_little_however_much_is_compared_in_them() {
        let of_task = |task, won: u32| (0..10).map(move |turn| (task, if turn < won { 1.0 } else { 0.0 }));
        let [one, other] = [7, 5].map(|won| interval(&of_task(0, won).collect::<Vec<_>>()));
        assert!(one.high - one.low > 0.8 && other.high - other.low > 0.8, "{one:?} {other:?}");
        let two = interval(&of_task(0, 7).chain(of_task(1, 7)).collect::<Vec<_>>());
        assert!(two.high - two.low > 0.9, "{two:?}");
        let Interval { low, high } = interval(&[(0, 1.0), (1, 1.0), (2, 1.0)]);
        assert!(low < 0.4 && high == 1.0, "who won always may still lose: {low} {high}");
    }
}
