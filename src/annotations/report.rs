//! What is told of the annotations of a lake.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Question;
use super::agreement::Measurement;
use super::counted::Bin;
use super::tally::{Group, Kinds, Tally};
use crate::table::Scope;

/// The annotations of a lake at one version.
#[derive(Clone, Debug, Serialize)]
pub struct AnnotationReport {
    /// The version.
    pub version: u64,
    /// The project that was looked at; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Tasks that were looked at.
    pub tasks: u64,
    /// What annotations can stand on, by level: how many there are.
    pub units: BTreeMap<&'static str, u64>,
    /// Each key at each level, the most frequent first.
    pub keys: Vec<KeyReport>,
}

/// One key at one level.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReport {
    /// The key; `None` for annotations without one.
    pub key: Option<String>,
    /// Of those without a key what they ask, by their title or else their id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What they stand on: a word of the column `scope`.
    pub level: &'static str,
    /// Their declared types, each with its number; empty text for none.
    pub types: BTreeMap<String, u64>,
    /// Annotations.
    pub count: u64,
    /// Units that have one or more.
    pub units: u64,
    /// The share of all units of the level that have one, from 0 to 1.
    pub share_of_units: f64,
    /// Tasks that have one or more.
    pub tasks: u64,
    /// Projects that have one or more; `None` where they are more than a thousand.
    pub projects: Option<u64>,
    /// Those that say that the question does not apply. They have no value that counts.
    pub not_applicable: u64,
    /// Those that say that it can't be told. The same.
    pub cannot_assess: u64,
    /// Those that give reasons.
    pub justified: u64,
    /// What they could be used for.
    pub uses: Vec<Use>,
    /// Distinct values; `None` where they are more than a thousand.
    pub distinct_values: Option<u64>,
    /// The most frequent values; none of texts that are written freely. Of several words in one, each; of a ranking, the best.
    pub values: Vec<ValueReport>,
    /// The numbers among the values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumberReport>,
    /// Characters of the texts among the values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<NumberReport>,
    /// Sets of possible values; `None` where they are more than a thousand.
    pub distinct_scales: Option<u64>,
    /// The most frequent ones.
    pub scales: Vec<ScaleReport>,
    /// Judgements of what was judged more than once.
    pub repeated: RepeatedReport,
    /// Month by month, by the dates of the partitions.
    pub months: Vec<MonthReport>,
    /// Who judged, where the thread tells of one submission alone: an annotation itself names nobody.
    pub contributors: Vec<ContributorReport>,
}

/// What annotations are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// One of several answers, by its source or model.
    Choice,
    /// A number for an answer, or for a turn.
    Rating,
    /// Answers in an order.
    Ranking,
    /// Scores by the criteria of a rubric.
    Rubric,
    /// A better answer in words.
    Rewrite,
    /// Yes or no.
    Flag,
}

impl Use {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Use::Choice => "choice",
            Use::Rating => "rating",
            Use::Ranking => "ranking",
            Use::Rubric => "rubric",
            Use::Rewrite => "rewrite",
            Use::Flag => "flag",
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueReport {
    /// The value, as text.
    pub value: String,
    /// Its labels, the most frequent first; several where tasks differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// How often it was given.
    pub count: u64,
}

/// Numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberReport {
    /// How many.
    pub count: u64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// The mean.
    pub mean: f64,
    /// How they are spread.
    pub histogram: Vec<Bin>,
}

/// A set of possible values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScaleReport {
    /// The values, as JSON.
    pub possible_values: String,
    /// Annotations that have it.
    pub count: u64,
}

/// What was judged more than once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatedReport {
    /// Units with several values of the key.
    pub units: u64,
    /// The most values of one unit.
    pub most: u64,
    /// Pairs of values within a unit that are equal, from 0 to 1: the mean over units.
    pub percent_agreement: Option<f64>,
    /// Krippendorff's alpha. Approximate: nobody tells which judgements are of the same person.
    pub alpha: Option<f64>,
    /// What differences between values mean for it.
    pub measurement: Measurement,
}

/// A month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MonthReport {
    /// Year and month; `None` for tasks without a date.
    pub month: Option<String>,
    /// Annotations with a value.
    pub count: u64,
    /// The mean of the numbers.
    pub mean: Option<f64>,
    /// The most frequent values.
    pub values: Vec<ValueReport>,
}

/// A contributor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContributorReport {
    /// The id.
    pub contributor_id: String,
    /// Annotations with a value.
    pub count: u64,
    /// The mean of the numbers.
    pub mean: Option<f64>,
    /// The most frequent values.
    pub values: Vec<ValueReport>,
}

/// Values, scales and contributors that are told of.
const MOST_SHOWN: usize = 20;
/// Values of a month or a contributor.
const MOST_OF_GROUP: usize = 5;

