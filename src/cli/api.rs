//! How commands reach the API.

use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use url::Url;

use super::usage;
use crate::error::{Error, Result};
use crate::source::api::{ApiConfig, Key, Moving, Patience, Plan, Query, address};

/// How the API is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "The API")]
pub(super) struct ApiArgs {
    /// Its address
    #[arg(long, value_name = "URL", env = "SCALE_API_URL", default_value = "https://api.scale.com")]
    api_url: String,
    /// File that holds the key [default: the variable SCALE_API_KEY]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Tasks on a page
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    page_size: u8,
    /// Requests at a time; 1 walks each query as one chain of pages
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: u8,
    /// Further attempts of a request that fails
    #[arg(long, value_name = "N", default_value_t = Patience::default().retries)]
    retries: u32,
    /// Time for all attempts of a request
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    retry_for: Duration,
    /// Send no more requests a second than this, such as 20 or 0.5
    #[arg(long, value_name = "N", value_parser = rate)]
    max_requests_per_second: Option<f64>,
    /// Time until a connection stands
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    connect_timeout: Duration,
    /// Time without a byte until an attempt is given up
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    read_timeout: Duration,
    /// Allow http:// to other hosts than this one: the key goes unencrypted
    #[arg(long)]
    allow_http: bool,
}

impl ApiArgs {
    /// The API's address, and a plan's share of it: tasks on a page, and requests at a time.
    pub(super) fn address(&self) -> Result<Url> {
        address("--api-url", &self.api_url, self.allow_http)
    }

    /// What is asked, made for these numbers of tasks a page and of requests at a time.
    pub(super) fn plan(&self, query: (Query, Moving), now: DateTime<Utc>) -> Plan {
        Plan::new(query, now.timestamp_micros(), self.page_size, usize::from(self.concurrency))
    }

    /// The way to the API, for this plan, as careful as can be.
    pub(super) fn config(&self, plan: Plan, url: Url) -> Result<ApiConfig> {
        Ok(ApiConfig {
            patience: Patience { retries: self.retries, retry_for: self.retry_for, ..Patience::default() },
            max_requests_per_second: self.max_requests_per_second,
            connect_timeout: self.connect_timeout,
            read_timeout: self.read_timeout,
            ..ApiConfig::new(url, key(self.api_key_file.as_deref())?, plan)
        })
    }
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("expected a number above 0, such as 20 or 0.5, found `{text}`"))
}

fn key(file: Option<&Path>) -> Result<Key> {
    let (flag, text) = match file {
        Some(path) => ("--api-key-file", text_of(path)?),
        None => ("SCALE_API_KEY", std::env::var("SCALE_API_KEY").unwrap_or_default()),
    };
    // Never what was found.
    let found = if text.trim().is_empty() { "nothing" } else { "characters that no key has" };
    let expected = "an API key, in the variable SCALE_API_KEY or in a file that --api-key-file names";
    Key::new(&text).ok_or_else(|| usage(flag, expected, found))
}

/// A file's text, without the byte order mark that some editors and shells write, in whichever encoding that says.
pub(super) fn text_of(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
    let wide = |unit: fn([u8; 2]) -> u16| {
        let units = bytes.get(2..).unwrap_or_default().as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        String::from_utf16(&units.collect::<Vec<_>>()).ok()
    };
    let text = match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] | text => std::str::from_utf8(text).ok().map(str::to_owned),
    };
    let broken = || IoError::new(ErrorKind::InvalidData, "expected text in UTF-8 or UTF-16");
    text.ok_or_else(|| Error::file("read", path)(broken()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let wide = |order: fn(u16) -> [u8; 2]| "\u{feff}é\r\n".encode_utf16().flat_map(order).collect::<Vec<_>>();
        for bytes in ["é\r\n".into(), "\u{feff}é\r\n".into(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(text_of(&path).unwrap(), "é\r\n");
        }
        std::fs::write(&path, b"a\xff").unwrap();
        assert!(text_of(&path).is_err());
    }
}
