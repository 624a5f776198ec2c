//! `taskloom winrate`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::lake::AtArgs;
use super::place::PlaceArgs;
use super::printable;
use super::summary::grouped;
use super::voice::Voice;
use crate::error::{Error, Result};
use crate::judged::Better;
use crate::store::draft::check_outside;
use crate::winrate::{Bias, Interval, WinRateOptions, WinRates, to_parquet, win_rates};

/// Compare models by what people said of their answers: who won how often, and how strong each is.
///
/// The key is one of `taskloom annotations`: a choice or a ranking of a turn's answers, or a rating of each. Answers of one turn are
/// compared with each other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom winrate lake --by selected_model_id
  taskloom winrate lake --by helpfulness --better higher
  taskloom winrate lake --by ranking --out matches.parquet")]
pub(super) struct WinrateArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The key of the annotations that compare or rate answers
    #[arg(long, value_name = "KEY")]
    by: String,
    /// Which values of a rating are good: must be said, since in some projects 1 is best
    #[arg(long, value_enum, value_name = "WHICH")]
    better: Option<Better>,
    /// A value of the key that means that all answers are equal, such as `tie`; can be given several times
    #[arg(long = "tie", value_name = "VALUE")]
    ties: Vec<String>,
    /// Look at this project alone, by its id
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    #[command(flatten)]
    at: AtArgs,
    /// Write to this file instead: matches if it ends with .parquet, all that is known if with .json
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    out: Option<PathBuf>,
    /// Print all that is known as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &WinrateArgs, voice: Voice) -> Result<u8> {
    let ending = args.out.as_ref().map(|out| out.extension().and_then(|ending| ending.to_str()).unwrap_or_default());
    if let Some(found) = ending.filter(|ending| !["parquet", "json"].contains(ending)) {
        let (expected, found) = ("a file that ends with .parquet or .json".to_owned(), format!("`.{found}`"));
        return Err(Error::Usage { setting: "--out", expected, found });
    }
    let lake = args.place.open()?;
    if let Some(out) = &args.out {
        check_outside(out, lake.store().folder(), "--out")?;
    }
    let state = args.at.state_of(&lake)?;
    let options = WinRateOptions {
        key: args.by.clone(),
        project: args.project.clone(),
        better: args.better,
        ties: args.ties.clone(),
    };
    let rates = voice.watch(|progress| win_rates(&lake, &state, &options, progress))?;
    let Some(out) = &args.out else {
        super::print(&if args.json { super::as_json(&rates)? } else { told(&rates) })?;
        return Ok(0);
    };
    let bytes = if ending == Some("parquet") { to_parquet(&rates)? } else { super::as_json(&rates)?.into_bytes() };
    super::write_whole(Some(out), |file| file.write_all(&bytes).map_err(Error::Output))?;
    Ok(0)
}

/// Characters of a model's name, and matches that are told.
const NAME_WIDTH: usize = 22;
const MOST_MATCHES: usize = 30;

fn told(rates: &WinRates) -> String {
    let WinRates { comparisons, ties, tasks, players, matches, .. } = rates;
    let [count, ties, tasks] = [*comparisons, *ties, *tasks].map(grouped);
    let key = printable::line(&rates.key);
    let models = players.len();
    let mut text = format!("{key}: {count} comparisons of {models} models in {tasks} tasks, {ties} ties\n");
    if !players.is_empty() {
        let head = ["model", "score", "95 %", "won", "compared"].map(str::to_owned);
        let rows = players.iter().map(|player| {
            let score = player.score.map_or_else(|| "-".to_owned(), decimal);
            let bounds = player.interval.map(|Interval { low, high }| format!("{} to {}", decimal(low), decimal(high)));
            [
                name(&player.name),
                score,
                bounds.unwrap_or_default(),
                percent(player.win_rate),
                grouped(player.comparisons),
            ]
        });
        table(1, head, rows.collect(), &mut text);
        let head = ["one", "other", "won", "95 %", "compared"].map(str::to_owned);
        let rows = matches.iter().take(MOST_MATCHES).map(|of| {
            let Interval { low, high } = of.interval;
            let bounds = format!("{} to {}", percent(low), percent(high));
            [name(&of.one), name(&of.other), percent(of.win_rate), bounds, grouped(of.comparisons)]
        });
        table(2, head, rows.collect(), &mut text);
        let more = matches.len().saturating_sub(MOST_MATCHES);
        if more > 0 {
            let _ = writeln!(text, "and {} more: --json tells all", grouped(more as u64));
        }
        text.push('\n');
        text.extend(bias("the answer that stands first", &rates.position));
        text.extend(bias("the longer answer", &rates.length));
        if players.iter().any(|player| player.score.is_none()) {
            text.push_str("without a score: those to which wins and losses of the others don't lead\n");
        }
    }
    for (reason, count) in &rates.left_out {
        let _ = writeln!(text, "left out: {} for {}", grouped(*count), reason.replace('_', " "));
    }
    text
}

fn name(of: &str) -> String {
    printable::cut(of, NAME_WIDTH)
}

/// Two decimals, and no minus before nothing.
fn decimal(number: f64) -> String {
    format!("{:.2}", (100.0 * number).round() / 100.0 + 0.0)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn bias(what: &str, of: &Bias) -> Option<String> {
    let (share, Interval { low, high }) = of.win_rate.zip(of.interval)?;
    let [share, low, high] = [share, low, high].map(percent);
    Some(format!("{what} won {share} ({low} to {high}) of {}\n", grouped(of.comparisons)))
}

/// Columns as wide as they need: so many of names, and behind them numbers, which stand to the right.
fn table(names: usize, head: [String; 5], rows: Vec<[String; 5]>, text: &mut String) {
    text.push('\n');
    let all = || std::iter::once(&head).chain(&rows);
    let columns = [0, 1, 2, 3, 4].map(|at| {
        let width = all().map(|row| row[at].chars().count()).max().unwrap_or_default();
        (width, at >= names)
    });
    for row in all() {
        let cells =
            row.iter().zip(columns).map(
                |(cell, (width, is_right))| {
                    if is_right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                },
            );
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
