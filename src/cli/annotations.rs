//! `taskloom annotations`.

use std::fmt::Write;

use clap::Args;

use super::lake::AtArgs;
use super::place::PlaceArgs;
use super::printable::cut;
use super::summary::grouped;
use super::voice::Voice;
use crate::annotations::{AnnotationReport, Bin, KeyReport, NumberReport, ValueReport, annotations_of};
use crate::error::Result;

/// Tell what people were asked and what they answered: every annotation key, its values, and what it could be used for.
///
/// For each key at each level: how much of the level carries it, its values with their labels and counts, how far repeated judgements
/// agree, sets of possible values that differ between tasks, and how it changes month by month.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom annotations lake
  taskloom annotations lake --project PROJECT_ID
  taskloom annotations lake --json | jq '.keys[] | select(.uses == [\"rating\"])'")]
pub(super) struct AnnotationsArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Look at this project alone, by its id
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    #[command(flatten)]
    at: AtArgs,
    /// Print all that is known as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &AnnotationsArgs, voice: Voice) -> Result<u8> {
    let lake = args.place.open()?;
    let state = args.at.state_of(&lake)?;
    let report = voice.watch(|progress| annotations_of(&lake, &state, args.project.as_deref(), progress))?;
    super::print(&if args.json { super::as_json(&report)? } else { told(&report) })?;
    Ok(0)
}

/// Characters of a line.
const WIDTH: usize = 80;
/// Those of a key, of a type, and of a value.
const KEY_WIDTH: usize = 24;
const LEAST_KEY_WIDTH: usize = 19;
const LEAST_TYPE_WIDTH: usize = 8;
const TYPE_WIDTH: usize = 15;
const VALUE_WIDTH: usize = 32;
/// Values, sets of possible values, and months that are told.
const MOST_TOLD: usize = 8;

fn told(report: &AnnotationReport) -> String {
    let AnnotationReport { version, tasks, keys, .. } = report;
    let mut text = format!("version {version}: {} tasks, {} keys\n", grouped(*tasks), grouped(keys.len() as u64));
    if keys.is_empty() {
        return text;
    }
    let mut rows = keys.iter().map(row).collect::<Vec<_>>();
    let head = ["key", "level", "type", "count", "share", "used for"].map(str::to_owned);
    let width = |at: usize| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or_default();
    let [key, others @ ..] = [0, 1, 2, 3, 4, 5].map(width);
    let [level, kind, count, share, uses] = others;
    // Of a line, keys get what the others leave, and types what keys need.
    let left = WIDTH.saturating_sub(level + count + share + uses + 10);
    let kind = kind.min(left.saturating_sub(key.min(LEAST_KEY_WIDTH)).max(LEAST_TYPE_WIDTH));
    let key = key.min(left.saturating_sub(kind).max(LEAST_KEY_WIDTH));
    for row in &mut rows {
        row[0] = cut(&row[0], key);
        row[2] = cut(&row[2], kind);
    }
    let widths = [key, level, kind, count, share];
    text.push('\n');
    line(&head, widths, &mut text);
    for (row, key) in rows.iter().zip(keys) {
        line(row, widths, &mut text);
        details(key).iter().for_each(|detail| wrap(detail, &mut text));
    }
    if keys.iter().any(|key| key.repeated.units > 0) {
        text.push('\n');
        text.push_str(
            "Agreement is approximate: an annotation names nobody, so it is not known which\njudgements are of the same person.\n",
        );
    }
    text
}

fn row(key: &KeyReport) -> [String; 6] {
    let mut types = key.types.iter().map(|(kind, count)| (*count, kind.as_str())).collect::<Vec<_>>();
    types.sort_unstable_by(|one, other| other.cmp(one));
    let kind = match types.as_slice() {
        [] | [(_, "")] => "-".to_owned(),
        [(_, kind)] => kind.to_string(),
        [(_, ""), (_, kind), ..] | [(_, kind), ..] => format!("{kind}, …"),
    };
    let uses = key.uses.iter().map(|use_| use_.word()).collect::<Vec<_>>().join(", ");
    [
        cut(key.key.as_deref().or(key.title.as_deref()).unwrap_or("-"), KEY_WIDTH),
        key.level.to_owned(),
        cut(&kind, TYPE_WIDTH),
        grouped(key.count),
        if key.share_of_units < 0.005 { "< 1 %".to_owned() } else { format!("{:.0} %", 100.0 * key.share_of_units) },
        uses,
    ]
}

fn line(row: &[String; 6], widths: [usize; 5], text: &mut String) {
    let [key, level, kind, count, share, uses] = row;
    let [of_key, of_level, of_kind, of_count, of_share] = widths;
    let line =
        format!("{key:<of_key$}  {level:<of_level$}  {kind:<of_kind$}  {count:>of_count$}  {share:>of_share$}  {uses}");
    let _ = writeln!(text, "{}", line.trim_end());
}

