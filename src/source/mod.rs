//! Bytes in, as pages of whole records: from files, folders and standard input, plain or compressed, or from the API.
//!
//! Knows where JSON values end. Of what is in them it knows nothing, but for what a page of the API tells of the next one.

pub mod api;
mod find;
mod foreign;
mod framing;
mod input;
mod pages;

pub use find::resolve;
pub use framing::Framing;
pub use input::Input;
pub use pages::{MAX_RECORD_BYTES, Page, Pages, Span, Spares};
