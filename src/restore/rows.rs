//! Tasks, conversations and what messages are made of: each row as the JSON object that it came from.
//!
//! A row is taken apart whole: a forgotten column doesn't compile.

use super::tree::{Child, Object, content_at, thread_at, turn_at};
use crate::table::catalog::{
    attachments, chunks, messages, reasoning, reference_texts, sensitive_content_reports, submissions, task_errors,
    tasks, threads, turns,
};

pub(super) fn task(row: tasks::Row<'_>) -> Object {
    let tasks::Row {
        task_id,
        project_id,
        project_name,
        batch_id,
        batch_name,
        status,
        created_at,
        completed_at,
        metadata,
        thread_count,
        turn_count: _,
        message_count: _,
        annotation_count: _,
        task_error_count,
        sensitive_content_report_count,
        content_hash: _,
        extra,
    } = row;
    Object::default()
        .with("task_id", Some(task_id))
        .with_reference("project", project_id, project_name, extra)
        .with_reference("batch", batch_id, batch_name, extra)
        .with("status", status)
        .with_instant("created_at", created_at)
        .with_instant("completed_at", completed_at)
        .with_json("metadata", metadata)
        .with_array("threads", thread_count)
        .with_array("errors", task_error_count)
        .with_array("sensitive_content_reports", sensitive_content_report_count)
        .with_extra(extra)
}

pub(super) fn task_errors(row: task_errors::Row<'_>) -> Child {
    let task_errors::Row { task_id: _, task_error_index, r#type, message, extra } = row;
    let object = Object::default().with("type", r#type).with("message", message).with_extra(extra);
    let owner = Vec::new();
    Child { owner, array: "errors", index: task_error_index, object }
}

pub(super) fn sensitive_content_reports(row: sensitive_content_reports::Row<'_>) -> Child {
    let sensitive_content_reports::Row { task_id: _, sensitive_content_report_index, r#type, message, extra } = row;
    let object = Object::default().with("type", r#type).with("message", message).with_extra(extra);
    let owner = Vec::new();
    Child { owner, array: "sensitive_content_reports", index: sensitive_content_report_index, object }
}

pub(super) fn threads(row: threads::Row<'_>) -> Child {
    let threads::Row { task_id: _, thread_index, thread_id, turn_count, annotation_count, submission_count, extra } =
        row;
    let object = Object::default()
        .with("id", thread_id)
        .with_array("turns", turn_count)
        .with_array("annotations", annotation_count)
        .with_array("submissions", submission_count)
        .with_extra(extra);
    let owner = Vec::new();
    Child { owner, array: "threads", index: thread_index, object }
}

pub(super) fn submissions(row: submissions::Row<'_>) -> Child {
    let submissions::Row {
        task_id: _,
        thread_index,
        submission_index,
        thread_id: _,
        submitted_at,
        contributor_id,
        extra,
    } = row;
    let object = Object::default()
        .with_instant("submitted_at", submitted_at)
        .with("contributor_id", contributor_id)
        .with_extra(extra);
    let owner = thread_at(thread_index);
    Child { owner, array: "submissions", index: submission_index, object }
}

pub(super) fn turns(row: turns::Row<'_>) -> Child {
    let turns::Row {
        task_id: _,
        thread_index,
        turn_index,
        thread_id: _,
        turn_id,
        message_count,
        annotation_count,
        rubric_count,
        extra,
    } = row;
    let object = Object::default()
        .with("id", turn_id)
        .with_array("messages", message_count)
        .with_array("annotations", annotation_count)
        .with_array("rubrics", rubric_count)
        .with_extra(extra);
    let owner = thread_at(thread_index);
    Child { owner, array: "turns", index: turn_index, object }
}

pub(super) fn messages(row: messages::Row<'_>) -> Child {
    let messages::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        thread_id: _,
        turn_id: _,
        role,
        source_id,
        text,
        model,
        temperature,
        max_completion_tokens,
        top_p,
        top_k,
        annotation_count,
        rubric_evaluation_count,
        reference_text_count,
        attachment_count,
        chunk_count,
        reasoning_count,
        extra,
    } = row;
    let content = Object::default()
        .with("text", text)
        .with_array("reference_texts", reference_text_count)
        .with_array("attachments", attachment_count)
        .with_array("chunks", chunk_count)
        .with_array("reasoning", reasoning_count);
    let parameters = Object::default()
        .with("model", model)
        .with("temperature", temperature)
        .with("max_completion_tokens", max_completion_tokens)
        .with("top_p", top_p)
        .with("top_k", top_k);
    let object = Object::default()
        .with("role", role)
        .with("source_id", source_id)
        .with_object("content", content)
        .with_object("model_parameters", parameters)
        .with_array("annotations", annotation_count)
        .with_array("rubric_evaluations", rubric_evaluation_count)
        .with_extra(extra);
    let owner = turn_at(thread_index, turn_index);
    Child { owner, array: "messages", index: message_index, object }
}

pub(super) fn reference_texts(row: reference_texts::Row<'_>) -> Child {
    let reference_texts::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        reference_text_index,
        thread_id: _,
        turn_id: _,
        content,
        category,
        url,
        extra,
    } = row;
    let object =
        Object::default().with("content", content).with("category", category).with("url", url).with_extra(extra);
    let owner = content_at(thread_index, turn_index, message_index);
    Child { owner, array: "reference_texts", index: reference_text_index, object }
}

pub(super) fn attachments(row: attachments::Row<'_>) -> Child {
    let attachments::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        attachment_index,
        thread_id: _,
        turn_id: _,
        mime_type,
        name,
        content,
        url,
        scale_url,
        file_size_in_bytes,
        duration,
        transcript,
        transcript_url,
        transcript_start,
        transcript_end,
        extra,
        content_sha256: _,
        content_bytes: _,
        content_state: _,
        content_path: _,
        content_type: _,
        transcript_state: _,
        transcript_path: _,
    } = row;
    let object = Object::default()
        .with("mime_type", mime_type)
        .with("name", name)
        .with("content", content)
        .with("url", url)
        .with("scale_url", scale_url)
        .with("file_size_in_bytes", file_size_in_bytes)
        .with("duration", duration)
        .with("transcript", transcript)
        .with("transcript_url", transcript_url)
        .with("transcript_start", transcript_start)
        .with("transcript_end", transcript_end)
        .with_extra(extra);
    let owner = content_at(thread_index, turn_index, message_index);
    Child { owner, array: "attachments", index: attachment_index, object }
}

pub(super) fn chunks(row: chunks::Row<'_>) -> Child {
    let chunks::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        chunk_index,
        thread_id: _,
        turn_id: _,
        r#type,
        text,
        annotation_count,
        extra,
    } = row;
    let object = Object::default()
        .with("type", r#type)
        .with("text", text)
        .with_array("annotations", annotation_count)
        .with_extra(extra);
    let owner = content_at(thread_index, turn_index, message_index);
    Child { owner, array: "chunks", index: chunk_index, object }
}

pub(super) fn reasoning(row: reasoning::Row<'_>) -> Child {
    let reasoning::Row {
        task_id: _,
        thread_index,
        turn_index,
        message_index,
        reasoning_index,
        thread_id: _,
        turn_id: _,
        content,
        extra,
    } = row;
    let object = Object::default().with("content", content).with_extra(extra);
    let owner = content_at(thread_index, turn_index, message_index);
    Child { owner, array: "reasoning", index: reasoning_index, object }
}
