//! Record batches to Parquet files, and back.

mod column;
mod encode;
mod join;
mod objects;
mod read;
mod rewrite;

pub(crate) use column::bounds;
#[cfg(feature = "internals")]
pub use column::{LEAST_COMPRESSED_BYTES, compressed};
pub use encode::{Encoding, encode, schema_version_of};
pub use join::joined;
pub use objects::Objects;
#[cfg(feature = "api")]
pub use read::conform;
pub use read::{footer_of, open, open_batches, open_columns};
pub use rewrite::{identities, without};
