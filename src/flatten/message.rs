//! A message and what its content is made of.

use super::annotation;
use super::digest::Digest;
use super::fields::{Fields, count, each};
use super::place::{Flattener, MessageKey, Place};
use super::rubric;
use crate::json::{Member, Value};
use crate::parse::Problem;
use crate::table::Scope;
use crate::table::catalog::{attachments, chunks, messages, reasoning, reference_texts};

type Children<'a> = Option<&'a [Value<'a>]>;

pub(super) fn append<'a>(
    to: &mut Flattener<'_, 'a>,
    place: Place<'a>,
    key: MessageKey,
    members: &'a [Member<'a>],
) -> Result<(), Problem> {
    to.totals.messages += 1;
    let mut fields = Fields::of(members, to.bench);
    let place = Place { message_index: Some(key.message_index), ..place };
    let role = fields.text("role");
    let mut content = fields.inlined("content");
    let inside = |problem: Problem| problem.inside(".content");
    let reference_texts = content.children("reference_texts").map_err(inside)?;
    let attachments = content.children("attachments").map_err(inside)?;
    let chunks = content.children("chunks").map_err(inside)?;
    let reasoning = content.children("reasoning").map_err(inside)?;
    let source_id = fields.text("source_id");
    let mut parameters = fields.inlined("model_parameters");
    let annotations = fields.children("annotations")?;
    let evaluations = fields.children("rubric_evaluations")?;
    to.tables.messages.push(messages::Row {
        task_id: place.task_id,
        thread_index: place.thread_index,
        turn_index: key.turn_index,
        message_index: key.message_index,
        thread_id: place.thread_id,
        turn_id: place.turn_id,
        role,
        source_id,
        text: content.text("text"),
        model: parameters.text("model"),
        temperature: parameters.double("temperature"),
        max_completion_tokens: parameters.integer("max_completion_tokens"),
        top_p: parameters.double("top_p"),
        top_k: parameters.integer("top_k"),
        annotation_count: count(annotations),
        rubric_evaluation_count: count(evaluations),
        reference_text_count: count(reference_texts),
        attachment_count: count(attachments),
        chunk_count: count(chunks),
        reasoning_count: count(reasoning),
        extra: fields.rest([("content", content), ("model_parameters", parameters)]),
    })?;
    // In the order in which the annotations of a message are sorted: its own, of its evaluations, of its chunks.
    annotation::append(to, Scope::Message, place, annotations)?;
    each(evaluations, "rubric_evaluations", |index, evaluation| {
        rubric::append_evaluation(to, place, key, index, evaluation)
    })?;
    append_chunks(to, place, key, chunks).map_err(inside)?;
    append_reference_texts(to, place, key, reference_texts).map_err(inside)?;
    append_attachments(to, place, key, attachments).map_err(inside)?;
    append_reasoning(to, place, key, reasoning).map_err(inside)
}

fn append_chunks<'a>(
    to: &mut Flattener<'_, 'a>,
    place: Place<'a>,
    key: MessageKey,
    elements: Children<'a>,
) -> Result<(), Problem> {
    each(elements, "chunks", |chunk_index, members| {
        let mut fields = Fields::of(members, to.bench);
        let place = Place { chunk_index: Some(chunk_index), ..place };
        let annotations = fields.children("annotations")?;
        to.tables.chunks.push(chunks::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            turn_index: key.turn_index,
            message_index: key.message_index,
            chunk_index,
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            r#type: fields.text("type"),
            text: fields.text("text"),
            annotation_count: count(annotations),
            extra: fields.rest([]),
        })?;
        annotation::append(to, Scope::Chunk, place, annotations)
    })
}

fn append_reference_texts<'a>(
    to: &mut Flattener<'_, 'a>,
    place: Place<'a>,
    key: MessageKey,
    elements: Children<'a>,
) -> Result<(), Problem> {
    each(elements, "reference_texts", |reference_text_index, members| {
        let mut fields = Fields::of(members, to.bench);
        Ok(to.tables.reference_texts.push(reference_texts::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            turn_index: key.turn_index,
            message_index: key.message_index,
            reference_text_index,
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            content: fields.text("content"),
            category: fields.text("category"),
            url: fields.text("url"),
            extra: fields.rest([]),
        })?)
    })
}

fn append_attachments<'a>(
    to: &mut Flattener<'_, 'a>,
    place: Place<'a>,
    key: MessageKey,
    elements: Children<'a>,
) -> Result<(), Problem> {
    each(elements, "attachments", |attachment_index, members| {
        let mut fields = Fields::of(members, to.bench);
        let content = fields.text("content");
        let digest = content.and_then(|content| Digest::of_base64(content, to.bench));
        Ok(to.tables.attachments.push(attachments::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            turn_index: key.turn_index,
            message_index: key.message_index,
            attachment_index,
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            mime_type: fields.text("mime_type"),
            name: fields.text("name"),
            content,
            url: fields.text("url"),
            scale_url: fields.text("scale_url"),
            file_size_in_bytes: fields.integer("file_size_in_bytes"),
            duration: fields.double("duration"),
            transcript: fields.text("transcript"),
            transcript_url: fields.text("transcript_url"),
            transcript_start: fields.double("transcript_start"),
            transcript_end: fields.double("transcript_end"),
            extra: fields.rest([]),
            content_sha256: digest.map(|digest| digest.sha256),
            content_bytes: digest.map(|digest| digest.bytes),
            // What a task can't tell.
            content_state: None,
            content_path: None,
            content_type: None,
            transcript_state: None,
            transcript_path: None,
        })?)
    })
}

fn append_reasoning<'a>(
    to: &mut Flattener<'_, 'a>,
    place: Place<'a>,
    key: MessageKey,
    elements: Children<'a>,
) -> Result<(), Problem> {
    each(elements, "reasoning", |reasoning_index, members| {
        let mut fields = Fields::of(members, to.bench);
        Ok(to.tables.reasoning.push(reasoning::Row {
            task_id: place.task_id,
            thread_index: place.thread_index,
            turn_index: key.turn_index,
            message_index: key.message_index,
            reasoning_index,
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            content: fields.text("content"),
            extra: fields.rest([]),
        })?)
    })
}
