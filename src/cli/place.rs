//! Where a lake is, and how its store is talked to, for every command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::error::Result;
use crate::lake::Lake;
use crate::store::StoreOptions;

const HEADING: &str = "Buckets";

/// A lake that is there.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Folder of the lake, or its address in a bucket: s3://bucket/path, gs://, az:// or abfss://
    #[arg(value_name = "LAKE")]
    lake: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

/// How the store of an address is talked to.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// A setting of the store, by its name in object_store: aws_region=eu-central-1. Usual variables of the environment hold as well
    #[arg(long = "store-option", help_heading = HEADING, value_name = "KEY=VALUE", value_parser = setting)]
    store_options: Vec<(String, String)>,
    /// A run that has shown no sign of life for so long is taken for dead; 15 minutes at least, since signs come every five
    #[arg(long, help_heading = HEADING, value_name = "TIME", default_value = "24h", value_parser = lease)]
    lease: Duration,
    /// Repeat a request that fails in a way that may pass for so long
    #[arg(long, help_heading = HEADING, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    store_retry_for: Duration,
}

/// A lease must outlast two signs of life that did not come through.
const SHORTEST_LEASE: Duration = Duration::from_secs(15 * 60);

impl PlaceArgs {
    /// Opens the lake, which must be there.
    pub(super) fn open(&self) -> Result<Lake> {
        Lake::open_with(&self.lake, &self.store.options())
    }

    /// How the store is talked to.
    pub(super) fn options(&self) -> StoreOptions {
        self.store.options()
    }

    /// An error unless a lake can be in such a place.
    pub(super) fn check(&self) -> Result<()> {
        Lake::with(&self.lake, &self.store.options()).map(drop)
    }

    /// What was given.
    pub(super) fn path(&self) -> &Path {
        &self.lake
    }
}

impl StoreArgs {
    pub(super) fn options(&self) -> StoreOptions {
        StoreOptions {
            settings: self.store_options.clone(),
            lease: self.lease,
            retry_for: self.store_retry_for,
            ..StoreOptions::default()
        }
    }
}

fn setting(text: &str) -> std::result::Result<(String, String), String> {
    // What stands there may be a secret.
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn lease(text: &str) -> std::result::Result<Duration, String> {
    let expected = || format!("expected a time of 15 minutes or more, such as 24h, found `{text}`");
    humantime::parse_duration(text).ok().filter(|lease| *lease >= SHORTEST_LEASE).ok_or_else(expected)
}
