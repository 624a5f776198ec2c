//! From annotations to votes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::options::{Aggregate, By, DatasetOptions, Method, SplitBy};
use super::report::{LeftOut, Reason};
use super::rubric::Scored;
use super::votes::{Teller, Votes, mean};
use crate::annotations::Value;
use crate::error::{Error, Result};
use crate::judged::{self, Judgement, Message, RUBRIC_RATING, Turn, ranks};
use crate::table::catalog::annotations::Row;

/// The key under which Scale's samples name the answer that a conversation is gone on with.
pub(super) const WENT_ON: &str = "selected_model_id";

/// What was met of the keys.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Keys that there are judgements by.
    keys: BTreeSet<String>,
    /// Whether a task has the value in its metadata that splits go by.
    pub has_metadata: bool,
    /// Keys with ratings, of which somebody must tell which are good.
    rated: BTreeSet<String>,
    /// Keys with ratings that are no flags.
    numbers: BTreeSet<String>,
    /// What their ratings lie between, in words.
    scales: BTreeMap<String, BTreeSet<String>>,
}

/// Reads the judgements of a part.
pub(super) struct Judge<'o> {
    pub options: &'o DatasetOptions,
    pub met: RefCell<Met>,
    pub left_out: RefCell<LeftOut>,
    /// Possible values that were read.
    bounds: RefCell<HashMap<String, Option<(f64, f64)>>>,
}

/// What was judged of candidates.
pub(super) struct Judged {
    pub votes: Votes,
    /// Of each key the mean rating of each candidate, as people gave it.
    pub means: Vec<Vec<Option<f64>>>,
}

impl Judged {
    pub(super) fn is_rated(&self) -> bool {
        self.means.iter().flatten().any(Option::is_some)
    }
}

/// What stands beside each other.
pub(super) struct Candidates<'c, 't> {
    /// A message for each: the answer, or one of the conversation.
    pub messages: &'c [&'c Message<'t>],
    /// What was said of all of them.
    pub said: &'c [&'c Judgement<'t>],
    /// What was said of each.
    pub of_each: &'c [Vec<&'c Judgement<'t>>],
    /// The scores of each by rubrics, and how they came to be.
    pub rubric_scores: (&'c [Vec<f64>], Option<Scored>),
}

impl<'o> Judge<'o> {
    pub(super) fn new(options: &'o DatasetOptions) -> Judge<'o> {
        Judge { options, met: RefCell::default(), left_out: RefCell::default(), bounds: RefCell::default() }
    }

    /// Notes that there are judgements by a key.
    pub(super) fn meet(&self, key: &str) {
        let mut met = self.met.borrow_mut();
        if !met.keys.contains(key) {
            met.keys.insert(key.to_owned());
        }
    }

    pub(super) fn leave_out(&self, reason: Reason) {
        self.left_out.borrow_mut().add(reason);
    }

    pub(super) fn into_found(self) -> (Met, LeftOut) {
        (self.met.into_inner(), self.left_out.into_inner())
    }

    /// A judgement that stands on what can't be compared.
    pub(super) fn misplaced(&self, judgement: &Judgement<'_>) {
        if self.options.by.iter().any(|by| judgement.key == Some(by.key.as_str())) {
            self.leave_out(Reason::Judgement(judged::misplaced(judgement)));
        }
    }

    /// Whether an annotation is of use; notes by which keys there are any.
    pub(super) fn note_if_wanted(&self, row: &Row<'_>) -> bool {
        let options = self.options;
        let is_by = |key: &str| options.by.iter().any(|by| by.key == key);
        let is_known = |key: &str| {
            is_by(key) || Some(key) == options.rewrite_by.as_deref() || self.history_keys().any(|known| known == key)
        };
        let is_of_rubric = self.has_rubrics() && is_of_rubric(row);
        if let Some(key) = row.key.filter(|key| is_known(key)) {
            self.meet(key);
        }
        if is_of_rubric {
            self.meet(By::RUBRIC);
        }
        is_of_rubric || row.key.is_some_and(is_known)
    }

    pub(super) fn has_rubrics(&self) -> bool {
        self.options.method == Method::Grpo || self.options.by.iter().any(|by| by.key == By::RUBRIC)
    }

    /// Whether annotations judge a turn or its answers by the keys; where rows need none, always.
    pub(super) fn is_asked(&self, turn: &Turn<'_>) -> bool {
        let is_by = |judgement: &Judgement<'_>| self.options.by.iter().any(|by| judgement.key == Some(by.key.as_str()));
        match self.options.method {
            Method::Sft | Method::Grpo => true,
            Method::Dpo | Method::Reward | Method::Kto => {
                turn.said.iter().chain(turn.answers.iter().flat_map(|answer| answer.said)).any(is_by)
            }
        }
    }

    /// Keys that tell which answer a conversation was gone on with, the most telling first.
    fn history_keys(&self) -> impl Iterator<Item = &str> {
        let named = self.options.history_by.as_deref();
        let chosen = self.options.by.iter().filter(|by| by.weight > 0.0);
        let others = chosen.map(|by| by.key.as_str()).chain([WENT_ON]);
        named.into_iter().chain(others.filter(move |_| named.is_none()))
    }

    /// The answer that a conversation was gone on with.
    pub(super) fn went_on(&self, said: &[Judgement<'_>], answers: &[Message<'_>]) -> Option<usize> {
        let answers = answers.iter().collect::<Vec<_>>();
        self.history_keys().find_map(|key| {
            let of_key = said.iter().filter(|judgement| judgement.key == Some(key));
            let judgements = of_key.filter_map(|judgement| ranks(judgement, &answers, &self.options.ties).ok());
            let tellers = vec![(1.0, Teller::Ranks(judgements.collect()))];
            let votes = Votes { tellers, candidates: answers.len(), better: None };
            votes.best(Aggregate::Majority).ok()
        })
    }

    /// Another text for a message: the last that was given.
    pub(super) fn rewritten<'t>(&self, message: &Message<'t>) -> Option<&'t str> {
        let key = self.options.rewrite_by.as_deref().filter(|_| message.is_answer())?;
        message.said.iter().rev().filter(|judgement| judgement.key == Some(key)).find_map(|judgement| {
            match judgement.value {
                Some(Value::Text(text)) if !text.is_empty() => Some(text),
                _ => None,
            }
        })
    }

