//! Answers that were judged against each other: turns as they were led, and which answer of a turn is better than which.

mod comparison;
mod conversation;

pub(crate) use comparison::{Reason, Sink, Wanted, each_comparison, misplaced, ranks};
pub(crate) use conversation::{
    Apart, Conversations, Image, Judgement, Message, Place, RUBRIC_RATING, Rows, Task, Thread, Turn,
};

pub use comparison::Better;
