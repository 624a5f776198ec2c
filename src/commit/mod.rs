//! From staged files to visible data. A run is in for every table, or for none.
//!
//! 1. Finished files lie in `_taskloom/staging/<run>/`, on disk.
//! 2. One commit record, written only if no other run was faster, names them: this is the commit point.
//! 3. They are moved into place, children before parents, and a marker says that this is done.
//!
//! Whatever stops a run before step 2 leaves nothing that a reader sees; whatever stops it in step 3 is finished by the next
//! run or by `taskloom recover`.

mod lake;
mod lock;
mod record;
mod staging;

pub use lake::{Change, CommitOutcome, Lake, Recovered, Snapshot};
pub use staging::Staging;
