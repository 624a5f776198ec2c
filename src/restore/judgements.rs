//! Annotations and rubrics: each row as the JSON object that it came from.
//!
//! A row is taken apart whole: a forgotten column doesn't compile.

use super::tree::{Child, Object, Step, message_at, turn_at};
use crate::table::catalog::{annotations, criterion_evaluations, rubric_criteria, rubric_evaluations, rubrics};

pub(super) fn rubrics(row: rubrics::Row<'_>) -> Child {
    let rubrics::Row {
        task_id: _,
        thread_index,
        turn_index,
        rubric_index,
        thread_id: _,
        turn_id: _,
        max_total_score,
        rubric_criterion_count,
        extra,
    } = row;
    let object = Object::default()
        .with("max_total_score", max_total_score)
        .with_array("criteria_definitions", rubric_criterion_count)
        .with_extra(extra);
    let owner = turn_at(thread_index, turn_index);
    Child { owner, array: "rubrics", index: rubric_index, object }
}

pub(super) fn rubric_criteria(row: rubric_criteria::Row<'_>) -> Child {
    let rubric_criteria::Row {
        task_id: _,
        thread_index,
        turn_index,
        rubric_index,
        rubric_criterion_index,
        thread_id: _,
        turn_id: _,
        criterion_definition_id,
        criterion,
        weight,
        annotation_count,
        extra,
    } = row;
    let object = Object::default()
        .with("id", criterion_definition_id)
        .with("criterion", criterion)
        .with("weight", weight)
        .with_array("annotations", annotation_count)
        .with_extra(extra);
    let owner = [turn_at(thread_index, turn_index), vec![Step::At("rubrics", Some(rubric_index))]].concat();
    Child { owner, array: "criteria_definitions", index: rubric_criterion_index, object }
}

pub(super) fn rubric_evaluations(row: rubric_evaluations::Row<'_>) -> Child {
    let rubric_evaluations::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        rubric_evaluation_index,
        thread_id: _,
        turn_id: _,
        total_score,
        percentage,
        criterion_evaluation_count,
        annotation_count,
        extra,
    } = row;
    let object = Object::default()
        .with("total_score", total_score)
        .with("percentage", percentage)
        .with_array("criteria_evaluations", criterion_evaluation_count)
        .with_array("annotations", annotation_count)
        .with_extra(extra);
    let owner = message_at(thread_index, turn_index, message_index);
    Child { owner, array: "rubric_evaluations", index: rubric_evaluation_index, object }
}

pub(super) fn criterion_evaluations(row: criterion_evaluations::Row<'_>) -> Child {
    let criterion_evaluations::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        rubric_evaluation_index,
        criterion_evaluation_index,
        thread_id: _,
        turn_id: _,
        criterion_definition_id,
        score,
        annotation_count,
        extra,
    } = row;
    let object = Object::default()
        .with("criterion_definition_id", criterion_definition_id)
        .with("score", score)
        .with_array("annotations", annotation_count)
        .with_extra(extra);
    let owner = [
        message_at(thread_index, turn_index, message_index),
        vec![Step::At("rubric_evaluations", Some(rubric_evaluation_index))],
    ]
    .concat();
    Child { owner, array: "criteria_evaluations", index: criterion_evaluation_index, object }
}

pub(super) fn annotations(row: annotations::Row<'_>) -> Child {
    let annotations::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        chunk_index,
        rubric_index,
        rubric_criterion_index,
        rubric_evaluation_index,
        criterion_evaluation_index,
        annotation_index,
        scope,
        thread_id: _,
        turn_id: _,
        annotation_id,
        key,
        r#type,
        title,
        description,
        labels,
        not_applicable,
        cannot_assess,
        justification,
        criteria: _,
        metadata,
        value_text,
        value_boolean,
        value_number,
        value_integer,
        value_list,
        value_groups,
        value_json,
        value_score: _,
        value_weight: _,
        possible_values,
        value_label: _,
        value_labels: _,
        extra,
    } = row;
    let messages =
        [Step::At("threads", Some(thread_index)), Step::At("turns", turn_index), Step::At("messages", message_index)];
    let [thread, turn, message] = messages;
    let evaluation = Step::At("rubric_evaluations", rubric_evaluation_index);
    let owner = match scope {
        "thread" => vec![thread],
        "turn" => vec![thread, turn],
        "chunk" => vec![thread, turn, message, Step::Into("content"), Step::At("chunks", chunk_index)],
        "rubric_criterion" => {
            let criterion = Step::At("criteria_definitions", rubric_criterion_index);
            vec![thread, turn, Step::At("rubrics", rubric_index), criterion]
        }
        "rubric_evaluation" => vec![thread, turn, message, evaluation],
        "criterion_evaluation" => {
            vec![thread, turn, message, evaluation, Step::At("criteria_evaluations", criterion_evaluation_index)]
        }
        _ => vec![thread, turn, message],
    };
    let object = Object::default()
        .with("id", annotation_id)
        .with("key", key)
        .with("type", r#type)
        .with("title", title)
        .with("description", description)
        .with("labels", labels)
        .with("not_applicable", not_applicable)
        .with("cannot_assess", cannot_assess)
        .with("justification", justification)
        .with_json("metadata", metadata)
        .with_json("possible_values", possible_values);
    // At most one column holds the value, but for numbers, where the most exact one counts.
    let object = match value_json {
        Some(json) => object.with_json("value", Some(json)),
        None => object
            .with("value", value_number)
            .with("value", value_integer)
            .with("value", value_text)
            .with("value", value_boolean)
            .with("value", value_list)
            .with("value", value_groups),
    };
    Child { owner, array: "annotations", index: annotation_index, object: object.with_extra(extra) }
}
