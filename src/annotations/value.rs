//! What an annotation says.

use std::borrow::Cow;

use crate::table::catalog::annotations::Row;

/// The value of an annotation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Yes or no.
    Boolean(bool),
    /// A number; of a rubric rating its score.
    Number(f64),
    /// A word, or a text.
    Text(&'a str),
    /// Any of several words.
    Several(&'a [&'a str]),
    /// Words in groups, the best first; those of a group are equal.
    Ranked(Vec<&'a [&'a str]>),
    /// Anything else, as JSON.
    Other(&'a str),
}

impl<'a> Value<'a> {
    /// What a row says; `None` where it has no value, or says that there is none to give.
    pub(crate) fn of(row: &Row<'a>) -> Option<Value<'a>> {
        if row.not_applicable == Some(true) || row.cannot_assess == Some(true) {
            return None;
        }
        if let Some(list) = row.value_list {
            let is_ranked = row.r#type.is_some_and(|kind| kind.starts_with("ranked"));
            return Some(if is_ranked { Value::Ranked(list.chunks(1).collect()) } else { Value::Several(list) });
        }
        if let Some(groups) = row.value_groups {
            return Some(Value::Ranked(groups.to_vec()));
        }
        let number = row.value_score.or(row.value_number).or(row.value_integer.map(|integer| integer as f64));
        let text = row.value_text.map(Value::Text);
        let boolean = row.value_boolean.map(Value::Boolean);
        number.map(Value::Number).or(boolean).or(text).or(row.value_json.map(Value::Other))
    }

    /// What is counted of it: of several words each, of a ranking those that are best.
    pub(super) fn words(&self) -> Vec<Cow<'a, str>> {
        match self {
            Value::Several(words) => words.iter().map(|word| Cow::Borrowed(*word)).collect(),
            Value::Ranked(groups) => {
                groups.first().into_iter().flat_map(|group| group.iter().map(|word| Cow::Borrowed(*word))).collect()
            }
            other => vec![other.whole()],
        }
    }

    /// All of it: equal for judgements that agree.
    pub(super) fn whole(&self) -> Cow<'a, str> {
        match self {
            Value::Boolean(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Value::Number(number) => Cow::Owned(number.to_string()),
            Value::Text(text) | Value::Other(text) => Cow::Borrowed(text),
            Value::Several(words) => {
                let mut words = words.to_vec();
                words.sort_unstable();
                Cow::Owned(format!("{words:?}"))
            }
            Value::Ranked(groups) => {
                let sorted = |group: &&[&'a str]| {
                    let mut group = group.to_vec();
                    group.sort_unstable();
                    group
                };
                Cow::Owned(format!("{:?}", groups.iter().map(sorted).collect::<Vec<_>>()))
            }
        }
    }
}
