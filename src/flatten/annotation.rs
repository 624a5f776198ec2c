//! Annotations, whatever they stand on, and the columns that their values go to.

use super::fields::{Fields, Workbench, as_number, as_text, as_text_list, each, to_json};
use super::place::{Flattener, Place};
use crate::json::{Member, Number, Value};
use crate::parse::Problem;
use crate::table::Scope;
use crate::table::catalog::annotations;

/// Appends the annotations of one owner.
pub(super) fn append<'a>(
    to: &mut Flattener<'_, 'a>,
    scope: Scope,
    place: Place<'a>,
    elements: Option<&'a [Value<'a>]>,
) -> Result<(), Problem> {
    each(elements, "annotations", |index, annotation| annotate(to, scope, place, index, annotation))
}

fn annotate<'a>(
    to: &mut Flattener<'_, 'a>,
    scope: Scope,
    place: Place<'a>,
    annotation_index: i32,
    members: &'a [Member<'a>],
) -> Result<(), Problem> {
    to.totals.annotations += 1;
    let mut fields = Fields::of(members, to.bench);
    let annotation_id = fields.text("id");
    let key = fields.text("key");
    let kind = fields.text("type");
    let title = fields.text("title");
    let description = fields.text("description");
    let labels = fields.text_list("labels");
    let criteria = fields.peek("metadata").and_then(criteria);
    let metadata = fields.json("metadata");
    let value = ValueColumns::of(fields.value("value"), to.bench);
    let possible = Possible { values: fields.peek("possible_values"), labels };
    Ok(to.tables.annotations.push(annotations::Row {
        task_id: place.task_id,
        thread_index: place.thread_index,
        turn_index: place.turn_index,
        message_index: place.message_index,
        chunk_index: place.chunk_index,
        rubric_index: place.rubric_index,
        rubric_criterion_index: place.rubric_criterion_index,
        rubric_evaluation_index: place.rubric_evaluation_index,
        criterion_evaluation_index: place.criterion_evaluation_index,
        annotation_index,
        scope: scope.word(),
        thread_id: place.thread_id,
        turn_id: place.turn_id,
        annotation_id,
        key,
        r#type: kind,
        title,
        description,
        labels,
        not_applicable: fields.boolean("not_applicable"),
        cannot_assess: fields.boolean("cannot_assess"),
        justification: fields.text("justification"),
        criteria,
        metadata,
        value_text: value.text,
        value_boolean: value.boolean,
        value_number: value.number,
        value_integer: value.integer,
        value_list: value.list,
        value_groups: value.groups,
        value_json: value.json,
        value_score: value.score,
        value_weight: value.weight,
        possible_values: fields.json("possible_values"),
        value_label: value.raw.and_then(|value| possible.label_of(value)),
        value_labels: value.list.and_then(|list| possible.labels_of(list, to.bench)),
        extra: fields.rest([]),
    })?)
}

/// `metadata.criteria` as a string: of a whole annotation its id, else its key.
fn criteria<'a>(metadata: Value<'a>) -> Option<&'a str> {
    match member(metadata, "criteria")? {
        Value::String(criteria) => Some(criteria),
        annotation => {
            member(annotation, "id").and_then(as_text).or_else(|| member(annotation, "key").and_then(as_text))
        }
    }
}

fn member<'a>(object: Value<'a>, key: &str) -> Option<Value<'a>> {
    match object {
        Value::Object(members) => members.iter().find(|member| member.key == key).map(|member| member.value),
        _ => None,
    }
}

/// A value, spread over the columns by what its JSON is; the declared type may be missing or wrong.
#[derive(Default)]
struct ValueColumns<'a> {
    raw: Option<Value<'a>>,
    text: Option<&'a str>,
    boolean: Option<bool>,
    number: Option<f64>,
    integer: Option<i64>,
    list: Option<&'a [&'a str]>,
    groups: Option<&'a [&'a [&'a str]]>,
    json: Option<&'a str>,
    score: Option<f64>,
    weight: Option<f64>,
}

impl<'a> ValueColumns<'a> {
    fn of(value: Option<Value<'a>>, bench: &'a Workbench) -> ValueColumns<'a> {
        let Some(value) = value else {
            return ValueColumns::default();
        };
        let columns = ValueColumns { raw: Some(value), ..ValueColumns::default() };
        let json = || Some(to_json(value, bench));
        match value {
            Value::Null => columns,
            Value::String(text) => ValueColumns { text: Some(text), ..columns },
            Value::Boolean(flag) => ValueColumns { boolean: Some(flag), ..columns },
            Value::Number(text) => match Number::of(text) {
                Number::Integer(integer) => {
                    ValueColumns { integer: Some(integer), number: Some(integer as f64), ..columns }
                }
                Number::Double(double) => ValueColumns { number: Some(double), ..columns },
                Number::Inexact(nearest) => ValueColumns { number: nearest, json: json(), ..columns },
            },
            Value::Array(_) => match (as_text_list(value, bench), as_groups(value, bench)) {
                (Some(list), _) => ValueColumns { list: Some(list), ..columns },
                (None, Some(groups)) => ValueColumns { groups: Some(groups), ..columns },
                (None, None) => ValueColumns { json: json(), ..columns },
            },
            Value::Object(_) => {
                let double = |key| member(value, key).and_then(as_number).and_then(Number::nearest);
                ValueColumns { json: json(), score: double("score"), weight: double("weight"), ..columns }
            }
        }
    }
}

fn as_groups<'a>(value: Value<'a>, bench: &'a Workbench) -> Option<&'a [&'a [&'a str]]> {
    let Value::Array(elements) = value else { return None };
    let groups = elements.iter().map(|element| as_text_list(*element, bench)).collect::<Option<Vec<_>>>()?;
    Some(bench.arena.alloc_slice_copy(&groups))
}

/// The possible values of an annotation with their labels.
#[derive(Clone, Copy)]
struct Possible<'a> {
    values: Option<Value<'a>>,
    labels: Option<&'a [&'a str]>,
}

impl<'a> Possible<'a> {
    /// The label that stands where the value stands; possible values may be nested one deeper.
    fn label_of(self, value: Value<'a>) -> Option<&'a str> {
        let (Some(Value::Array(values)), Some(labels)) = (self.values, self.labels) else {
            return None;
        };
        let flat = values.iter().flat_map(|value| match value {
            Value::Array(inner) => *inner,
            _ => std::slice::from_ref(value),
        });
        let index = flat.into_iter().position(|possible| is_same(*possible, value))?;
        labels.get(index).copied()
    }

    fn labels_of(self, list: &'a [&'a str], bench: &'a Workbench) -> Option<&'a [&'a str]> {
        self.values.and(self.labels)?;
        let labels = list.iter().map(|text| self.label_of(Value::String(text))).collect::<Option<Vec<_>>>()?;
        Some(bench.arena.alloc_slice_copy(&labels))
    }
}

fn is_same(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || Number::of(one).nearest() == Number::of(other).nearest()
        }
        _ => one == other,
    }
}
