//! What judgements say of candidates that stand beside each other: answers of a turn, or whole conversations.
//!
//! A key tells by ranks (a choice, a ranking) or by ratings (numbers, flags, scores of rubrics). Of each two candidates a key gives as many
//! votes as people judged them, each how much the first is ahead; keys are added up by their weights, vote by vote where they have the same
//! number of votes, else by their means.

use super::options::Aggregate;
use super::report::Reason;
use crate::judged::Better;

/// Ratings of a candidate, each with its place among all that were asked for: some have no value.
pub(super) type Ratings = Vec<(usize, f64)>;

/// What one key says of all candidates.
#[derive(Clone, Debug)]
pub(super) enum Teller {
    /// Of each judgement the rank of each candidate, 0 for the best; `None` for those that it does not name.
    Ranks(Vec<Vec<Option<usize>>>),
    /// Of each candidate its ratings; and whether these lie between 0 and 1.
    Ratings(Vec<Ratings>, bool),
}

/// What all keys say, each with its weight; what a key with a negative one says is turned round.
#[derive(Clone, Debug)]
pub(super) struct Votes {
    pub tellers: Vec<(f64, Teller)>,
    pub candidates: usize,
    pub better: Option<Better>,
}

/// How one candidate does beside another, or beside a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Whether the first is better, or the candidate good.
    pub is_first: bool,
    /// How many judged.
    pub votes: i32,
    /// The share of votes that say the same; a tie is half a vote.
    pub share: f64,
    /// The share of votes that say that the first is better.
    pub first_share: f64,
    /// How far the better one is ahead: the mean difference of ratings. `None` where a key ranks.
    pub margin: Option<f64>,
}

impl Votes {
    /// Whether differences are those of ratings.
    fn has_margin(&self) -> bool {
        self.tellers.iter().all(|(_, teller)| matches!(teller, Teller::Ratings(..)))
    }

    /// How far the one is ahead of the other, judgement by judgement; none where nothing is said of the two.
    fn pair(&self, one: usize, other: usize) -> Result<Vec<f64>, Reason> {
        let sign = if self.better == Some(Better::Lower) { -1.0 } else { 1.0 };
        let of = |teller: &Teller| match teller {
            Teller::Ranks(judgements) => Ok(judgements.iter().filter_map(|ranks| ahead(ranks, one, other)).collect()),
            Teller::Ratings(ratings, _) => match (ratings.get(one), ratings.get(other)) {
                (Some(own), Some(theirs)) if own.is_empty() != theirs.is_empty() => Err(Reason::Unjudged),
                (Some(own), Some(theirs))
                    if own.iter().map(|(place, _)| place).eq(theirs.iter().map(|(place, _)| place)) =>
                {
                    Ok(own.iter().zip(theirs).map(|((_, own), (_, theirs))| sign * (own - theirs)).collect())
                }
                (Some(own), Some(theirs)) => Ok(vec![sign * (mean(&values(own)) - mean(&values(theirs)))]),
                _ => Ok(Vec::new()),
            },
        };
        let turned = |(weight, teller): &(f64, Teller)| {
            Ok(of(teller)?.into_iter().map(|ahead| weight.signum() * ahead).collect())
        };
        let of_each = self.tellers.iter().map(turned).collect::<Result<Vec<Vec<f64>>, Reason>>()?;
        if of_each.iter().all(Vec::is_empty) {
            return Ok(Vec::new());
        }
        self.added(&of_each)
    }

    /// The votes of all keys together.
    fn added(&self, of_each: &[Vec<f64>]) -> Result<Vec<f64>, Reason> {
        if of_each.iter().any(Vec::is_empty) {
            return Err(Reason::Unjudged);
        }
        let count = of_each.first().map_or(0, Vec::len);
        let total = self.tellers.iter().map(|(weight, _)| weight.abs()).sum::<f64>();
        let weighted = |value: &dyn Fn(&Vec<f64>) -> f64| {
            let each = self.tellers.iter().zip(of_each).map(|((weight, _), votes)| weight.abs() * value(votes));
            each.sum::<f64>() / total
        };
        if of_each.iter().any(|votes| votes.len() != count) {
            return Ok(vec![weighted(&|votes| mean(votes))]);
        }
        Ok((0..count).map(|vote| weighted(&|votes| votes.get(vote).copied().unwrap_or_default())).collect())
    }

