//! taskloom turns Scale GenAI tasks (conversations with models, labelled by people) into columnar tables.
//!
//! A [`Source`] is read by [`run()`] into a [`Lake`], a folder of Parquet files a table; [`restore()`] gives the tasks back. What the
//! tables hold stands in [`schema`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use taskloom::{Input, Lake, Outcome, RunConfig, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let input = folder.path().join("tasks.ndjson");
//! let task = r#"{"task_id":"t1","project":"p1","status":"completed","threads":[{"id":"th1","turns":[]}]}"#;
//! std::fs::write(&input, task)?;
//!
//! let source = Source::Files(vec![Input::File(input)]);
//! let lake = Lake::at(&folder.path().join("lake"))?;
//! let config = RunConfig::new(source, lake.clone());
//! let Outcome::Committed(report) = taskloom::run(config, &Arc::default())? else {
//!     return Err("another run was first".into());
//! };
//! assert_eq!((report.version, report.tables["threads"].rows), (1, 1));
//!
//! let mut tasks = Vec::new();
//! taskloom::restore(&lake, &mut tasks)?;
//! assert!(String::from_utf8(tasks)?.contains(r#""task_id":"t1""#));
//! # Ok(())
//! # }
//! ```
//!
//! The rooms behind it stand below in the order in which data walks; a room imports only from those before it. `config`, `error`,
//! `progress` and `report` are everybody's.
//!
//! ```text
//!            blocks              frames             parts                files
//!  source ─────────▶ parse ─────────▶ shuffle ─────────▶ flatten, batch ─────────▶ lake
//!  one thread  2     the pool          coordinator        file, part: the pool      coordinator
//! ```
//!
//! The reader runs at most two blocks ahead. Blocks being parsed, frames in buffers and parts being built are bounded by counted
//! bytes (see [`Memory`]); buffers that grow too large go to disk. Blocks and parts carry sequence numbers, so the same
//! input gives the same bytes with any number of threads.

// What we produce.
mod table;

// What we stand on.
mod error;
mod forgotten;
mod json;
mod partition;
mod progress;
mod time;

mod store;

// The way of the data.
mod source;

mod config;

mod parse;

mod shuffle;

mod batch;

mod flatten;

mod file;

mod attachment;

mod drift;

mod part;

mod lake;

mod merge;

mod report;

mod pipeline;

// And back.
mod restore;

mod scan;

mod upkeep;

#[cfg(feature = "api")]
mod sync;

// What a whole lake tells.
mod annotations;

mod judged;

mod dataset;

mod winrate;

mod feed;

mod inspect;

#[cfg(feature = "cli")]
mod overview;

mod verify;

// The tables in the words of those who read them.
mod dialect;

// Data to try it on, and the face.
#[cfg(feature = "simulate")]
mod generate;

#[cfg(feature = "simulate")]
mod simulate;

#[cfg(feature = "cli")]
pub mod cli;

pub use attachment::{AttachmentReport, Example, OfTasks};

pub use annotations::{
    AnnotationReport, Bin, ContributorReport, KeyReport, Measurement, MonthReport, NumberReport, RepeatedReport,
    ScaleReport, Use, ValueReport, annotations_of,
};
pub use config::{Job, Limit, Memory, Reconcile, RunConfig};
pub use dataset::{
    Aggregate, By, DatasetOptions, DatasetReport, Method, Reasoning, Selection, SplitBy, Target, Turns, write_dataset,
    write_dataset_into,
};
pub use error::{Error, ErrorKind, Result};
pub use feed::{Since, TaskChange, changes_since};
pub use inspect::drift_of;
pub use judged::Better;
pub use lake::{
    Author, CheckedOut, Erased, Fault, Finding, Lake, Recovered, Scope, Standing, State, VacuumOptions, Vacuumed,
    Version,
};
#[cfg(feature = "cli")]
pub use overview::{Cell, Origin, Overview, Picture, Section, overview};
pub use partition::{DateBy, DateGrain, Extent, Layout, Wanted};
pub use pipeline::{Lead, Outcome, Received, Shard, Ticket, check, run, write_shard};
pub use progress::{Counts, Progress, Stage};
pub use report::{DriftReport, FetchReport, LeftOut, Report, TableReport};
pub use restore::{restore, restore_state};
pub use scan::{Days, Scan, ScanOptions, ScanReader, scan, scan_rows, scan_schema_of};
pub use source::{Input, Lines, Source, Stored, resolve, resolve_with};
pub use store::{LocalStore, MemoryStore, Store, StoreOptions};
pub use upkeep::{
    CompactOptions, Compacted, ForgetOptions, Forgetting, MANY_PARTS, RolledBack, UpgradeOptions, Upgraded, compact,
    forget, outdated_parts, rollback, surplus_parts, upgrade,
};
pub use verify::{Verification, VerifyOptions, verify};
pub use winrate::{Bias, Interval, Match, Player, WinRateOptions, WinRates, to_parquet, win_rates};

