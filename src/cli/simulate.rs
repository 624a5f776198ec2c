//! `taskloom simulate`.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use super::signals;
use crate::error::{Error, Result};
use crate::simulate::{Attachments, Faults, SimulateOptions, Simulator, Store};

/// Serve tasks as Scale's v2 API does, on this machine.
///
/// Prints a line for the shell with the address and the only key that is
/// accepted, then serves until Ctrl-C. Only programs on this machine reach it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom simulate                                   1,000 generated tasks
  taskloom simulate --from tasks.ndjson --port 9000   your own
  taskloom simulate --faults 0.2 --rate-limit 50      on a bad day
  taskloom simulate --attachments                     and the files
  curl -H 'Authorization: Bearer test_simulated' \\
    http://127.0.0.1:8686/v2/projects                 ask it

It answers GET /v2/task, /v2/tasks, /v2/project, /v2/projects, /v2/batch,
/v2/batches, /v2/delivery, /v2/deliveries and /v2/delivery/tasks.")]
pub(super) struct SimulateArgs {
    /// How many tasks, the same as `taskloom generate` makes
    #[arg(long, value_name = "N", default_value_t = 1_000, conflicts_with = "from")]
    tasks: u64,
    /// A file with tasks, as `taskloom flatten` reads it
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Port to listen on; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8686)]
    port: u16,
    /// The API key that is accepted
    #[arg(long, value_name = "KEY", default_value = "test_simulated")]
    key: String,
    /// Milliseconds that each request takes at least
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Share of requests that fail, 0 to 1, in every way that networks have
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = share)]
    faults: f64,
    /// Requests a second; those beyond are answered 429
    #[arg(long, value_name = "RPS", value_parser = clap::value_parser!(u32).range(1..))]
    rate_limit: Option<u32>,
    /// Serve what the generated attachments are, too: addresses that can be asked
    /// take the place of those of files.example.com
    #[arg(long)]
    attachments: bool,
    /// How long such an address may be asked
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration, requires = "attachments")]
    attachment_lifetime: Duration,
    /// How many bytes a picture has at least
    #[arg(long, value_name = "SIZE", default_value = "2KB", value_parser = super::lake::size, requires = "attachments")]
    picture_bytes: ByteSize,
    /// Which tasks are generated and which requests fail
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

pub(super) fn run(args: SimulateArgs) -> Result<u8> {
    let store = match &args.from {
        Some(path) => Store::from_file(path)?,
        None => Store::generated(args.tasks, args.seed)?,
    };
    let options = SimulateOptions {
        latency: Duration::from_millis(args.latency),
        faults: Faults { rate: args.faults, ..Faults::default() },
        rate_limit: args.rate_limit,
        seed: args.seed,
        attachments: args.attachments.then(|| Attachments {
            lifetime: args.attachment_lifetime,
            picture_bytes: usize::try_from(args.picture_bytes.as_u64()).unwrap_or(usize::MAX),
        }),
        token: Some(args.key.clone()),
    };
    let end = signals::end();
    let simulator = Simulator::start(Arc::new(store), options, SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))?;
    let mut out = io::stdout();
    writeln!(out, "export SCALE_API_URL={} SCALE_API_KEY={}", simulator.url(), args.key).map_err(Error::Output)?;
    out.flush().map_err(Error::Output)?;
    match end {
        Some(mut end) => {
            // A server that is told to end has done what it was asked for: no failure.
            end.forever().next();
            simulator.stop();
        }
        None => simulator.wait(),
    }
    Ok(0)
}
