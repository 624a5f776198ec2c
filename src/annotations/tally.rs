//! What is counted of one key at one level.

use std::collections::BTreeMap;

use super::agreement::{Coincidences, Measurement};
use super::counted::{Numbers, Words};
use super::value::Value;
use crate::table::catalog::annotations::Row;

/// The annotations of one key at one level.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub count: u64,
    pub units: u64,
    pub tasks: u64,
    /// By project; of tasks without one by the empty text.
    pub projects: Words,
    pub types: Words,
    pub not_applicable: u64,
    pub cannot_assess: u64,
    pub justified: u64,
    /// Those that have a value.
    pub valued: u64,
    /// Values that are numbers, yes or no, one of several words, rankings, and texts.
    pub kinds: Kinds,
    pub words: Words,
    pub labels: BTreeMap<Box<str>, Words>,
    pub numbers: Numbers,
    pub characters: Numbers,
    pub scales: Words,
    pub repeated_units: u64,
    pub most_of_a_unit: u64,
    pub coincidences: Coincidences,
    pub months: BTreeMap<Option<Box<str>>, Group>,
    /// None where they are too many.
    pub contributors: Option<BTreeMap<Box<str>, Group>>,
    /// The task that was counted last: those of a part come one after the other.
    last_task: Option<Box<str>>,
}

/// How many values are of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub numbers: u64,
    pub booleans: u64,
    pub texts: u64,
    pub several: u64,
    pub ranked: u64,
    pub other: u64,
}

/// Those of a month, or of a contributor.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub count: u64,
    pub numbers: Numbers,
    pub words: Words,
}

/// Contributors that are told apart for one key.
const MOST_CONTRIBUTORS: usize = 2_000;

/// Where annotations stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home<'a> {
    pub project: Option<&'a str>,
    pub month: Option<&'a str>,
    /// Who submitted the thread, if it tells one person.
    pub contributor: Option<&'a str>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            count: 0,
            units: 0,
            tasks: 0,
            projects: Words::default(),
            types: Words::default(),
            not_applicable: 0,
            cannot_assess: 0,
            justified: 0,
            valued: 0,
            kinds: Kinds::default(),
            words: Words::default(),
            labels: BTreeMap::new(),
            numbers: Numbers::default(),
            characters: Numbers::default(),
            scales: Words::default(),
            repeated_units: 0,
            most_of_a_unit: 0,
            coincidences: Coincidences::default(),
            months: BTreeMap::new(),
            contributors: Some(BTreeMap::new()),
            last_task: None,
        }
    }
}