    /// Who of two is better; nobody where nothing is said of the two.
    pub(super) fn compare(&self, one: usize, other: usize, aggregate: Aggregate) -> Result<Vec<Verdict>, Reason> {
        let balances = self.pair(one, other)?;
        let has_margin = self.has_margin();
        if balances.is_empty() { Ok(Vec::new()) } else { decide(&balances, aggregate, has_margin) }
    }

    /// The candidate that is better than each other one.
    pub(super) fn best(&self, aggregate: Aggregate) -> Result<usize, Reason> {
        let aggregate = if aggregate == Aggregate::All { Aggregate::Majority } else { aggregate };
        let mut why = Reason::Unjudged;
        'candidates: for one in 0..self.candidates {
            for other in (0..self.candidates).filter(|other| *other != one) {
                match self.compare(one, other, aggregate) {
                    Ok(verdicts) if verdicts.first().is_some_and(|verdict| verdict.is_first) => {}
                    Ok(_) => continue 'candidates,
                    Err(reason) => {
                        why = reason;
                        continue 'candidates;
                    }
                }
            }
            return Ok(one);
        }
        Err(why)
    }

    /// Whether each key says something of a candidate.
    pub(super) fn is_judged(&self, of: usize) -> bool {
        self.tellers.iter().all(|(_, teller)| match teller {
            Teller::Ranks(judgements) => judgements.iter().any(|ranks| ranks.get(of).copied().flatten().is_some()),
            Teller::Ratings(ratings, _) => ratings.get(of).is_some_and(|ratings| !ratings.is_empty()),
        })
    }

    /// How good a candidate is, judgement by judgement: what is chosen is 1, what is not is 0, and a tie of all is between.
    fn scores(&self, of: usize) -> Result<Vec<f64>, Reason> {
        let is_lower = self.better == Some(Better::Lower);
        let of_each = self.tellers.iter().map(|(weight, teller)| {
            let (scores, is_unit) = match teller {
                Teller::Ranks(judgements) => {
                    (judgements.iter().map(|ranks| chosen(ranks, of, is_lower)).collect(), true)
                }
                Teller::Ratings(ratings, is_unit) => {
                    (ratings.get(of).map(|own| values(own)).unwrap_or_default(), *is_unit)
                }
            };
            let turned = |score: f64| if is_unit { 1.0 - score } else { -score };
            if *weight < 0.0 { scores.into_iter().map(turned).collect() } else { scores }
        });
        self.added(&of_each.collect::<Vec<Vec<f64>>>())
    }

    /// Whether a candidate is good: reaches a threshold, or, where there is none, is more good than not.
    pub(super) fn reaches(
        &self,
        of: usize,
        threshold: Option<f64>,
        aggregate: Aggregate,
    ) -> Result<Vec<Verdict>, Reason> {
        let sign = if self.better == Some(Better::Lower) { -1.0 } else { 1.0 };
        let scores = self.scores(of)?;
        // What lies at the threshold is good; without one it is a tie.
        let vote = |score: f64| match (sign * (score - threshold.unwrap_or(HALF)), threshold) {
            (ahead, None) if ahead.abs() <= NEAR => 0.0,
            (ahead, _) if ahead >= -NEAR => 1.0,
            _ => -1.0,
        };
        let votes = scores.iter().map(|score| vote(*score)).collect::<Vec<_>>();
        match (aggregate, vote(mean(&scores))) {
            (Aggregate::Mean, 0.0) => Err(Reason::Tie),
            (Aggregate::Mean, balance) => Ok(vec![of_sign(balance, &votes)]),
            _ => decide(&votes, aggregate, false),
        }
    }
}

/// Between no and yes.
const HALF: f64 = 0.5;

/// Whether a judgement puts a candidate first.
fn chosen(ranks: &[Option<usize>], of: usize, is_lower: bool) -> f64 {
    if ranks.len() > 1 && ranks.iter().all(|rank| *rank == Some(0)) {
        return HALF;
    }
    let is_best = ranks.get(of).copied().flatten() == Some(0);
    if is_best == is_lower { 0.0 } else { 1.0 }
}

/// Differences that are due to rounding.
const NEAR: f64 = 1e-9;

