//! taskloom
pub mod batch;
pub mod cli;
pub mod commit;
pub mod config;
pub mod error;
pub mod file;
pub mod flatten;
pub mod generate;
pub mod json;
pub mod parse;
pub mod partition;
pub mod pipeline;
pub mod report;
pub mod restore;
pub mod shuffle;
pub mod source;
pub mod table;
