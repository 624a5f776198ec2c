//! `taskloom export`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{ArgGroup, Args};
use serde_json::json;
use url::Url;

use super::lake::LakeArgs;
use super::printable;
use super::voice::Voice;
use crate::error::{Error, Result};
use crate::source::Source;
use crate::source::api::query::{EXPANDABLE, OPTS, parameter};
use crate::source::api::{ApiConfig, Frontier, Key, Moving, Patience, Plan, Query, Selector, is_loopback};
use crate::time::read_instant;

/// Export tasks from the Scale API into a lake of Parquet tables.
///
/// Many chains of pages are fetched side by side, and written down as they come: a run that ends early, by Ctrl-C or by a fault, goes on
/// from there when the same command is given again. Nothing is visible before the end.
///
/// The key is read from SCALE_API_KEY or from --api-key-file.
#[derive(Debug, Args)]
#[command(override_usage = "taskloom export --out <DIR> <WHICH TASKS> [OPTIONS]")]
#[command(group = ArgGroup::new("source").required(true).multiple(true))]
#[command(after_help = "\
Examples:
  taskloom export --all-projects --out lake
  taskloom export --all-projects --completed-after '2 days ago' --out lake
  taskloom export --project-name 'Chat 7' --status completed --out chat_7
  taskloom export --delivery-id d1 --api-key-file key.txt --out delivery
  taskloom export --task-id t1 --task-id t2 --out lake --dry-run

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but tasks were rejected
or ids unknown, 4 the API was out of reach or another run was faster, 130 and 143 stopped by
Ctrl-C or SIGTERM with nothing visible. After 4, 130 and 143 the same command
goes on from there.")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    lake: LakeArgs,
    /// Keep the JSON as it was received, in _taskloom/raw
    #[arg(long)]
    keep_raw: bool,
    /// Drop the pages of an unfinished export and begin anew
    #[arg(long)]
    restart: bool,
    /// Commit although a delivery brought another number of tasks than it says
    #[arg(long)]
    allow_count_mismatch: bool,
    /// End with status 0 although ids of tasks are unknown to the API
    #[arg(long)]
    allow_missing: bool,
    /// Print the requests that the export would begin with, and send none
    #[arg(long)]
    dry_run: bool,
}

/// Which tasks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which tasks")]
struct WantedArgs {
    /// Tasks of every project of the key's account
    #[arg(long, group = "source", conflicts_with_all = ["project_id", "project_name"])]
    all_projects: bool,
    /// Tasks of this project; may be given more than once
    #[arg(long, value_name = "ID", group = "source")]
    project_id: Vec<String>,
    /// Tasks of the project of this name; may be given more than once
    #[arg(long, value_name = "NAME", group = "source")]
    project_name: Vec<String>,
    /// Tasks of this batch; may be given more than once
    #[arg(long, value_name = "ID", group = "source", conflicts_with_all = ["all_projects", "project_id", "project_name"])]
    batch_id: Vec<String>,
    /// Tasks of the batch of this name; may be given more than once
    #[arg(long, value_name = "NAME", group = "source", conflicts_with_all = ["all_projects", "project_id", "project_name"])]
    batch_name: Vec<String>,
    /// Tasks of this delivery
    #[arg(long, value_name = "ID", group = "source", conflicts_with_all = ["all_projects", "project_id", "project_name", "batch_id", "batch_name", "task_id", "task_ids_from"])]
    delivery_id: Option<String>,
    /// Tasks of the delivery of this name, of the one project given
    #[arg(long, value_name = "NAME", group = "source", conflicts_with_all = ["all_projects", "delivery_id", "batch_id", "batch_name", "task_id", "task_ids_from"])]
    delivery_name: Option<String>,
    /// This task; may be given more than once
    #[arg(long, value_name = "ID", group = "source")]
    task_id: Vec<String>,
    /// The tasks whose ids stand in this file, one a line
    #[arg(long, value_name = "FILE", group = "source")]
    task_ids_from: Option<PathBuf>,
    /// Only tasks of this status, such as completed; may be given more than once
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only tasks completed after this: an ISO 8601 time, a date, or `2 days ago`
    #[arg(long, value_name = "TIME")]
    completed_after: Option<String>,
    /// Only tasks completed before this [with --completed-after: now]
    #[arg(long, value_name = "TIME")]
    completed_before: Option<String>,
    /// Leave the table delivery_tasks empty: the API tells what is in it only together with the whole task once more, so an export of
    /// projects takes half the requests without it
    #[arg(long)]
    skip_delivery_tasks: bool,
    /// What comes as an object, not as an id; may be given more than once
    #[arg(long, value_name = "WHAT", default_values = EXPANDABLE, value_parser = EXPANDABLE)]
    expand: Vec<String>,
    /// Details to ask for; may be given more than once
    #[arg(long, value_name = "WHAT", default_values = OPTS, value_parser = OPTS)]
    opts: Vec<String>,
}

