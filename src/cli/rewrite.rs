//! How commands that write parts of a lake anew work.

use clap::Args;
use parquet::basic::ZstdLevel;

use crate::config;
use crate::file::Encoding;

#[derive(Debug, Args)]
pub(super) struct RewriteArgs {
    /// Threads that work [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Level of zstd
    #[arg(long, value_name = "LEVEL", default_value_t = Encoding::USUAL_LEVEL, value_parser = clap::value_parser!(i32).range(1..=22))]
    compression_level: i32,
}

impl RewriteArgs {
    pub(super) fn threads(&self) -> usize {
        self.threads.map_or_else(config::all_cores, usize::from)
    }

    pub(super) fn compression_level(&self) -> ZstdLevel {
        ZstdLevel::try_new(self.compression_level).unwrap_or_default()
    }
}