/// Tasks from the Scale API: what is asked of it, and how it is reached.
#[cfg(feature = "api")]
pub mod api {
    pub use crate::attachment::{AllowedHost, FetchOptions};
    pub use crate::source::api::query::{EXPANDABLE, OPTS, Parameter};
    pub use crate::source::api::{ApiConfig, Key, Moving, Patience, Plan, Query, Selector, address, earliest};
    pub use crate::sync::{Backfill, Due, Every, Ran, Schedule, Sync, Upkeep, UpkeepOptions, job_name};

    use std::collections::BTreeMap;

    use crate::error::Result;
    use crate::lake::{Lake, State};

    /// Deliveries since an instant, in microseconds, all of whose tasks a lake knows, with how many these are: a [`Plan`] that has them does not
    /// walk them once more.
    pub fn whole_deliveries(lake: &Lake, state: &State, since: i64) -> Result<BTreeMap<String, u64>> {
        crate::merge::whole_deliveries(&**lake.store(), state, since)
    }
}

/// What the tables hold, and code that reads them in the engines' own words.
pub mod schema {
    pub use crate::dialect::{Engine, Format, Reading, Via, reading_code, schema as write, spark_columns};
    pub use crate::table::{Column, Dataset, SCHEMA_VERSION, Shape, TABLES, Table};
}

/// Tasks made by rule, and an API on this machine that serves them: to try out what is built on this crate.
#[cfg(feature = "simulate")]
pub mod trial {
    pub use crate::generate::{GenerateOptions, generate};
    pub use crate::simulate::{Attachments, Delivery, Fault, Faults, RequestSeen, SimulateOptions, Simulator, Store};
}

/// The rooms, for this package's own tests and benches. Nothing in here is promised to anybody.
#[cfg(feature = "internals")]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod internals {
    pub mod batch {
        pub use crate::batch::*;
    }
    pub mod lake {
        pub use crate::lake::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod dialect {
        pub use crate::dialect::*;
    }
    pub mod drift {
        pub use crate::drift::*;
    }
    pub mod error {
        pub use crate::error::*;
    }
    pub mod file {
        pub use crate::file::*;
    }
    pub mod flatten {
        pub use crate::flatten::*;
    }
    #[cfg(feature = "simulate")]
    pub mod generate {
        pub use crate::generate::*;
    }
    pub mod inspect {
        pub use crate::inspect::*;
    }
    pub mod parse {
        pub use crate::parse::*;
    }
    pub mod part {
        pub use crate::part::*;
    }
    pub mod partition {
        pub use crate::partition::*;
    }
    pub mod pipeline {
        pub use crate::pipeline::*;
    }
    pub mod progress {
        pub use crate::progress::*;
    }
    pub mod report {
        pub use crate::report::*;
    }
    pub mod feed {
        pub use crate::feed::*;
    }
    pub mod restore {
        pub use crate::restore::*;
    }
    #[cfg(feature = "simulate")]
    pub mod simulate {
        pub use crate::simulate::*;
    }
    pub mod source {
        pub use crate::source::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
    pub mod table {
        pub use crate::table::*;
    }
    pub mod time {
        pub use crate::time::*;
    }
    pub mod upkeep {
        pub use crate::upkeep::*;
    }
    pub mod verify {
        pub use crate::verify::*;
    }
}
