//! The table that a lake keeps of itself: what its versions did to tasks.

use super::define::tables;

tables! {
    /// One row a task that a version added, replaced, removed or forgot.
    task_changes of TaskChanges from "the lake" {
        1 task_id: Text = "Task.task_id", "The task; of one that was forgotten the SHA-256, in hex, of the lake's `forget_key` and its id.";
        2 version: Int64 = "computed", "The version of the lake that did it.";
        3 committed_at: Timestamp = "computed", "When that version was committed.";
        4 project_id: Option<Text> = "Task.project, or its id", "The project that the task lies in, or lay.";
        5 batch_id: Option<Text> = "Task.batch, or its id", "The batch that the task lies in, or lay.";
        6 change: Text = "computed",
            "`added`, `replaced` (by a copy of other content), `removed` or `forgotten`.",
            ["added", "replaced", "removed", "forgotten"];
    }
}
