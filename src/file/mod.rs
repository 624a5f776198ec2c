//! Record batches to Parquet files, and back.

mod chunk;
mod encode;
mod read;
mod rewrite;

pub use encode::{Encoded, Encoding, encode};
pub use read::{open, open_columns, read_all};
pub use rewrite::without;
