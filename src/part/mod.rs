//! Parts to files: whole tasks of one partition go in as frames, and come out as one file a table, with the entries that a commit
//! record needs. Knows no source, no queue and no command line, and works in the pool that it is given.

mod entry;
mod rows;
mod writer;

pub use entry::{FileEntry, PartEntry, checksum, file_path};
pub use writer::{PartWriter, Written};
