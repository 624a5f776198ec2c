//! Answers that were judged against each other: turns as they were led, and which answer of a turn is better than which.

mod comparison;
mod turn;

pub(crate) use comparison::{Reason, Sink, Wanted, each_comparison};
pub(crate) use turn::{Message, Turn};

pub use comparison::Better;