/// How far the one is ahead by a ranking. A choice says nothing of two that were not chosen.
fn ahead(ranks: &[Option<usize>], one: usize, other: usize) -> Option<f64> {
    match (ranks.get(one)?, ranks.get(other)?) {
        (None, None) => None,
        (Some(_), None) => Some(1.0),
        (None, Some(_)) => Some(-1.0),
        (Some(own), Some(theirs)) => Some(match own.cmp(theirs) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.0,
            std::cmp::Ordering::Greater => -1.0,
        }),
    }
}

fn values(ratings: &[(usize, f64)]) -> Vec<f64> {
    ratings.iter().map(|(_, value)| *value).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Votes for the first, for the second, and for neither.
fn counts(balances: &[f64]) -> [usize; 3] {
    let won = balances.iter().filter(|balance| **balance > NEAR).count();
    let lost = balances.iter().filter(|balance| **balance < -NEAR).count();
    [won, lost, balances.len() - won - lost]
}

fn decide(balances: &[f64], aggregate: Aggregate, has_margin: bool) -> Result<Vec<Verdict>, Reason> {
    let [won, lost, tied] = counts(balances);
    let all = balances.len();
    if all == 0 {
        return Err(Reason::Unjudged);
    }
    if tied == all {
        return Err(Reason::Tie);
    }
    let middle = mean(balances);
    let balance = match aggregate {
        Aggregate::Unanimous if won == all || lost == all => middle,
        Aggregate::Unanimous => return Err(Reason::Disagreement),
        // A majority whose ratings say the opposite together says nothing.
        Aggregate::Majority if won == lost || has_margin && (middle < -NEAR) == (won > lost) && middle.abs() > NEAR => {
            return Err(Reason::Disagreement);
        }
        Aggregate::Majority => won as f64 - lost as f64,
        Aggregate::Mean if middle.abs() <= NEAR => return Err(Reason::Disagreement),
        Aggregate::Mean => middle,
        Aggregate::All => {
            let each = balances.iter().filter(|balance| balance.abs() > NEAR);
            let own = |balance: &f64| with_margin(of_sign(*balance, &[*balance]), *balance, has_margin);
            return Ok(each.map(own).collect());
        }
    };
    Ok(vec![with_margin(of_sign(balance, balances), middle, has_margin)])
}

fn of_sign(balance: f64, balances: &[f64]) -> Verdict {
    let [won, lost, tied] = counts(balances);
    let is_first = balance > 0.0;
    let share = |votes: usize| (votes as f64 + tied as f64 / 2.0) / balances.len() as f64;
    let first_share = share(won);
    let share = if is_first { first_share } else { share(lost) };
    Verdict { is_first, votes: balances.len() as i32, share, first_share, margin: None }
}

fn with_margin(verdict: Verdict, balance: f64, has_margin: bool) -> Verdict {
    Verdict { margin: has_margin.then_some(if verdict.is_first { balance } else { -balance }), ..verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratings(of: &[&[f64]]) -> Votes {
        let ratings = of.iter().map(|ratings| ratings.iter().copied().enumerate().collect()).collect();
        Votes {
            tellers: vec![(1.0, Teller::Ratings(ratings, false))],
            candidates: of.len(),
            better: Some(Better::Higher),
        }
    }

    fn choices(of: &[&[Option<usize>]]) -> Votes {
        let candidates = of.first().map_or(0, |ranks| ranks.len());
        let ranks = of.iter().map(|ranks| ranks.to_vec()).collect();
        Votes { tellers: vec![(1.0, Teller::Ranks(ranks))], candidates, better: None }
    }

    #[test]
    fn repeated_judgements_become_one_by_each_way() {
        // Three people: 5 against 3, 4 against 4, 1 against 2.
        let votes = ratings(&[&[5.0, 4.0, 1.0], &[3.0, 4.0, 2.0]]);
        let by = |aggregate| votes.compare(0, 1, aggregate);
        assert_eq!(by(Aggregate::Unanimous), Err(Reason::Disagreement));
        assert_eq!(by(Aggregate::Majority), Err(Reason::Disagreement));
        let mean = by(Aggregate::Mean).unwrap();
        assert_eq!(mean, [Verdict { is_first: true, votes: 3, share: 0.5, first_share: 0.5, margin: Some(1.0 / 3.0) }]);
        let all = by(Aggregate::All).unwrap();
        let all = all.iter().map(|verdict| (verdict.is_first, verdict.margin, verdict.votes)).collect::<Vec<_>>();
        assert_eq!(all, [(true, Some(2.0), 1), (false, Some(1.0), 1)]);
    }

    #[test]
    fn ratings_stand_beside_each_other_by_their_places() {
        let of = |one: Ratings, other: Ratings| {
            let tellers = vec![(1.0, Teller::Ratings(vec![one, other], false))];
            Votes { tellers, candidates: 2, better: None }.compare(0, 1, Aggregate::Mean).unwrap()[0]
        };
        // The second one has no value in the same place.
        let both = of(vec![(0, 5.0), (2, 4.0)], vec![(0, 3.0), (2, 3.0)]);
        assert_eq!((both.votes, both.margin), (2, Some(1.5)));
        let apart = of(vec![(0, 5.0)], vec![(1, 3.0)]);
        assert_eq!((apart.votes, apart.margin), (1, Some(2.0)));
    }

    #[test]
    fn a_majority_against_the_mean_is_no_agreement() {
        let votes = ratings(&[&[3.0, 3.0, 1.0], &[2.0, 2.0, 5.0]]);
        assert_eq!(votes.compare(0, 1, Aggregate::Majority), Err(Reason::Disagreement));
        assert_eq!(votes.compare(1, 0, Aggregate::Majority), Err(Reason::Disagreement));
        assert!(!votes.compare(0, 1, Aggregate::Mean).unwrap()[0].is_first);
    }

    #[test]
    fn a_tie_of_all_makes_nobody_good() {
        let both = choices(&[&[Some(0), Some(0)]]);
        assert_eq!(both.reaches(0, None, Aggregate::Majority), Err(Reason::Tie));
        let one = choices(&[&[Some(0), Some(0)], &[Some(0), None]]);
        let [own, other] = [0, 1].map(|of| one.reaches(of, None, Aggregate::Majority).unwrap()[0]);
        assert_eq!((own.is_first, own.first_share), (true, 0.75));
        assert_eq!((other.is_first, other.first_share), (false, 0.25));
    }

    #[test]
    fn a_choice_says_nothing_of_those_that_were_not_chosen() {
        let votes = choices(&[&[Some(0), None, None], &[Some(0), None, None], &[None, None, Some(0)]]);
        assert_eq!(votes.compare(0, 1, Aggregate::Majority).unwrap()[0].votes, 2);
        assert_eq!(votes.compare(0, 2, Aggregate::Majority).unwrap()[0].share, 2.0 / 3.0);
        assert_eq!(votes.best(Aggregate::Majority), Ok(0));
        assert_eq!(votes.best(Aggregate::Unanimous), Err(Reason::Disagreement));
        let two = choices(&[&[Some(0), None, None]]);
        assert_eq!(two.compare(1, 2, Aggregate::Majority), Ok(vec![]));
    }

    #[test]
    fn keys_are_added_up_by_weight_and_one_that_is_silent_leaves_a_pair_open() {
        let mut votes = ratings(&[&[5.0], &[3.0]]);
        votes.tellers.push((3.0, Teller::Ratings(vec![vec![(0, 1.0), (1, 3.0)], vec![(0, 3.0), (1, 3.0)]], false)));
        // (1 · 2 + 3 · -1) / 4, since the second key has two judgements of each.
        let verdict = votes.compare(0, 1, Aggregate::Majority).unwrap()[0];
        assert_eq!((verdict.is_first, verdict.margin), (false, Some(0.25)));
        votes.tellers.push((1.0, Teller::Ratings(vec![vec![], vec![]], false)));
        assert_eq!(votes.compare(0, 1, Aggregate::Majority), Err(Reason::Unjudged));
    }

    #[test]
    fn what_lies_at_the_threshold_is_good_whatever_is_better() {
        let votes = ratings(&[&[4.0, 2.0, 4.5]]);
        let good = votes.reaches(0, Some(4.0), Aggregate::Majority).unwrap()[0];
        assert!(good.is_first && (good.share - 2.0 / 3.0).abs() < 1e-12 && good.votes == 3);
        assert!(!votes.reaches(0, Some(4.0), Aggregate::Mean).unwrap()[0].is_first);
        let low = Votes { better: Some(Better::Lower), ..votes };
        assert!(low.reaches(0, Some(4.0), Aggregate::Majority).unwrap()[0].is_first);
        assert!(low.reaches(0, Some(2.0), Aggregate::All).unwrap()[1].is_first);
    }
}
