//! Record batches to Parquet files, and back.

mod chunk;
mod encode;
mod read;
mod rewrite;

pub use encode::{Encoding, encode};
pub use read::{footer, open, open_columns};
pub use rewrite::{identities, without};
