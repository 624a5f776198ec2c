//! How strong players are, from who beat whom: the model of Bradley and Terry, a tie as half a win for either.
//!
//! Where one group of players never lost to the others no strengths are the most likely ones (Ford, 1957): so scores are those of the
//! group with most comparisons within which everybody is reached from everybody by wins. Standard errors are those of the sandwich estimator,
//! clustered, for what was judged in one task hangs together, or those of independent comparisons, where they are greater: with few
//! tasks what is found between them may be little by chance.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::progress::Progress;

/// A comparison: the share of it that the one of the two won, 1, 0.5 or 0, and the task that it stood in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    pub task: u32,
    pub one: u32,
    pub other: u32,
    pub won: f64,
}

/// The strength of a player: the natural logarithm of it. A player that is `d` stronger than another wins with odds of e^`d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Strength {
    pub score: f64,
    /// `None` where all stands in one task.
    pub standard_error: Option<f64>,
}

/// The strengths of those that can be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Strengths {
    /// By player; their mean is 0.
    pub of: BTreeMap<usize, Strength>,
    /// Tasks in which they met.
    pub tasks: usize,
}

/// More players are not told apart by their strengths: it takes the third power of their number.
const MOST_PLAYERS: usize = 400;
const MOST_STEPS: usize = 100;
/// A step that is none any more.
const SMALL: f64 = 1e-10;
/// The longest step: beyond it the likelihood looks different.
const LONG: f64 = 2.0;

/// Task, two players by their place, and what the one won.
type Own = (u32, usize, usize, f64);

/// The strengths of the players that can be compared. Ends early once `progress` was asked to stop.
pub(super) fn strengths(players: usize, comparisons: &[Comparison], progress: &Progress) -> Result<Strengths> {
    let members = comparable(players, comparisons);
    if members.len() < 2 || members.len() > MOST_PLAYERS {
        return Ok(Strengths::default());
    }
    let place = members.iter().enumerate().map(|(at, player)| (*player, at)).collect::<BTreeMap<_, _>>();
    let own = comparisons.iter().filter_map(|comparison| {
        let [one, other] = [comparison.one, comparison.other].map(|player| place.get(&(player as usize)).copied());
        Some((comparison.task, one?, other?, comparison.won))
    });
    let own = own.collect::<Vec<_>>();
    let tasks = own.iter().map(|(task, ..)| task).collect::<BTreeSet<_>>().len();
    let scores = likeliest(members.len(), &own, progress)?;
    let errors = standard_errors(&scores, &own, tasks);
    let strength = |(score, error)| Strength { score, standard_error: (tasks > 1).then_some(error) };
    let strengths = scores.into_iter().zip(errors).map(strength);
    Ok(Strengths { of: members.into_iter().zip(strengths).collect(), tasks })
}

/// The group with most comparisons within which everybody is reached from everybody by wins; of such groups the one with the first player.
fn comparable(players: usize, comparisons: &[Comparison]) -> Vec<usize> {
    let mut beats = vec![BTreeSet::new(); players];
    let mut beaten_by = vec![BTreeSet::new(); players];
    for Comparison { one, other, won, .. } in comparisons {
        let [one, other] = [*one, *other].map(|player| player as usize);
        for (winner, loser) in
            [(one, other), (other, one)].into_iter().zip([*won > 0.0, *won < 1.0]).filter_map(won_pair)
        {
            if let (Some(losers), Some(winners)) = (beats.get_mut(winner), beaten_by.get_mut(loser)) {
                losers.insert(loser);
                winners.insert(winner);
            }
        }
    }
    let mut groups = vec![usize::MAX; players];
    for player in 0..players {
        if groups.get(player) == Some(&usize::MAX) {
            let back = reached(player, &beaten_by);
            reached(player, &beats).intersection(&back).for_each(|member| {
                if let Some(group) = groups.get_mut(*member) {
                    *group = player;
                }
            });
        }
    }
    let mut within = BTreeMap::<usize, usize>::new();
    for Comparison { one, other, .. } in comparisons {
        let [one, other] = [*one, *other].map(|player| groups.get(player as usize));
        if let (Some(one), true) = (one, one == other) {
            *within.entry(*one).or_default() += 1;
        }
    }
    let most =
        within.iter().max_by_key(|(group, count)| (**count, std::cmp::Reverse(**group))).map(|(group, _)| *group);
    (0..players).filter(|player| most.is_some() && groups.get(*player) == most.as_ref()).collect()
}

fn won_pair((pair, is_won): ((usize, usize), bool)) -> Option<(usize, usize)> {
    is_won.then_some(pair)
}

/// Who is reached from a player, and the player.
fn reached(from: usize, next: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let (mut reached, mut open) = (BTreeSet::from([from]), vec![from]);
    while let Some(player) = open.pop() {
        for further in next.get(player).into_iter().flatten() {
            if reached.insert(*further) {
                open.push(*further);
            }
        }
    }
    reached
}

