//! What the rows of one task have in common: where they stand and where they go.

use super::fields::Workbench;
use crate::batch::Tables;

/// Where a row stands: the task and the positions down to its owner, null below it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    pub task_id: &'a str,
    pub thread_index: i32,
    pub thread_id: Option<&'a str>,
    pub turn_index: Option<i32>,
    pub turn_id: Option<&'a str>,
    pub message_index: Option<i32>,
    pub chunk_index: Option<i32>,
    pub rubric_index: Option<i32>,
    pub rubric_criterion_index: Option<i32>,
    pub rubric_evaluation_index: Option<i32>,
    pub criterion_evaluation_index: Option<i32>,
}

/// What is counted over a whole task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub turns: i32,
    pub messages: i32,
    pub annotations: i32,
}

/// Appends the rows of one task.
pub(super) struct Flattener<'t, 'a> {
    pub tables: &'t mut Tables,
    pub bench: &'a Workbench,
    pub totals: Totals,
}

/// The positions that every row below a message has.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageKey {
    pub turn_index: i32,
    pub message_index: i32,
}