/// What is told of one key at one level. `units` are all of the level.
pub(super) fn of_key(
    question: &Question,
    scope: Scope,
    tally: &Tally,
    units: u64,
    sources: Option<&BTreeSet<Box<str>>>,
) -> KeyReport {
    let owned = |(word, count): (&str, u64)| (word.to_owned(), count);
    let scale = |(scale, count): (&str, u64)| ScaleReport { possible_values: scale.to_owned(), count };
    let measurement = tally.measurement();
    let mut contributors = tally.contributors.iter().flatten().collect::<Vec<_>>();
    contributors.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
    let (key, title) = match question {
        Question::Key(key) => (Some(key.to_string()), None),
        Question::Title(title) => (None, title.as_deref().map(str::to_owned)),
    };
    KeyReport {
        level: scope.word(),
        types: tally.types.ranked().into_iter().map(owned).collect(),
        count: tally.count,
        units: tally.units,
        share_of_units: if units == 0 { 0.0 } else { tally.units as f64 / units as f64 },
        tasks: tally.tasks,
        projects: tally.projects.distinct(),
        not_applicable: tally.not_applicable,
        cannot_assess: tally.cannot_assess,
        justified: tally.justified,
        uses: uses(key.as_deref(), scope, tally, sources),
        distinct_values: tally.words.distinct(),
        values: values(tally),
        numbers: numbers(&tally.numbers),
        characters: numbers(&tally.characters),
        distinct_scales: tally.scales.distinct(),
        scales: tally.scales.ranked().into_iter().take(MOST_SHOWN).map(scale).collect(),
        repeated: RepeatedReport {
            units: tally.repeated_units,
            most: tally.most_of_a_unit,
            percent_agreement: tally.coincidences.percent(),
            alpha: tally.coincidences.alpha(measurement),
            measurement,
        },
        months: tally.months.iter().map(|(month, group)| of_month(month.as_deref(), group)).collect(),
        contributors: contributors.into_iter().take(MOST_SHOWN).map(|(id, group)| of_contributor(id, group)).collect(),
        title,
        key,
    }
}

/// Characters that a value has at most, on average, where it is not written freely.
const LONGEST_WORD: f64 = 50.0;

/// None of texts that are written freely.
fn values(tally: &Tally) -> Vec<ValueReport> {
    let ranked = tally.words.ranked();
    let is_long = || tally.characters.mean().is_some_and(|mean| mean > LONGEST_WORD);
    let is_unique = || ranked.len() > MOST_OF_GROUP && ranked.iter().all(|(_, count)| *count == 1);
    if tally.kinds.texts > 0 && tally.scales.distinct() == Some(0) && (is_long() || is_unique()) {
        return Vec::new();
    }
    let value = |(word, count): (&str, u64)| {
        let labels = tally.labels.get(word).map(|labels| labels.ranked()).unwrap_or_default();
        let labels = labels.into_iter().take(MOST_OF_GROUP).map(|(label, _)| label.to_owned()).collect();
        ValueReport { value: word.to_owned(), labels, count }
    };
    ranked.into_iter().take(MOST_SHOWN).map(value).collect()
}

fn numbers(numbers: &super::counted::Numbers) -> Option<NumberReport> {
    let ((least, greatest), mean) = numbers.bounds().zip(numbers.mean())?;
    Some(NumberReport { count: numbers.count, least, greatest, mean, histogram: numbers.histogram() })
}

fn most_frequent(group: &Group) -> Vec<ValueReport> {
    let value = |(word, count): (&str, u64)| ValueReport { value: word.to_owned(), labels: Vec::new(), count };
    group.words.ranked().into_iter().filter(|(_, count)| *count > 1).take(MOST_OF_GROUP).map(value).collect()
}

fn of_month(month: Option<&str>, group: &Group) -> MonthReport {
    let (count, mean, values) = (group.count, group.numbers.mean(), most_frequent(group));
    MonthReport { month: month.map(str::to_owned), count, mean, values }
}

fn of_contributor(id: &str, group: &Group) -> ContributorReport {
    let (count, mean, values) = (group.count, group.numbers.mean(), most_frequent(group));
    ContributorReport { contributor_id: id.to_owned(), count, mean, values }
}

/// What annotations of a key look good for, by their values, their level and their key.
fn uses(key: Option<&str>, scope: Scope, tally: &Tally, sources: Option<&BTreeSet<Box<str>>>) -> Vec<Use> {
    let Kinds { numbers, booleans, texts, several, ranked, .. } = tally.kinds;
    let most = |count: u64| count > 0 && 2 * count >= tally.valued;
    let is_rubric = matches!(scope, Scope::RubricCriterion | Scope::RubricEvaluation | Scope::CriterionEvaluation)
        || tally.types.ranked().first().is_some_and(|(kind, _)| kind.starts_with("rubric"));
    let types = tally.types.ranked();
    // Without details of annotations a ranking comes without its type.
    let is_untyped_list = most(several) && !types.iter().any(|(kind, _)| kind.starts_with("category"));
    let of_sources = || {
        let words = tally.words.ranked();
        let all = words.iter().map(|(_, count)| count).sum::<u64>();
        let own = words
            .iter()
            .filter(|(word, _)| sources.is_some_and(|sources| sources.contains(*word)))
            .map(|(_, count)| count)
            .sum::<u64>();
        own > 0 && 2 * own >= all
    };
    let is_rewrite = || {
        let key = key.unwrap_or_default().to_lowercase();
        let is_named = ["rewrit", "revis", "edit", "correct", "improve"].iter().any(|word| key.contains(word));
        is_named && !key.contains("justification") && matches!(scope, Scope::Message | Scope::Turn)
    };
    [
        (Use::Choice, most(texts + several) && !is_untyped_list && !is_rubric && of_sources()),
        (Use::Rating, most(numbers) && !is_rubric),
        (Use::Ranking, most(ranked) || is_untyped_list && of_sources()),
        (Use::Rubric, is_rubric),
        (Use::Rewrite, most(texts) && tally.scales.distinct() == Some(0) && is_rewrite()),
        (Use::Flag, most(booleans)),
    ]
    .into_iter()
    .filter_map(|(use_, is_so)| is_so.then_some(use_))
    .collect()
}
