//! How strong players are, from who beat whom: the model of Bradley and Terry, a tie as half a win for either.
//!
//! The greatest likelihood is found as in David Hunter, "MM algorithms for generalized Bradley-Terry models" (2004). Where one group of
//! players never lost to the others there is none (Ford, 1957): so scores are those of the largest group within which everybody can be
//! reached from everybody by wins. Intervals are those of the sandwich estimator, clustered: what was judged in one task hangs together.

use std::collections::BTreeMap;

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
    pub standard_error: f64,
}

const MOST_STEPS: usize = 10_000;
/// Changes of scores that are none any more.
const SMALL: f64 = 1e-10;

/// The strengths of the players that can be compared; their mean is 0.
pub(super) fn strengths(players: usize, comparisons: &[Comparison]) -> BTreeMap<usize, Strength> {
    let members = comparable(players, comparisons);
    if members.len() < 2 {
        return BTreeMap::new();
    }
    let place = members.iter().enumerate().map(|(at, player)| (*player, at)).collect::<BTreeMap<_, _>>();
    let own = comparisons.iter().filter_map(|comparison| {
        let [one, other] = [comparison.one, comparison.other].map(|player| place.get(&(player as usize)).copied());
        Some((comparison.task, one?, other?, comparison.won))
    });
    let own = own.collect::<Vec<_>>();
    let scores = likeliest(members.len(), &own);
    let errors = standard_errors(&scores, &own);
    let strengths = scores.into_iter().zip(errors);
    let strengths = strengths.map(|(score, standard_error)| Strength { score, standard_error });
    members.into_iter().zip(strengths).collect()
}

/// Task, two players by their place, and what the one won.
type Own = (u32, usize, usize, f64);

/// The largest group within which everybody is reached from everybody by wins; of groups that are as large, the one with the first player.
fn comparable(players: usize, comparisons: &[Comparison]) -> Vec<usize> {
    let mut reaches = vec![vec![false; players]; players];
    let mut beats = |winner: u32, loser: u32| {
        if let Some(reached) = reaches.get_mut(winner as usize).and_then(|row| row.get_mut(loser as usize)) {
            *reached = true;
        }
    };
    for Comparison { one, other, won, .. } in comparisons {
        if *won > 0.0 {
            beats(*one, *other);
        }
        if *won < 1.0 {
            beats(*other, *one);
        }
    }
    for through in 0..players {
        let onward = reaches.get(through).cloned().unwrap_or_default();
        for row in reaches.iter_mut().filter(|row| row.get(through) == Some(&true)) {
            row.iter_mut().zip(&onward).for_each(|(reached, further)| *reached |= *further);
        }
    }
    let reached = |from: usize, to: usize| reaches.get(from).and_then(|row| row.get(to)) == Some(&true);
    let group = |of: usize| (0..players).filter(|other| reached(of, *other) && reached(*other, of)).collect::<Vec<_>>();
    let mut largest = Vec::new();
    for player in 0..players {
        let group = group(player);
        if group.len() > largest.len() {
            largest = group;
        }
    }
    largest
}

fn likeliest(players: usize, comparisons: &[Own]) -> Vec<f64> {
    let mut wins = vec![0.0; players];
    let mut met = BTreeMap::<(usize, usize), f64>::new();
    for (_, one, other, won) in comparisons {
        add(&mut wins, *one, *won);
        add(&mut wins, *other, 1.0 - won);
        *met.entry((*one.min(other), *one.max(other))).or_default() += 1.0;
    }
    let mut scores = vec![0.0_f64; players];
    for _ in 0..MOST_STEPS {
        let mut faced = vec![0.0; players];
        for ((one, other), count) in &met {
            let [own, theirs] = [at(&scores, *one).exp(), at(&scores, *other).exp()];
            let share = count / (own + theirs);
            add(&mut faced, *one, share);
            add(&mut faced, *other, share);
        }
        let mut next = wins.iter().zip(&faced).map(|(wins, faced)| (wins / faced).ln()).collect::<Vec<_>>();
        let mean = next.iter().sum::<f64>() / players as f64;
        next.iter_mut().for_each(|score| *score -= mean);
        let moved = next.iter().zip(&scores).map(|(next, score)| (next - score).abs()).fold(0.0, f64::max);
        scores = next;
        if moved < SMALL {
            break;
        }
    }
    scores
}

fn standard_errors(scores: &[f64], comparisons: &[Own]) -> Vec<f64> {
    let players = scores.len();
    // Scores are told but for a constant: so that it can be inverted, the constant is given a weight.
    let mut information = vec![vec![1.0 / players as f64; players]; players];
    let mut gradients = BTreeMap::<u32, BTreeMap<usize, f64>>::new();
    for (task, one, other, won) in comparisons {
        let expected = 1.0 / (1.0 + (at(scores, *other) - at(scores, *one)).exp());
        let weight = expected * (1.0 - expected);
        for (row, column, sign) in [(one, one, 1.0), (other, other, 1.0), (one, other, -1.0), (other, one, -1.0)] {
            if let Some(row) = information.get_mut(*row) {
                add(row, *column, sign * weight);
            }
        }
        let gradient = gradients.entry(*task).or_default();
        *gradient.entry(*one).or_default() += won - expected;
        *gradient.entry(*other).or_default() -= won - expected;
    }
    let inverse = inverse(information);
    let mut variances = vec![0.0; players];
    for gradient in gradients.values() {
        for (variance, row) in variances.iter_mut().zip(&inverse) {
            let moved = gradient.iter().map(|(player, value)| at(row, *player) * value).sum::<f64>();
            *variance += moved * moved;
        }
    }
    variances.into_iter().map(f64::sqrt).collect()
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
        assert!((found[&0].standard_error - error).abs() < 1e-6, "{}", found[&0].standard_error);
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
        let twice = once.iter().chain(&once).copied().collect::<Vec<_>>();
        let [once, twice] = [strengths(3, &once), strengths(3, &twice)];
        for (player, one) in once {
            assert!((one.standard_error - twice[&player].standard_error).abs() < 1e-8);
        }
    }
}
