//! From bytes to tasks: opens records into items, tells what can't be a task, and never touches a file.

mod envelope;
mod head;
mod reject;

pub use envelope::{Item, MAX_DEPTH, Opener, Sink, deep_parse, membership_id};
pub use reject::{Origin, Problem, Reject};