impl Tally {
    /// Takes in what a unit has of this key.
    pub(super) fn observe(&mut self, rows: &[&Row<'_>], home: Home<'_>) {
        let Some(first) = rows.first() else { return };
        self.units += 1;
        if self.last_task.as_deref() != Some(first.task_id) {
            self.tasks += 1;
            self.last_task = Some(first.task_id.into());
            self.projects.observe(home.project.unwrap_or_default());
        }
        let values = rows.iter().filter_map(|row| self.observe_one(row, home)).collect::<Vec<_>>();
        if values.len() > 1 {
            self.repeated_units += 1;
            self.coincidences.observe(&values);
        }
        self.most_of_a_unit = self.most_of_a_unit.max(values.len() as u64);
    }

    /// Gives the whole of its value.
    fn observe_one<'a>(&mut self, row: &Row<'a>, home: Home<'_>) -> Option<std::borrow::Cow<'a, str>> {
        self.count += 1;
        self.types.observe(row.r#type.unwrap_or_default());
        self.not_applicable += u64::from(row.not_applicable == Some(true));
        self.cannot_assess += u64::from(row.cannot_assess == Some(true));
        self.justified += u64::from(row.justification.is_some_and(|text| !text.trim().is_empty()));
        if let Some(scale) = row.possible_values {
            self.scales.observe(flat(scale));
        }
        let value = Value::of(row)?;
        self.valued += 1;
        self.kinds.observe(&value);
        let words = value.words();
        words.iter().for_each(|word| self.words.observe(word));
        let labels = row.value_label.as_slice().iter().chain(row.value_labels.unwrap_or_default());
        for (word, label) in words.iter().zip(labels) {
            // As many labels as words that are told apart.
            if self.words.distinct().is_some() {
                self.labels.entry((&**word).into()).or_default().observe(label);
            }
        }
        match value {
            Value::Number(number) => self.numbers.observe(number),
            Value::Text(text) => self.characters.observe(text.chars().count() as f64),
            _ => {}
        }
        self.months.entry(home.month.map(Into::into)).or_default().observe(&value, &words);
        if let (Some(contributor), Some(contributors)) = (home.contributor, &mut self.contributors) {
            contributors.entry(contributor.into()).or_default().observe(&value, &words);
            self.bound();
        }
        Some(value.whole())
    }

    /// Takes in what was counted of a part that comes behind.
    pub(super) fn merge(&mut self, other: Tally) {
        self.count += other.count;
        self.units += other.units;
        self.tasks += other.tasks;
        self.projects.merge(other.projects);
        self.types.merge(other.types);
        self.not_applicable += other.not_applicable;
        self.cannot_assess += other.cannot_assess;
        self.justified += other.justified;
        self.valued += other.valued;
        self.kinds.merge(other.kinds);
        self.words.merge(other.words);
        for (word, labels) in other.labels {
            self.labels.entry(word).or_default().merge(labels);
        }
        self.numbers.merge(other.numbers);
        self.characters.merge(other.characters);
        self.scales.merge(other.scales);
        self.repeated_units += other.repeated_units;
        self.most_of_a_unit = self.most_of_a_unit.max(other.most_of_a_unit);
        self.coincidences.merge(other.coincidences);
        for (month, group) in other.months {
            self.months.entry(month).or_default().merge(group);
        }
        self.contributors = self.contributors.take().zip(other.contributors).map(|(mut own, others)| {
            for (contributor, group) in others {
                own.entry(contributor).or_default().merge(group);
            }
            own
        });
        self.bound();
        self.last_task = None;
    }

    fn bound(&mut self) {
        if self.contributors.as_ref().is_some_and(|contributors| contributors.len() > MOST_CONTRIBUTORS) {
            self.contributors = None;
        }
    }

    /// What differences between its values mean.
    pub(super) fn measurement(&self) -> Measurement {
        match self.kinds.numbers == self.valued && self.valued > 0 {
            false => Measurement::Nominal,
            true if self.numbers.is_whole() => Measurement::Ordinal,
            true => Measurement::Interval,
        }
    }
}

/// A list of possible values, without the list around it that some have.
fn flat(scale: &str) -> &str {
    let inner = scale.strip_prefix('[').and_then(|scale| scale.strip_suffix(']'));
    inner.filter(|inner| inner.starts_with('[') && inner.ends_with(']') && !inner.contains("],[")).unwrap_or(scale)
}

impl Kinds {
    fn observe(&mut self, value: &Value<'_>) {
        let kind = match value {
            Value::Number(_) => &mut self.numbers,
            Value::Boolean(_) => &mut self.booleans,
            Value::Text(_) => &mut self.texts,
            Value::Several(_) => &mut self.several,
            Value::Ranked(_) => &mut self.ranked,
            Value::Other(_) => &mut self.other,
        };
        *kind += 1;
    }

    fn merge(&mut self, other: Kinds) {
        let Kinds { numbers, booleans, texts, several, ranked, other: rest } = other;
        self.numbers += numbers;
        self.booleans += booleans;
        self.texts += texts;
        self.several += several;
        self.ranked += ranked;
        self.other += rest;
    }
}

impl Group {
    fn observe(&mut self, value: &Value<'_>, words: &[std::borrow::Cow<'_, str>]) {
        self.count += 1;
        if let Value::Number(number) = value {
            self.numbers.observe(*number);
        }
        words.iter().for_each(|word| self.words.observe(word));
    }

    fn merge(&mut self, other: Group) {
        self.count += other.count;
        self.numbers.merge(other.numbers);
        self.words.merge(other.words);
    }
}