/// By Newton's steps, which are cut where they are long.
fn likeliest(players: usize, comparisons: &[Own], progress: &Progress) -> Result<Vec<f64>> {
    let mut met = BTreeMap::<(usize, usize), (f64, f64)>::new();
    for (_, one, other, won) in comparisons {
        let (pair, won) = if one < other { ((*one, *other), *won) } else { ((*other, *one), 1.0 - won) };
        let (count, sum) = met.entry(pair).or_default();
        *count += 1.0;
        *sum += won;
    }
    let mut scores = vec![0.0_f64; players];
    for _ in 0..MOST_STEPS {
        progress.check()?;
        let mut gradient = vec![0.0; players];
        for ((one, other), (count, won)) in &met {
            let surplus = won - count * expected(&scores, *one, *other);
            add(&mut gradient, *one, surplus);
            add(&mut gradient, *other, -surplus);
        }
        let inverse =
            inverse(information(&scores, met.iter().map(|((one, other), (count, _))| (*one, *other, *count))));
        let step = inverse.iter().map(|row| row.iter().zip(&gradient).map(|(one, other)| one * other).sum::<f64>());
        let step = step.collect::<Vec<_>>();
        let longest = step.iter().fold(0.0_f64, |longest, part| longest.max(part.abs()));
        let cut = if longest > LONG { LONG / longest } else { 1.0 };
        scores.iter_mut().zip(&step).for_each(|(score, part)| *score += cut * part);
        let mean = scores.iter().sum::<f64>() / players as f64;
        scores.iter_mut().for_each(|score| *score -= mean);
        if longest < SMALL {
            break;
        }
    }
    Ok(scores)
}

/// How much the one is expected to win against the other.
fn expected(scores: &[f64], one: usize, other: usize) -> f64 {
    1.0 / (1.0 + (at(scores, other) - at(scores, one)).exp())
}

/// The information that comparisons hold. Scores are told but for a constant: so that it can be inverted, the constant has a weight.
fn information(scores: &[f64], met: impl Iterator<Item = (usize, usize, f64)>) -> Vec<Vec<f64>> {
    let players = scores.len();
    let mut information = vec![vec![1.0 / players as f64; players]; players];
    for (one, other, count) in met {
        let share = expected(scores, one, other);
        let weight = count * share * (1.0 - share);
        for (row, column, sign) in [(one, one, 1.0), (other, other, 1.0), (one, other, -1.0), (other, one, -1.0)] {
            if let Some(row) = information.get_mut(row) {
                add(row, column, sign * weight);
            }
        }
    }
    information
}

fn standard_errors(scores: &[f64], comparisons: &[Own], tasks: usize) -> Vec<f64> {
    let players = scores.len();
    let inverse = inverse(information(scores, comparisons.iter().map(|(_, one, other, _)| (*one, *other, 1.0))));
    let mut gradients = BTreeMap::<u32, BTreeMap<usize, f64>>::new();
    for (task, one, other, won) in comparisons {
        let surplus = won - expected(scores, *one, *other);
        let gradient = gradients.entry(*task).or_default();
        *gradient.entry(*one).or_default() += surplus;
        *gradient.entry(*other).or_default() -= surplus;
    }
    let mut clustered = vec![0.0; players];
    for gradient in gradients.values() {
        for (variance, row) in clustered.iter_mut().zip(&inverse) {
            let moved = gradient.iter().map(|(player, value)| at(row, *player) * value).sum::<f64>();
            *variance += moved * moved;
        }
    }
    let few = tasks as f64 / (tasks as f64 - 1.0).max(1.0);
    // The weight of the constant is not known any better: it is taken off again.
    let independent = |player: usize| inverse.get(player).map_or(0.0, |row| at(row, player)) - 1.0 / players as f64;
    let greater = |(player, clustered): (usize, f64)| (few * clustered).max(independent(player)).max(0.0).sqrt();
    clustered.into_iter().enumerate().map(greater).collect()
}

fn at(values: &[f64], index: usize) -> f64 {
    values.get(index).copied().unwrap_or_default()
}

fn add(values: &mut [f64], index: usize, more: f64) {
    if let Some(value) = values.get_mut(index) {
        *value += more;
    }
}

