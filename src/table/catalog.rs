//! The catalog: every table and every column, declared once.
//!
//! A table reads `name of Dataset from "object of the API"`, a column `id name: kind = "where the API has it", "what it
//! means";`. Words may follow in brackets that the API is known to send; others pass, and are reported as drift. The id
//! is Parquet's field id: a new column takes the next free id of its table and stands last, it is nullable, it says
//! `since` which schema version it is there, and no id is ever used again. Field names and nullability follow Scale's
//! API reference and the models of Scale's own Python client; everything that the API may leave out is nullable.
//!
//! To add a column, add its line here and its value where the row is built (`flatten`) and read back (`restore`): the
//! compiler names both places.

use super::define::tables;

tables! {
    /// One row a task.
    tasks of Tasks from "Task" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 project_id: Option<Text> = "Task.project, or its id", "The project.";
        3 project_name: Option<Text> = "Task.project.name",
            "Name of the project. Null unless the project was expanded.";
        4 batch_id: Option<Text> = "Task.batch, or its id", "The batch.";
        5 batch_name: Option<Text> = "Task.batch.name", "Name of the batch. Null unless the batch was expanded.";
        6 status: Option<Text> = "Task.status",
            "`pending`, `completed`, `canceled`, `error` or `deleted`; other words pass.",
            ["pending", "completed", "canceled", "error", "deleted"];
        7 created_at: Option<Timestamp> = "Task.created_at", "When the task was created.";
        8 completed_at: Option<Timestamp> = "Task.completed_at", "When the task was completed. Null until then.";
        9 metadata: Option<Json> = "Task.metadata", "What the task's creator attached to it.";
        10 thread_count: Option<Int32> = "Task.threads", "Number of threads. Null where the array is absent.";
        11 turn_count: Int32 = "total", "Number of turns in all threads.";
        12 message_count: Int32 = "total", "Number of messages in all turns.";
        13 annotation_count: Int32 = "total", "Number of annotations at every level.";
        14 task_error_count: Option<Int32> = "Task.errors", "Number of errors. Null where the array is absent.";
        15 sensitive_content_report_count: Option<Int32> = "Task.sensitive_content_reports",
            "Number of reports of sensitive content. Null where the array is absent.";
        16 content_hash: Text = "computed",
            "128 bits in hex over the content: equal hashes mean an unchanged task. Key order, nulls, the spelling of numbers and of instants that have a column, signatures of addresses and all but id and name of an expanded project, batch or delivery don't count.";
        17 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the task: unknown fields, values of unexpected kinds.";
    }

    /// One row an error of a task.
    task_errors of Tasks from "Task.errors[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 task_error_index: Int32 = "position", "Position of the error in its task, from 0.";
        3 r#type: Option<Text> = "Task.errors[].type", "Such as `UNSUPPORTED_LANGUAGE`; any word passes.",
            ["UNSUPPORTED_LANGUAGE", "LANGUAGE_MISMATCH", "PROMPT_LENGTH_EXCEEDED", "INVALID_CATEGORY",
             "PROMPT_INFEASIBLE"];
        4 message: Option<Text> = "Task.errors[].message", "The error in words.";
        5 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the error: unknown fields, values of unexpected kinds.";
    }

    /// One row a report of sensitive content in a task.
    sensitive_content_reports of Tasks from "Task.sensitive_content_reports[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 sensitive_content_report_index: Int32 = "position", "Position of the report in its task, from 0.";
        3 r#type: Option<Text> = "Task.sensitive_content_reports[].type", "Kind of the content.";
        4 message: Option<Text> = "Task.sensitive_content_reports[].message", "The report in words.";
        5 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the report: unknown fields, values of unexpected kinds.";
    }

    /// One row a thread of a task.
    threads of Tasks from "Thread" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        4 turn_count: Option<Int32> = "Thread.turns", "Number of turns. Null where the array is absent.";
        5 annotation_count: Option<Int32> = "Thread.annotations",
            "Number of annotations of the thread itself. Null where the array is absent.";
        6 submission_count: Option<Int32> = "Thread.submissions",
            "Number of submissions. Null where the array is absent.";
        7 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the thread: unknown fields, values of unexpected kinds.";
    }

    /// One row a submission of a thread.
    submissions of Tasks from "Thread.submissions[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 submission_index: Int32 = "position", "Position of the submission in its thread, from 0.";
        4 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        5 submitted_at: Option<Timestamp> = "Thread.submissions[].submitted_at", "When the contributor submitted.";
        6 contributor_id: Option<Text> = "Thread.submissions[].contributor_id", "Who submitted.";
        7 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the submission: unknown fields, values of unexpected kinds.";
    }

    /// One row a turn of a thread.
    turns of Tasks from "Turn" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        5 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        6 message_count: Option<Int32> = "Turn.messages", "Number of messages. Null where the array is absent.";
        7 annotation_count: Option<Int32> = "Turn.annotations",
            "Number of annotations of the turn itself. Null where the array is absent.";
        8 rubric_count: Option<Int32> = "Turn.rubrics", "Number of rubrics. Null where the array is absent.";
        9 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the turn: unknown fields, values of unexpected kinds.";
    }

    /// One row a rubric of a turn.
    rubrics of Tasks from "Turn.rubrics[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 rubric_index: Int32 = "position", "Position of the rubric in its turn, from 0.";
        5 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        6 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        7 max_total_score: Option<Float64> = "Turn.rubrics[].max_total_score", "The most that an answer can score.";
        8 rubric_criterion_count: Option<Int32> = "Turn.rubrics[].criteria_definitions",
            "Number of criteria. Null where the array is absent.";
        9 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the rubric: unknown fields, values of unexpected kinds.";
    }

    /// One row a criterion of a rubric.
    rubric_criteria of Tasks from "Turn.rubrics[].criteria_definitions[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 rubric_index: Int32 = "position", "Position of the rubric in its turn, from 0.";
        5 rubric_criterion_index: Int32 = "position", "Position of the criterion in its rubric, from 0.";
        6 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        7 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        8 criterion_definition_id: Option<Text> = "Turn.rubrics[].criteria_definitions[].id",
            "Id of the criterion, as `criterion_evaluations` names it.";
        9 criterion: Option<Text> = "Turn.rubrics[].criteria_definitions[].criterion", "The criterion in words.";
        10 weight: Option<Float64> = "Turn.rubrics[].criteria_definitions[].weight", "Its weight in the total score.";
        11 annotation_count: Option<Int32> = "Turn.rubrics[].criteria_definitions[].annotations",
            "Number of annotations of the criterion. Null where the array is absent.";
        12 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the criterion: unknown fields, values of unexpected kinds.";
    }

    /// One row a message of a turn.
    messages of Tasks from "Message" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 message_index: Int32 = "position", "Position of the message in its turn, from 0.";
        5 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        6 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        7 role: Option<Text> = "Message.role", "`system`, `user`, `assistant` or `function`; other words pass.",
            ["system", "user", "assistant", "function"];
        8 source_id: Option<Text> = "Message.source_id", "The model, system or user that sent the message.";
        9 text: Option<Text> = "Message.content.text", "What was said.";
        10 model: Option<Text> = "Message.model_parameters.model", "The model that was asked.";
        11 temperature: Option<Float64> = "Message.model_parameters.temperature", "Its temperature.";
        12 max_completion_tokens: Option<Int64> = "Message.model_parameters.max_completion_tokens",
            "The most tokens that it might generate.";
        13 top_p: Option<Float64> = "Message.model_parameters.top_p", "Its nucleus sampling bound.";
        14 top_k: Option<Int64> = "Message.model_parameters.top_k", "Its top-k sampling bound.";
        15 annotation_count: Option<Int32> = "Message.annotations",
            "Number of annotations of the message itself. Null where the array is absent.";
        16 rubric_evaluation_count: Option<Int32> = "Message.rubric_evaluations",
            "Number of rubric evaluations. Null where the array is absent.";
        17 reference_text_count: Option<Int32> = "Message.content.reference_texts",
            "Number of reference texts. Null where the array is absent.";
        18 attachment_count: Option<Int32> = "Message.content.attachments",
            "Number of attachments. Null where the array is absent.";
        19 chunk_count: Option<Int32> = "Message.content.chunks", "Number of chunks. Null where the array is absent.";
        20 reasoning_count: Option<Int32> = "Message.content.reasoning",
            "Number of reasoning steps. Null where the array is absent.";
        21 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the message: unknown fields, values of unexpected kinds.";
    }

    /// One row a reference text of a message.
    reference_texts of Tasks from "Content.reference_texts[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 message_index: Int32 = "position", "Position of the message in its turn, from 0.";
        5 reference_text_index: Int32 = "position", "Position of the reference text in its message, from 0.";
        6 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        7 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        8 content: Option<Text> = "Content.reference_texts[].content", "The text.";
        9 category: Option<Text> = "Content.reference_texts[].category", "Its category.";
        10 url: Option<Text> = "Content.reference_texts[].url", "Where it comes from.";
        11 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the reference text: unknown fields, values of unexpected kinds.";
    }

    /// One row an attachment of a message: basic file, image or audio.
    attachments of Tasks from "File" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 message_index: Int32 = "position", "Position of the message in its turn, from 0.";
        5 attachment_index: Int32 = "position", "Position of the attachment in its message, from 0.";
        6 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        7 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        8 mime_type: Option<Text> = "File.mime_type", "Media type.";
        9 name: Option<Text> = "File.name", "File name.";
        10 content: Option<Text> = "File.content, of a basic file", "The content in base64.";
        11 url: Option<Text> = "File.url", "Address, whole, with its signature.";
        12 scale_url: Option<Text> = "File.scale_url", "Address at Scale, whole, with its signature.";
        13 file_size_in_bytes: Option<Int64> = "File.file_size_in_bytes, of an image", "Size in bytes.";
        14 duration: Option<Float64> = "File.duration, of a recording", "Length in seconds.";
        15 transcript: Option<Text> = "File.transcript, of a recording", "What is said in the recording.";
        16 transcript_url: Option<Text> = "File.transcript_url, of a recording",
            "Address of the transcript, whole, with its signature.";
        17 transcript_start: Option<Float64> = "File.transcript_start, of a recording",
            "Where the transcript starts, in seconds.";
        18 transcript_end: Option<Float64> = "File.transcript_end, of a recording",
            "Where the transcript ends, in seconds.";
        19 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the attachment: unknown fields, values of unexpected kinds.";
        20 content_sha256 since 2: Option<Text> = "computed",
            "SHA-256, in hex, of the attachment's bytes. Null unless `content` is base64 or the lake keeps them.";
        21 content_bytes since 2: Option<Int64> = "computed",
            "How many bytes these are. Null where `content_sha256` is.";
        22 content_state since 2: Option<Text> = "computed",
            "What became of the bytes. Kept are those that were fetched (`stored`), that also stand in `content` (`copied`), that stood there (`moved`); else the reason why they are not. Null where nobody asked for them.",
            ["stored", "copied", "moved", "unsupported", "refused", "too_large", "denied", "missing", "unreachable"];
        23 content_path since 2: Option<Text> = "computed",
            "The file with the bytes, from the lake's root. Null where it keeps none.";
        24 content_type since 2: Option<Text> = "computed",
            "Media type of the kept bytes, told by themselves. Null where none are kept.";
        25 transcript_state since 2: Option<Text> = "computed",
            "What became of what lies at `transcript_url`: `stored`, or the reason why it is not kept. Null where nobody asked for it.",
            ["stored", "unsupported", "refused", "too_large", "denied", "missing", "unreachable"];
        26 transcript_path since 2: Option<Text> = "computed",
            "The file with that transcript, from the lake's root. Null where it keeps none.";
    }

    /// One row a chunk of a message's content.
    chunks of Tasks from "Content.chunks[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 message_index: Int32 = "position", "Position of the message in its turn, from 0.";
        5 chunk_index: Int32 = "position", "Position of the chunk in its message, from 0.";
        6 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        7 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        8 r#type: Option<Text> = "Content.chunks[].type", "`text`; other words pass.",
            ["text"];
        9 text: Option<Text> = "Content.chunks[].text", "The text.";
        10 annotation_count: Option<Int32> = "Content.chunks[].annotations",
            "Number of annotations of the chunk. Null where the array is absent.";
        11 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the chunk: unknown fields, values of unexpected kinds.";
    }

    /// One row a reasoning step of a message.
    reasoning of Tasks from "Content.reasoning[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 message_index: Int32 = "position", "Position of the message in its turn, from 0.";
        5 reasoning_index: Int32 = "position", "Position of the reasoning step in its message, from 0.";
        6 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        7 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        8 content: Option<Text> = "Content.reasoning[].content", "The step in words.";
        9 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the reasoning step: unknown fields, values of unexpected kinds.";
    }

    /// One row an evaluation of a message by a rubric.
    rubric_evaluations of Tasks from "Message.rubric_evaluations[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 message_index: Int32 = "position", "Position of the message in its turn, from 0.";
        5 rubric_evaluation_index: Int32 = "position", "Position of the evaluation in its message, from 0.";
        6 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        7 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        8 total_score: Option<Float64> = "Message.rubric_evaluations[].total_score", "The score.";
        9 percentage: Option<Float64> = "Message.rubric_evaluations[].percentage",
            "The score as a percentage of the most that could be had, as delivered. Not documented: whether 0 to 1 or 0 to 100.";
        10 criterion_evaluation_count: Option<Int32> = "Message.rubric_evaluations[].criteria_evaluations",
            "Number of evaluated criteria. Null where the array is absent.";
        11 annotation_count: Option<Int32> = "Message.rubric_evaluations[].annotations",
            "Number of annotations of the evaluation. Null where the array is absent.";
        12 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the evaluation: unknown fields, values of unexpected kinds.";
    }

    /// One row a criterion of a rubric evaluation.
    criterion_evaluations of Tasks from "Message.rubric_evaluations[].criteria_evaluations[]" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Int32 = "position", "Position of the turn in its thread, from 0.";
        4 message_index: Int32 = "position", "Position of the message in its turn, from 0.";
        5 rubric_evaluation_index: Int32 = "position", "Position of the evaluation in its message, from 0.";
        6 criterion_evaluation_index: Int32 = "position",
            "Position of the criterion's evaluation in its rubric evaluation, from 0.";
        7 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        8 turn_id: Option<Text> = "Turn.id", "Id of the turn. Not unique: address a turn by its position.";
        9 criterion_definition_id: Option<Text> = "Message.rubric_evaluations[].criteria_evaluations[].criterion_definition_id",
            "The criterion, as in `rubric_criteria`.";
        10 score: Option<Float64> = "Message.rubric_evaluations[].criteria_evaluations[].score", "The score.";
        11 annotation_count: Option<Int32> = "Message.rubric_evaluations[].criteria_evaluations[].annotations",
            "Number of annotations of the criterion's evaluation. Null where the array is absent.";
        12 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the criterion's evaluation: unknown fields, values of unexpected kinds.";
    }

    /// One row an annotation, whatever it stands on.
    annotations of Tasks from "Annotation" {
        1 task_id: Text = "Task.task_id", "The task.";
        2 thread_index: Int32 = "position", "Position of the thread in its task, from 0.";
        3 turn_index: Option<Int32> = "position",
            "Position of the turn in its thread, from 0. Null where the owner stands above.";
        4 message_index: Option<Int32> = "position",
            "Position of the message in its turn, from 0. Null where the owner stands above.";
        5 chunk_index: Option<Int32> = "position",
            "Position of the chunk in its message, from 0. Null where the owner stands above.";
        6 rubric_index: Option<Int32> = "position",
            "Position of the rubric in its turn, from 0. Null where the owner stands above.";
        7 rubric_criterion_index: Option<Int32> = "position",
            "Position of the criterion in its rubric, from 0. Null where the owner stands above.";
        8 rubric_evaluation_index: Option<Int32> = "position",
            "Position of the evaluation in its message, from 0. Null where the owner stands above.";
        9 criterion_evaluation_index: Option<Int32> = "position",
            "Position of the criterion's evaluation in its rubric evaluation, from 0. Null where the owner stands above.";
        10 annotation_index: Int32 = "position", "Position of the annotation in its owner, from 0.";
        11 scope: Text = "position",
            "What it stands on: `thread`, `turn`, `message`, `chunk`, `rubric_criterion`, `rubric_evaluation` or `criterion_evaluation`.";
        12 thread_id: Option<Text> = "Thread.id", "Id of the thread. Not unique: address a thread by its position.";
        13 turn_id: Option<Text> = "Turn.id", "Id of the turn. Null for an annotation of a thread.";
        14 annotation_id: Option<Text> = "Annotation.id", "Id of the annotation. Not unique.";
        15 key: Option<Text> = "Annotation.key", "What is asked, such as `instruction_following`.";
        16 r#type: Option<Text> = "Annotation.type", "The declared type of the value; any word passes.",
            ["integer", "boolean", "text", "category", "category_multiple", "file", "ranked_choices", "ranked_groups",
             "labeled_text", "rubric_criteria", "rubric_rating", "workspace_container"];
        17 title: Option<Text> = "Annotation.title", "The question's title.";
        18 description: Option<Text> = "Annotation.description", "The question in words.";
        19 labels: Option<TextList> = "Annotation.labels", "The possible answers in words.";
        20 not_applicable: Option<Boolean> = "Annotation.not_applicable", "The question does not apply.";
        21 cannot_assess: Option<Boolean> = "Annotation.cannot_assess", "The contributor could not tell.";
        22 justification: Option<Text> = "Annotation.justification", "Why the answer was given.";
        23 criteria: Option<Text> = "Annotation.metadata.criteria",
            "Which criterion is answered: `metadata.criteria` if it is a string; if it is a whole annotation, that one's id, else its key.";
        24 metadata: Option<Json> = "Annotation.metadata", "The metadata as sent.";
        25 value_text: Option<Text> = "Annotation.value", "The value, if it is a string.";
        26 value_boolean: Option<Boolean> = "Annotation.value", "The value, if it is a boolean.";
        27 value_number: Option<Float64> = "Annotation.value",
            "The value as a double, if it is a number within a double's range.";
        28 value_integer: Option<Int64> = "Annotation.value", "The value, if it is an integer of 64 bits.";
        29 value_list: Option<TextList> = "Annotation.value",
            "The value, if it is a list of strings: chosen categories, or ranked choices with the best first.";
        30 value_groups: Option<TextGroups> = "Annotation.value",
            "The value, if it is a list of lists of strings: ranked groups with the best first.";
        31 value_json: Option<Json> = "Annotation.value",
            "The value, if it is an object, another list, or a number that no other column holds exactly.";
        32 value_score: Option<Float64> = "Annotation.value.score",
            "The score of a rubric rating: `score` of a value that is an object.";
        33 value_weight: Option<Float64> = "Annotation.value.weight",
            "The weight of a rubric criterion: `weight` of a value that is an object.";
        34 possible_values: Option<Json> = "Annotation.possible_values",
            "The possible values as sent: a list, or a list in a list.";
        35 value_label: Option<Text> = "Annotation.labels",
            "The label that stands where the value stands in `possible_values`.";
        36 value_labels: Option<TextList> = "Annotation.labels",
            "The same for each entry of `value_list`. Null unless every entry has one.";
        37 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the annotation: unknown fields, values of unexpected kinds.";
    }

    /// One row a project that was seen as an object.
    projects of Projects from "Project" {
        1 project_id: Text = "Project.id", "The project.";
        2 name: Option<Text> = "Project.name", "Its name.";
        3 created_at: Option<Timestamp> = "Project.created_at", "When it was created.";
        4 types: Option<TextList> = "Project.types", "Its types.";
        5 models: Option<TextList> = "Project.models", "Its models.";
        6 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the project: unknown fields, values of unexpected kinds.";
    }

    /// One row a batch that was seen as an object.
    batches of Batches from "Batch" {
        1 batch_id: Text = "Batch.id", "The batch.";
        2 name: Option<Text> = "Batch.name", "Its name.";
        3 project_id: Option<Text> = "Batch.project, or its id", "The project.";
        4 project_name: Option<Text> = "Batch.project.name",
            "Name of the project. Null unless the project was expanded.";
        5 status: Option<Text> = "Batch.status",
            "`staging`, `in_progress`, `completed`, `paused` or `cancelled`; other words pass.",
            ["staging", "in_progress", "completed", "paused", "cancelled"];
        6 created_at: Option<Timestamp> = "Batch.created_at", "When it was created.";
        7 completed_at: Option<Timestamp> = "Batch.completed_at", "When it was completed. Null until then.";
        8 callback: Option<Text> = "Batch.callback", "Address that Scale calls back.";
        9 metadata: Option<Json> = "Batch.metadata", "What the batch's creator attached to it.";
        10 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the batch: unknown fields, values of unexpected kinds.";
    }

    /// One row a delivery that was seen as an object.
    deliveries of Deliveries from "Delivery" {
        1 delivery_id: Text = "Delivery.id", "The delivery.";
        2 name: Option<Text> = "Delivery.name", "Its name.";
        3 project_id: Option<Text> = "Delivery.project, or its id", "The project.";
        4 project_name: Option<Text> = "Delivery.project.name",
            "Name of the project. Null unless the project was expanded.";
        5 task_count: Option<Int64> = "Delivery.task_count", "How many tasks it holds.";
        6 delivered_at: Option<Timestamp> = "Delivery.delivered_at", "When it was delivered.";
        7 extra: Option<Json> = "everything else",
            "What the other columns can't give back of the delivery: unknown fields, values of unexpected kinds.";
    }

    /// One row a task of a delivery.
    delivery_tasks of DeliveryTasks from "Delivery.tasks[]" {
        1 delivery_id: Text = "Delivery.id", "The delivery.";
        2 task_id: Text = "Task.task_id", "The task.";
        3 extra: Option<Json> = "everything else",
            "What else the listing of delivered tasks tells: of `response` what the task's threads don't hold. From saved pages the whole `response`.";
        4 delivered_at since 2: Option<Timestamp> = "Delivery.tasks[].delivered_at", "When it was delivered.";
        5 response_schema_id since 2: Option<Text> = "Delivery.tasks[].response_schema_id",
            "The schema that its response follows.";
    }
}
