//! What a lake needs over the years, without any source: fewer and larger files, and old ones gone.

mod compact;

pub use compact::{CompactOptions, Compacted, compact, surplus_parts};