/// By Gauss and Jordan, with the greatest pivot of each column.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let size = matrix.len();
    let unit = |row: usize| (0..size).map(|column| f64::from(u8::from(row == column))).collect::<Vec<_>>();
    let mut inverse = (0..size).map(unit).collect::<Vec<_>>();
    for column in 0..size {
        let size_of = |row: &usize| matrix.get(*row).map_or(0.0, |row| at(row, column).abs());
        let Some(pivot) = (column..size).max_by(|one, other| size_of(one).total_cmp(&size_of(other))) else { continue };
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let (Some(row), Some(own)) = (matrix.get(column).cloned(), inverse.get(column).cloned()) else { continue };
        let by = at(&row, column);
        for (index, (other, result)) in matrix.iter_mut().zip(&mut inverse).enumerate() {
            let factor = if index == column { 1.0 - 1.0 / by } else { at(other, column) / by };
            other.iter_mut().zip(&row).for_each(|(value, pivot)| *value -= factor * pivot);
            result.iter_mut().zip(&own).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strengths(players: usize, comparisons: &[Comparison]) -> BTreeMap<usize, Strength> {
        super::strengths(players, comparisons, &Progress::default()).unwrap().of
    }

    fn games(of: &[(u32, u32, u32, u32)]) -> Vec<Comparison> {
        let mut games = Vec::new();
        for (one, other, won, lost) in of {
            let results = std::iter::repeat_n(1.0, *won as usize).chain(std::iter::repeat_n(0.0, *lost as usize));
            for won in results {
                games.push(Comparison { task: games.len() as u32, one: *one, other: *other, won });
            }
        }
        games
    }

    #[test]
    fn of_two_players_the_difference_is_the_logarithm_of_the_odds() {
        let found = strengths(2, &games(&[(0, 1, 30, 10)]));
        assert!((found[&0].score - found[&1].score - 3f64.ln()).abs() < 1e-8);
        // The variance of a logarithm of odds is 1/30 + 1/10; either score is half the difference.
        let error = (1.0f64 / 30.0 + 1.0 / 10.0).sqrt() / 2.0;
        let found = found[&0].standard_error.unwrap();
        assert!((found - error * (40.0f64 / 39.0).sqrt()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn the_strengths_of_baseball_teams_are_those_of_agresti() {
        // American League, eastern division, 1987: Agresti, Categorical Data Analysis, table 10.10.
        let names = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"];
        let found = strengths(
            7,
            &games(&[
                (0, 1, 7, 6),
                (0, 2, 9, 4),
                (0, 3, 7, 6),
                (0, 4, 7, 6),
                (0, 5, 9, 4),
                (0, 6, 11, 2),
                (1, 2, 7, 6),
                (1, 3, 5, 8),
                (1, 4, 11, 2),
                (1, 5, 9, 4),
                (1, 6, 9, 4),
                (2, 3, 7, 6),
                (2, 4, 7, 6),
                (2, 5, 8, 5),
                (2, 6, 12, 1),
                (3, 4, 6, 7),
                (3, 5, 7, 6),
                (3, 6, 10, 3),
                (4, 5, 7, 6),
                (4, 6, 12, 1),
                (5, 6, 6, 7),
            ]),
        );
        let to_baltimore = [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0.0];
        for (player, published) in to_baltimore.iter().enumerate() {
            let score = found[&player].score - found[&6].score;
            assert!((score - published).abs() < 0.0015, "{}: {score}", names[player]);
        }
    }

    #[test]
    fn who_never_lost_to_a_group_has_no_score_beside_it() {
        let found = strengths(4, &games(&[(0, 1, 5, 0), (1, 2, 3, 2), (2, 1, 1, 1), (2, 3, 4, 0)]));
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(strengths(2, &games(&[(0, 1, 5, 0)])), BTreeMap::new());
        assert_eq!(strengths(0, &[]), BTreeMap::new());
        // A tie is half a win for either.
        let tie = [Comparison { task: 0, one: 0, other: 1, won: 0.5 }];
        assert_eq!(strengths(2, &tie)[&0].score, 0.0);
    }

    #[test]
    fn what_is_judged_twice_in_a_task_tells_no_more() {
        let once = games(&[(0, 1, 6, 4), (1, 2, 5, 5), (2, 0, 3, 7)]);
        let many = std::iter::repeat_n(&once, 9).flatten().copied().collect::<Vec<_>>();
        let [once, many] = [strengths(3, &once), strengths(3, &many)];
        for (player, one) in once {
            let (one, many) = (one.standard_error.unwrap(), many[&player].standard_error.unwrap());
            assert!(many > 0.9 * one && many < 1.000_001 * one, "{one} {many}");
        }
    }

    #[test]
    fn few_tasks_tell_little() {
        let game = |task, won| Comparison { task, one: 0, other: 1, won };
        let alone = [1.0, 0.0, 1.0].map(|won| game(0, won));
        assert_eq!(strengths(2, &alone)[&0].standard_error, None);
        // Two tasks in which the same was found.
        let equal = [game(0, 1.0), game(0, 0.0), game(1, 1.0), game(1, 0.0)];
        let error = strengths(2, &equal)[&0].standard_error.unwrap();
        assert!((error - 0.5).abs() < 1e-9, "that of four independent comparisons: {error}");
    }

    #[test]
    fn a_weak_bridge_is_found_exactly() {
        // Two pairs that met often, and each other seldom.
        let found = strengths(4, &games(&[(0, 1, 5_000, 5_000), (2, 3, 5_000, 5_000), (0, 2, 9, 1)]));
        assert!((found[&0].score - found[&2].score - 9f64.ln()).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn of_groups_that_never_met_that_with_most_comparisons_has_scores() {
        let found = strengths(5, &games(&[(0, 1, 1, 1), (2, 3, 20, 30), (4, 3, 1, 0)]));
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [2, 3]);
    }
}
