//! Bytes in: files, folders and standard input, plain or compressed, cut into pages of whole records.
//!
//! Knows where JSON values end, and nothing of what is in them.

mod files;
mod framing;
mod pages;

pub use files::{Input, resolve};
pub use framing::Framing;
pub use pages::{MAX_RECORD_BYTES, Page, Pages, Span, Spares};