/// How the API is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "The API")]
struct ApiArgs {
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

pub(super) fn run(args: ExportArgs, voice: Voice) -> Result<u8> {
    let url = address(&args.api.api_url, args.api.allow_http)?;
    let now = Utc::now();
    let (page_size, concurrency) = (args.api.page_size, usize::from(args.api.concurrency));
    let plan = Plan::new(args.wanted.query(now)?, now.timestamp_micros(), page_size, concurrency);
    if args.dry_run {
        return rehearse(args.lake, &plan, &url);
    }
    let config = ApiConfig {
        key: key(args.api.api_key_file.as_deref())?,
        plan,
        concurrency,
        patience: Patience { retries: args.api.retries, retry_for: args.api.retry_for, ..Patience::default() },
        max_requests_per_second: args.api.max_requests_per_second,
        connect_timeout: args.api.connect_timeout,
        read_timeout: args.api.read_timeout,
        is_compressed: !is_loopback(&url),
        is_restart: args.restart,
        keeps_raw: args.keep_raw,
        allows_count_mismatch: args.allow_count_mismatch,
        allows_absent_tasks: args.allow_missing,
        url,
    };
    let ended = args.lake.make(Source::Api(Box::new(config)), args.allow_missing, voice);
    if let Err(Error::Interrupted { .. }) = ended {
        voice.warn("what was received is kept: the same command goes on from there");
    }
    ended
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("expected a number above 0, such as 20 or 0.5, found `{text}`"))
}

fn usage(setting: &'static str, expected: &str, found: impl Into<String>) -> Error {
    Error::Usage { setting, expected: expected.to_owned(), found: found.into() }
}

/// The API's address, to which the key may go: unencrypted only on this machine, unless that is allowed.
fn address(text: &str, allows_http: bool) -> Result<Url> {
    let refused = |expected: &str, found: &str| Err(usage("--api-url", expected, found));
    let text = text.trim();
    let Ok(mut url) = text.parse::<Url>() else {
        let found = text.split(['?', '#']).next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        return refused(&format!("an address with its scheme, such as https://{}", host_like(found)), found);
    };
    // What stands before the host may be a secret.
    let shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if !url.username().is_empty() || url.password().is_some() {
        return refused("an address without a name or a password; the key comes from SCALE_API_KEY", &shown);
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) || allows_http => {}
        "http" => return refused("https://, since the key would go unencrypted; --allow-http sends it", &shown),
        // `localhost:8080` is an address of the scheme `localhost`.
        _ if url.cannot_be_a_base() => {
            return refused(&format!("an address with its scheme, such as http://{text}"), text);
        }
        _ => return refused("an address that begins with https://", &shown),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if let Some(before) = path.find("/v2").filter(|at| matches!(path.as_bytes().get(at + 3), None | Some(b'/'))) {
        url.set_path(path.get(..before).unwrap_or_default());
        return refused(
            &format!("the API's address without /v2, {}", url.as_str().trim_end_matches('/')),
            &(shown + &path),
        );
    }
    Ok(url)
}

