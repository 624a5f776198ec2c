//! The product from outside: the library's runs and the program's commands, with their files read back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attachments;
mod buckets;
mod commands;
mod crashes;
mod docs;
mod drift;
mod export;
mod face;
mod faults;
mod file_server;
mod forget;
mod golden;
mod inputs;
mod lakes;
mod merges;
mod processes;
mod rejects;
mod restore;
mod same_bytes;
mod schedules;
mod schemas;
mod shards;
mod simulate;
#[path = "../stand_in/mod.rs"]
mod stand_in;
mod stores;
mod sync;
mod upgrade;
mod upkeep;
mod verify;
mod versions;