/// What there is to say of a key, a sentence each, in pieces that may stand on lines of their own.
fn details(key: &KeyReport) -> Vec<Vec<String>> {
    let mut details = Vec::new();
    if !key.values.is_empty() {
        let mut values = key.values.iter().take(MOST_TOLD).collect::<Vec<_>>();
        let numbers = values.iter().map(|of| of.value.parse::<f64>().ok()).collect::<Option<Vec<_>>>();
        if numbers.is_some() {
            values.sort_by(|one, other| number(one).total_cmp(&number(other)));
        }
        let mut values = values.into_iter().map(value).collect::<Vec<_>>();
        let more = key.distinct_values.unwrap_or_default().saturating_sub(values.len() as u64);
        if more > 0 {
            values.push(format!("and {} more", grouped(more)));
        }
        details.push(values);
    } else if key.characters.is_none() && key.numbers.is_none() && key.distinct_values != Some(0) {
        details.push(vec!["more than a thousand values".to_owned()]);
    }
    details.extend(key.numbers.as_ref().map(|numbers| spread(numbers, key.distinct_values)));
    if let Some(NumberReport { mean, least, greatest, .. }) = key.characters.as_ref().filter(|_| key.values.is_empty())
    {
        details.push(vec![format!("texts of {mean:.0} characters on average, {least} to {greatest}")]);
    }
    let unjudged = [(key.not_applicable, "not applicable"), (key.cannot_assess, "can't be told")];
    let unjudged = unjudged.into_iter().filter(|(count, _)| *count > 0);
    let unjudged = unjudged.map(|(count, what)| format!("{} {what}", grouped(count))).collect::<Vec<_>>();
    details.extend(Some(unjudged).filter(|unjudged| !unjudged.is_empty()));
    details.extend(scales(key));
    details.extend(repeated(key));
    details.extend(months(key));
    details.extend(contributors(key));
    details
}

fn number(of: &ValueReport) -> f64 {
    of.value.parse().unwrap_or_default()
}

fn value(of: &ValueReport) -> String {
    let labels = of
        .labels
        .iter()
        .filter(|label| **label != of.value)
        .map(|label| cut(label, VALUE_WIDTH))
        .collect::<Vec<_>>()
        .join("/");
    let labels = if labels.is_empty() { labels } else { format!(" ({})", cut(&labels, VALUE_WIDTH)) };
    format!("{}{labels} {}", cut(&of.value, VALUE_WIDTH), grouped(of.count))
}

/// Mean and bounds, and how they are spread where values are too many to be told.
fn spread(numbers: &NumberReport, distinct: Option<u64>) -> Vec<String> {
    let NumberReport { least, greatest, mean, histogram, .. } = numbers;
    let mut spread = vec![format!("mean {}", plain(*mean)), format!("{} to {}", plain(*least), plain(*greatest))];
    if distinct.is_none_or(|distinct| distinct > MOST_TOLD as u64) {
        let most = histogram.iter().map(|bin| bin.count).max().unwrap_or_default().max(1);
        let bar = |bin: &Bin| match bin.count {
            0 => ' ',
            count => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'].get((count * 7 / most) as usize).copied().unwrap_or('█'),
        };
        let ends = histogram.first().zip(histogram.last());
        spread.extend(ends.map(|(first, last)| {
            let bars = histogram.iter().map(bar).collect::<String>();
            format!("from {} |{bars}| to {}", plain(first.from), plain(last.to))
        }));
    }
    spread
}

fn scales(key: &KeyReport) -> Option<Vec<String>> {
    if key.distinct_scales.is_some_and(|distinct| distinct < 2) {
        return None;
    }
    let number = key.distinct_scales.map_or_else(|| "more than a thousand".to_owned(), grouped);
    let some =
        key.scales.iter().take(3).map(|scale| format!("{} {}", cut(&scale.possible_values, 60), grouped(scale.count)));
    Some([format!("{number} sets of possible values")].into_iter().chain(some).collect())
}

fn repeated(key: &KeyReport) -> Option<Vec<String>> {
    let repeated = &key.repeated;
    if repeated.units == 0 {
        return None;
    }
    let mut told = vec![format!("{} judged up to {} times", grouped(repeated.units), repeated.most)];
    told.extend(repeated.percent_agreement.map(|share| format!("{:.0} % agree", 100.0 * share)));
    let measurement = format!("{:?}", repeated.measurement).to_lowercase();
    told.extend(repeated.alpha.map(|alpha| format!("alpha {alpha:.2} ({measurement})")));
    Some(told)
}

/// The last months, if there are several.
fn months(key: &KeyReport) -> Option<Vec<String>> {
    let months = key.months.iter().rev().take(MOST_TOLD).rev();
    let told = months.map(|month| {
        let name = month.month.as_deref().unwrap_or("undated");
        let count = grouped(month.count);
        month.mean.map_or_else(|| format!("{name} {count}"), |mean| format!("{name} {count}, mean {}", plain(mean)))
    });
    (key.months.len() > 1).then(|| told.collect())
}

fn contributors(key: &KeyReport) -> Option<Vec<String>> {
    let told = key.contributors.iter().take(MOST_TOLD).map(|one| {
        let (id, count) = (cut(&one.contributor_id, VALUE_WIDTH), grouped(one.count));
        one.mean.map_or_else(|| format!("{id} {count}"), |mean| format!("{id} {count}, mean {}", plain(mean)))
    });
    (!key.contributors.is_empty()).then(|| ["by contributor".to_owned()].into_iter().chain(told).collect())
}

/// A number as short as it can be told.
fn plain(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if (1e-3..1e15).contains(&size) => {
            let text = format!("{number:.2}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        _ => format!("{number:.2e}"),
    }
}

/// Pieces behind each other, as many as a line has room for.
fn wrap(pieces: &[String], text: &mut String) {
    let mut width = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let own = piece.chars().count() + 2;
        if width == 0 || width + own > WIDTH {
            text.push_str(if width == 0 { "    " } else { "\n    " });
            width = 4;
        } else {
            text.push(' ');
        }
        text.push_str(piece);
        text.push_str(if index + 1 < pieces.len() { ";" } else { "" });
        width += own;
    }
    text.push('\n');
}
