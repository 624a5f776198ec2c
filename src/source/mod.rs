//! Bytes in, as blocks of whole records: from files, folders and standard input, plain or compressed, or from the API.
//!
//! Knows where JSON values end. Of what is in them it knows nothing, but for what a page of the API tells of the next one.

#[cfg(feature = "api")]
pub mod api;
mod blocks;
mod feed;
mod find;
mod foreign;
mod framing;
mod handed;
mod input;
mod originals;

#[cfg(feature = "simulate")]
pub use blocks::Blocks;
#[cfg(feature = "api")]
pub use blocks::Spares;
pub use blocks::{Block, MAX_RECORD_BYTES, Span};
pub use feed::{Accounted, Feed, Flow, Opening, Source, Tail};
pub use find::{resolve, resolve_with};
pub use handed::{Lines, Stored};
pub use input::Input;
pub use originals::Originals;
