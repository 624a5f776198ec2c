//! Rubrics of turns, and evaluations of messages by them.

use super::annotation;
use super::fields::{Fields, count, each};
use super::place::{Flattener, MessageKey, Place};
use crate::json::Member;
use crate::parse::Problem;
use crate::table::Scope;
use crate::table::catalog::{criterion_evaluations, rubric_criteria, rubric_evaluations, rubrics};

pub(super) fn append<'a>(
    to: &mut Flattener<'_, 'a>,
    place: Place<'a>,
    turn_index: i32,
    rubric_index: i32,
    members: &'a [Member<'a>],
) -> Result<(), Problem> {
    let mut fields = Fields::of(members, to.bench);
    let place = Place { rubric_index: Some(rubric_index), ..place };
    let criteria = fields.children("criteria_definitions")?;
    to.tables.rubrics.push(rubrics::Row {
        task_id: place.task_id,
        thread_index: place.thread_index,
        turn_index,
        rubric_index,
        thread_id: place.thread_id,
        turn_id: place.turn_id,
        max_total_score: fields.double("max_total_score"),
        rubric_criterion_count: count(criteria),
        extra: fields.rest([]),
    })?;
    each(criteria, "criteria_definitions", |index, members| {
        let mut fields = Fields::of(members, to.bench);
        let place = Place { rubric_criterion_index: Some(index), ..place };
        let annotations = fields.children("annotations")?;
        to.tables.rubric_criteria.push(rubric_criteria::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            turn_index,
            rubric_index,
            rubric_criterion_index: index,
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            criterion_definition_id: fields.text("id"),
            criterion: fields.text("criterion"),
            weight: fields.double("weight"),
            annotation_count: count(annotations),
            extra: fields.rest([]),
        })?;
        annotation::append(to, Scope::RubricCriterion, place, annotations)
    })
}

pub(super) fn append_evaluation<'a>(
    to: &mut Flattener<'_, 'a>,
    place: Place<'a>,
    key: MessageKey,
    rubric_evaluation_index: i32,
    members: &'a [Member<'a>],
) -> Result<(), Problem> {
    let mut fields = Fields::of(members, to.bench);
    let place = Place { rubric_evaluation_index: Some(rubric_evaluation_index), ..place };
    let criteria = fields.children("criteria_evaluations")?;
    let annotations = fields.children("annotations")?;
    to.tables.rubric_evaluations.push(rubric_evaluations::Row {
        task_id: place.task_id,
        thread_index: place.thread_index,
        turn_index: key.turn_index,
        message_index: key.message_index,
        rubric_evaluation_index,
        thread_id: place.thread_id,
        turn_id: place.turn_id,
        total_score: fields.double("total_score"),
        percentage: fields.double("percentage"),
        criterion_evaluation_count: count(criteria),
        annotation_count: count(annotations),
        extra: fields.rest([]),
    })?;
    annotation::append(to, Scope::RubricEvaluation, place, annotations)?;
    each(criteria, "criteria_evaluations", |index, members| {
        let mut fields = Fields::of(members, to.bench);
        let place = Place { criterion_evaluation_index: Some(index), ..place };
        let annotations = fields.children("annotations")?;
        to.tables.criterion_evaluations.push(criterion_evaluations::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            turn_index: key.turn_index,
            message_index: key.message_index,
            rubric_evaluation_index,
            criterion_evaluation_index: index,
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            criterion_definition_id: fields.text("criterion_definition_id"),
            score: fields.double("score"),
            annotation_count: count(annotations),
            extra: fields.rest([]),
        })?;
        annotation::append(to, Scope::CriterionEvaluation, place, annotations)
    })
}
