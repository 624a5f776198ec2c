//! What a lake needs over the years, without any source: fewer and larger files, the columns that came with newer schemas, an older
//! version again, and what must not be in it any more taken out of it.

#[cfg(feature = "api")]
mod attachments;
mod compact;
mod forget;
mod gathered;
mod rollback;
mod upgrade;

#[cfg(feature = "api")]
pub use attachments::{Fetched, FetchingOptions, fetch_attachments};
pub use compact::{CompactOptions, Compacted, MANY_PARTS, compact, surplus_parts};
pub use forget::{ForgetOptions, Forgetting, forget};
pub use rollback::{RolledBack, rollback};
pub use upgrade::{UpgradeOptions, Upgraded, outdated_parts, upgrade};