    /// What all keys say of candidates.
    pub(super) fn judged(&self, candidates: &Candidates<'_, '_>) -> Judged {
        let mut judged = Judged {
            votes: Votes { tellers: Vec::new(), candidates: candidates.messages.len(), better: self.options.better },
            means: Vec::new(),
        };
        for by in &self.options.by {
            let (teller, means) = match by.key.as_str() {
                By::RUBRIC => self.of_rubrics(candidates),
                key => self.of_key(key, candidates),
            };
            judged.votes.tellers.push((by.weight, teller));
            judged.means.push(means);
        }
        judged
    }

    fn of_rubrics(&self, candidates: &Candidates<'_, '_>) -> (Teller, Vec<Option<f64>>) {
        let (scores, scored) = candidates.rubric_scores;
        let scores = scores.to_vec();
        if let Some(scored) = scored {
            let mut met = self.met.borrow_mut();
            met.numbers.insert(By::RUBRIC.to_owned());
            met.scales.entry(By::RUBRIC.to_owned()).or_default().insert(scored.word().to_owned());
        }
        let means = scores.iter().map(|scores| some_mean(scores)).collect();
        let ratings = scores.into_iter().map(|scores| scores.into_iter().enumerate().collect()).collect();
        (Teller::Ratings(ratings, false), means)
    }

    fn of_key(&self, key: &str, candidates: &Candidates<'_, '_>) -> (Teller, Vec<Option<f64>>) {
        let mut judgements = Vec::new();
        let is_of_key = |judgement: &&&Judgement<'_>| judgement.key == Some(key);
        for judgement in candidates.said.iter().filter(is_of_key) {
            match ranks(judgement, candidates.messages, &self.options.ties) {
                Ok(ranks) => judgements.push(ranks),
                Err(reason) => self.leave_out(Reason::Judgement(reason)),
            }
        }
        let (mut ratings, mut means, mut is_unit) = (Vec::new(), Vec::new(), true);
        for said in candidates.of_each {
            let (mut own, mut raw) = (Vec::new(), Vec::new());
            for (place, judgement) in said.iter().filter(is_of_key).enumerate() {
                match self.rating(key, judgement) {
                    Ok((value, rating)) => {
                        is_unit &= self.options.normalises || matches!(judgement.value, Some(Value::Boolean(_)));
                        raw.push(value);
                        own.push((place, rating));
                    }
                    Err(reason) => self.leave_out(reason),
                }
            }
            means.push(some_mean(&raw));
            ratings.push(own);
        }
        match judgements.is_empty() {
            true => (Teller::Ratings(ratings, is_unit), means),
            false => (Teller::Ranks(judgements), means),
        }
    }

    /// A rating as it was given, and as it counts.
    fn rating(&self, key: &str, judgement: &Judgement<'_>) -> Result<(f64, f64), Reason> {
        let number = match judgement.value {
            None => return Err(Reason::Judgement(judged::Reason::NoValue)),
            Some(Value::Boolean(flag)) => {
                self.met.borrow_mut().rate(key, Some("no or yes".to_owned()));
                return Ok((f64::from(u8::from(flag)), f64::from(u8::from(flag))));
            }
            Some(Value::Number(number)) => number,
            Some(_) => return Err(Reason::Judgement(judged::Reason::NoComparison)),
        };
        let scale = self.scale(judgement);
        let mut met = self.met.borrow_mut();
        met.rate(key, scale.map(|(least, most)| format!("{least} to {most}")));
        met.numbers.insert(key.to_owned());
        match scale.filter(|(least, most)| least < most && (*least..=*most).contains(&number)) {
            _ if !self.options.normalises => Ok((number, number)),
            Some((least, most)) => Ok((number, (number - least) / (most - least))),
            None => Err(Reason::NoScale),
        }
    }

