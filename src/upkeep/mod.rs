//! What a lake needs over the years, without any source: fewer and larger files, and an older version again.

mod compact;
mod rollback;

pub use compact::{CompactOptions, Compacted, MANY_PARTS, compact, surplus_parts};
pub use rollback::{RolledBack, rollback};
