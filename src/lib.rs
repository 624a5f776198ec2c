//! taskloom turns Scale GenAI tasks (conversations with models, labelled by people) into columnar tables.
//!
//! The modules stand in the order in which data walks; a module imports only from those before it. `config`, `error`,
//! `progress` and `report` are everybody's.
//!
//! ```text
//!            blocks              frames             parts                files
//!  source ─────────▶ parse ─────────▶ shuffle ─────────▶ flatten, batch ─────────▶ commit
//!  one thread  2     the pool          coordinator        file, part: the pool      coordinator
//! ```
//!
//! The reader runs at most two blocks ahead. Blocks being parsed, frames in buffers and parts being built are bounded by counted
//! bytes (see [`config::Memory`]); buffers that grow too large go to disk. Blocks and parts carry sequence numbers, so the same
//! input gives the same bytes with any number of threads.

// What we produce.
pub mod table;

// What we stand on.
pub mod error;
pub mod json;
pub mod partition;
pub mod progress;
pub mod time;

// The way of the data.
pub mod source;

pub mod config;

pub mod parse;

pub mod shuffle;

pub mod batch;

pub mod flatten;

pub mod file;

pub mod drift;

pub mod part;

pub mod commit;

pub mod report;

pub mod pipeline;

// And back.
pub mod restore;

pub mod inspect;

// The tables in the words of those who read them.
pub mod dialect;

// Data to try it on, and the face.
#[cfg(feature = "simulate")]
pub mod generate;

#[cfg(feature = "simulate")]
pub mod simulate;

#[cfg(feature = "cli")]
pub mod cli;