    /// The least and the greatest value that a rating could have.
    fn scale(&self, judgement: &Judgement<'_>) -> Option<(f64, f64)> {
        let possible = judgement.possible_values?;
        let mut known = self.bounds.borrow_mut();
        if let Some(scale) = known.get(possible) {
            return *scale;
        }
        let scale = bounds(possible);
        known.insert(possible.to_owned(), scale);
        scale
    }
}

impl Met {
    fn rate(&mut self, key: &str, scale: Option<String>) {
        self.rated.insert(key.to_owned());
        if let Some(scale) = scale {
            self.scales.entry(key.to_owned()).or_default().insert(scale);
        }
    }

    pub(super) fn merge(&mut self, other: Met) {
        self.keys.extend(other.keys);
        self.has_metadata |= other.has_metadata;
        self.rated.extend(other.rated);
        self.numbers.extend(other.numbers);
        other.scales.into_iter().for_each(|(key, scales)| self.scales.entry(key).or_default().extend(scales));
    }

    /// An error where what was met needs another setting.
    pub(super) fn check(&self, options: &DatasetOptions) -> Result<()> {
        let wrong = |setting, expected: String, found: String| Err(Error::Usage { setting, expected, found });
        if let Some(key) = self.rated.first().filter(|_| options.better.is_none()) {
            let expected =
                format!("`higher` or `lower`, since `{key}` is a rating or a flag: in some projects 1 is best");
            return wrong("--better", expected, "nothing".to_owned());
        }
        if let Some(key) = self.numbers.first().filter(|_| options.method == Method::Kto && options.threshold.is_none())
        {
            let expected = format!("the rating from which an answer is good, since `{key}` is a number");
            return wrong("--threshold", expected, "nothing".to_owned());
        }
        let is_compared_in_turns = options.method == Method::Sft && options.threshold.is_none();
        if options.normalises || is_compared_in_turns && options.by.len() < 2 {
            return Ok(());
        }
        if self.scales.values().flatten().collect::<BTreeSet<_>>().len() < 2 {
            return Ok(());
        }
        let all = self.scales.iter().flat_map(|(key, scales)| scales.iter().map(move |scale| (scale, key)));
        let scales = all.map(|(scale, key)| format!("`{key}` is {scale}")).collect::<Vec<_>>();
        let expected = match self.scales.contains_key(By::RUBRIC) {
            true => "scores of rubrics of one kind, and no ratings beside them, since their scales differ",
            false => "--normalise, which brings ratings to 0 to 1, since their scales differ",
        };
        wrong("--by", expected.to_owned(), scales.join(", "))
    }

    /// An error where a key is none that there are judgements by.
    pub(super) fn check_keys(&self, options: &DatasetOptions) -> Result<()> {
        let wrong = |setting, expected: &str, found: &str| {
            Err(Error::Usage { setting, expected: expected.to_owned(), found: format!("`{found}`") })
        };
        if let Some(by) = options.by.iter().find(|by| !self.keys.contains(&by.key)) {
            let expected = match by.key.as_str() {
                By::RUBRIC => "scores of rubrics, which no answer has",
                _ => "a key that annotations of turns, answers or threads have: `taskloom annotations` lists them",
            };
            return wrong("--by", expected, &by.key);
        }
        let others = [("--rewrite-by", &options.rewrite_by), ("--history-by", &options.history_by)];
        for (setting, key) in others.into_iter().filter_map(|(setting, key)| Some((setting, key.as_ref()?))) {
            if !self.keys.contains(key) {
                return wrong(setting, "a key of annotations: `taskloom annotations` lists them", key);
            }
        }
        match &options.split_by {
            SplitBy::Metadata(key) if options.split > 0.0 && !self.has_metadata => {
                wrong("--split-by", "a key of the tasks' metadata", key)
            }
            _ => Ok(()),
        }
    }
}

fn some_mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| mean(values))
}

fn is_of_rubric(row: &Row<'_>) -> bool {
    row.value_score.is_some()
        || row.value_weight.is_some()
        || [Some(CRITERION), Some(RUBRIC_RATING)].contains(&row.r#type)
}

/// Whether an annotation is a criterion of a rubric.
pub(super) fn is_criterion(judgement: &Judgement<'_>) -> bool {
    judgement.weight.is_some() || judgement.r#type == Some(CRITERION)
}

/// The type of an annotation that is a criterion.
const CRITERION: &str = "rubric_criteria";

/// The least and the greatest number of a list, or of a list in it.
fn bounds(possible: &str) -> Option<(f64, f64)> {
    let list: Vec<serde_json::Value> = serde_json::from_str(possible).ok()?;
    let inner = list.first().and_then(serde_json::Value::as_array).filter(|_| list.len() == 1);
    let numbers = inner.unwrap_or(&list).iter().map(serde_json::Value::as_f64).collect::<Option<Vec<_>>>()?;
    let least = numbers.iter().copied().reduce(f64::min)?;
    Some((least, numbers.iter().copied().reduce(f64::max)?))
}