/// What of a text without a scheme may be a host; Scale's own where there is nothing.
fn host_like(text: &str) -> &str {
    let host = text.trim_start_matches('/').split('/').next().unwrap_or_default();
    if host.is_empty() { "api.scale.com" } else { host }
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
fn text_of(path: &Path) -> Result<String> {
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
    let broken = || std::io::Error::new(std::io::ErrorKind::InvalidData, "expected text in UTF-8 or UTF-16");
    text.ok_or_else(|| Error::file("read", path)(broken()))
}

impl WantedArgs {
    /// The query, and which of its times move with the moment at which it begins.
    fn query(&self, now: DateTime<Utc>) -> Result<(Query, Moving)> {
        let after = instant("--completed-after", self.completed_after.as_deref(), now)?;
        let before = instant("--completed-before", self.completed_before.as_deref(), now)?;
        // An open end would let a later attempt of this run see more than this one.
        let before = before.or(after.map(|_| (now.timestamp_micros(), true)));
        let is_moving = |time: Option<(i64, bool)>| time.is_some_and(|(_, is_moving)| is_moving);
        let moving = Moving { after: is_moving(after), before: is_moving(before) };
        let [completed_after, completed_before] = [after, before].map(|time| time.map(|(time, _)| time));
        if let (Some(after), Some(before)) = (completed_after, completed_before)
            && after >= before
        {
            let found = format!("{} and {}", self.completed_after.as_deref().unwrap_or_default(), shown(before));
            return Err(usage("--completed-after", "a time before --completed-before", found));
        }
        let of = self.selectors()?;
        let is_named = |selector: &Selector| matches!(selector, Selector::Delivery(_) | Selector::TaskId(_));
        if of.iter().any(is_named) && (!self.status.is_empty() || completed_before.is_some()) {
            let found = "them beside a delivery or a task";
            return Err(usage(
                "--status, --completed-after, --completed-before",
                "filters beside projects or batches",
                found,
            ));
        }
        let query = Query {
            of,
            statuses: self.status.clone(),
            completed_after,
            completed_before,
            skips_delivery_tasks: self.skip_delivery_tasks,
            expand: self.expand.clone(),
            opts: self.opts.clone(),
        };
        Ok((query, moving))
    }

    fn selectors(&self) -> Result<Vec<Selector>> {
        if let Some(delivery) = self.delivery()? {
            return Ok(vec![delivery]);
        }
        let mut selectors = Vec::new();
        selectors.extend(self.all_projects.then_some(Selector::AllProjects));
        selectors.extend(self.project_id.iter().cloned().map(Selector::ProjectId));
        selectors.extend(self.project_name.iter().cloned().map(Selector::ProjectName));
        selectors.extend(self.batch_id.iter().cloned().map(Selector::BatchId));
        selectors.extend(self.batch_name.iter().cloned().map(Selector::BatchName));
        selectors.extend(self.task_id.iter().cloned().map(Selector::TaskId));
        if let Some(path) = &self.task_ids_from {
            let text = text_of(path)?;
            let ids = text.lines().map(str::trim).filter(|line| !line.is_empty());
            selectors.extend(ids.map(|id| Selector::TaskId(id.to_owned())));
        }
        if selectors.is_empty() {
            return Err(usage("--task-ids-from", "a file with an id a line", "no id"));
        }
        Ok(selectors)
    }

    fn delivery(&self) -> Result<Option<Selector>> {
        if let Some(id) = &self.delivery_id {
            return Ok(Some(Selector::Delivery(vec![parameter("delivery_id", id)])));
        }
        let Some(delivery) = &self.delivery_name else { return Ok(None) };
        let project = match (self.project_id.as_slice(), self.project_name.as_slice()) {
            ([id], []) => parameter("project_id", id),
            ([], [name]) => parameter("project_name", name),
            (ids, names) => {
                let found = format!("{} projects", ids.len() + names.len());
                return Err(usage("--delivery-name", "one --project-id or --project-name beside it", found));
            }
        };
        Ok(Some(Selector::Delivery(vec![parameter("delivery_name", delivery), project])))
    }
}

fn shown(micros: i64) -> String {
    crate::time::write_instant(micros).unwrap_or_default()
}

/// An ISO 8601 time, a date, which begins at midnight UTC, or so long ago. Tells too whether it moves with `now`.
fn instant(flag: &'static str, text: Option<&str>, now: DateTime<Utc>) -> Result<Option<(i64, bool)>> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    let date = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    let ago = || {
        let ago = humantime::parse_duration(text.strip_suffix("ago")?.trim()).ok()?;
        Some(now.checked_sub_signed(chrono::Duration::from_std(ago).ok()?)?.timestamp_micros())
    };
    let fixed = read_instant(text).or_else(date).map(|time| (time, false));
    let found = fixed.or_else(|| Some((ago()?, true)));
    let expected = "a time such as 2025-01-02T04:00:00Z, a date such as 2025-01-02, or `2 days ago`";
    found.map(Some).ok_or_else(|| usage(flag, expected, text))
}

