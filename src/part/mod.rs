//! Parts to files: whole tasks of one partition go in as frames, and come out as one file a table, with the entries that a commit
//! record needs. Knows no source, no queue and no command line, and works in the pool that it is given.

mod changes;
mod entry;
mod ledger;
mod near;
mod rows;
mod statistics;
mod writer;

pub use changes::Noted;
pub use entry::{FileEntry, Instants, PartEntry, checksum, is_zero, path_of};
pub use ledger::Ledger;
pub use near::{Near, groups};
pub use statistics::{bounds, instants};
pub use writer::{PartWriter, Written};
