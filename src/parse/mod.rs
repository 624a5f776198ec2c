//! From bytes to tasks: opens records into items, tells what can't be a task, and never touches a file.

mod envelope;
mod forget;
mod head;
mod reject;

pub use envelope::{Item, MAX_DEPTH, Opener, Sink, membership_id, tree_of};
pub use forget::{CONTRIBUTOR, Memberships, Sieve, page_without, reject_without, without_contributors};
pub use reject::{Origin, Problem, Reject};