/// Prints the requests that the export would begin with, and whether the lake would have it.
fn rehearse(lake: LakeArgs, plan: &Plan, url: &Url) -> Result<u8> {
    let frontier = Frontier::new(plan.query.clone(), plan.began_at, plan.page_size, plan.concurrency);
    let requests = frontier.requests().into_iter().map(|request| request.url(url).to_string());
    let requests = requests.collect::<Vec<_>>();
    let (refusal, is_json) = lake.refusal()?;
    let mut out = io::stdout().lock();
    if is_json {
        let requests = requests.iter().map(|url| json!({"method": "GET", "url": url})).collect::<Vec<_>>();
        let refusal = refusal.as_ref().map(ToString::to_string);
        let text = json!({"requests": requests, "refusal": refusal}).to_string();
        writeln!(out, "{}", printable::json(&text)).map_err(Error::Output)?;
    } else {
        requests.iter().try_for_each(|url| writeln!(out, "GET {url}")).map_err(Error::Output)?;
    }
    // Without the rehearsal it would end so too.
    refusal.map_or(Ok(0), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_dates_or_so_long_ago() {
        let now = "2025-03-10T12:00:00Z".parse().unwrap();
        let micros =
            |text: &str| instant("--completed-after", Some(text), now).ok().flatten().map(|(time, _)| shown(time));
        for (text, expected) in [
            ("2025-01-02T04:00:00+02:00", "2025-01-02T02:00:00Z"),
            ("2025-01-02", "2025-01-02T00:00:00Z"),
            ("2 days ago", "2025-03-08T12:00:00Z"),
            ("1h 30min ago", "2025-03-10T10:30:00Z"),
        ] {
            assert_eq!(micros(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["yesterday", "2 days", "", "2025-13-01"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn the_key_goes_unencrypted_to_this_machine_alone() {
        let check = |text: &str, allows_http| address(text, allows_http).is_ok();
        for text in ["https://api.scale.com", "http://127.0.0.1:80", "http://localhost:80/", "http://[::1]:80"] {
            assert!(check(text, false), "{text}");
        }
        for text in ["http://api.scale.com", "http://127.0.0.1.example.com", "http://localhost.example.com"] {
            assert!(!check(text, false) && check(text, true), "{text}");
        }
        assert!(!check("https://live_key@api.scale.com", true) && !check("ftp://api.scale.com", true));
    }

    #[test]
    fn an_address_that_is_nearly_right_gets_a_hint() {
        for (text, hint) in [
            ("api.scale.com", "such as https://api.scale.com,"),
            ("api.scale.com/v2", "such as https://api.scale.com,"),
            ("", "such as https://api.scale.com,"),
            ("localhost:8080", "such as http://localhost:8080,"),
            ("127.0.0.1:8080", "such as https://127.0.0.1:8080,"),
            ("https://api.scale.com/v2", "without /v2, https://api.scale.com,"),
            ("https://api.scale.com/v2/tasks?a=b", "without /v2, https://api.scale.com"),
            ("http://127.0.0.1:1/proxy/v2/", "without /v2, http://127.0.0.1:1/proxy,"),
        ] {
            let refused = address(text, false).unwrap_err().to_string();
            assert!(refused.contains(hint), "{text}: {refused}");
        }
        assert!(address("https://host/v2x", false).is_ok());
        let secret = address("live_secret@api.scale.com", false).unwrap_err().to_string();
        assert!(!secret.contains("live_secret"), "{secret}");
    }

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
