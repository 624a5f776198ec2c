//! `taskloom dataset`.

use std::fmt::Write;
use std::path::PathBuf;

use bytesize::ByteSize;
use chrono::Utc;
use clap::Args;

use super::ids::ids_in;
use super::lake::AtArgs;
use super::place::PlaceArgs;
use super::summary::grouped;
use super::times::instant;
use super::voice::Voice;
use crate::dataset::{
    Aggregate, By, DatasetOptions, DatasetReport, Method, Reasoning, Selection, SplitBy, Target, Turns, write_dataset,
    write_dataset_into,
};
use crate::error::Result;
use crate::judged::Better;
use crate::store::address::is_address;
use crate::store::open;

/// Make a training set: conversations as they were led, with the answers that people judged, as trainers read them.
///
/// The keys are those of `taskloom annotations`: choices and rankings of a turn's answers, ratings and flags of each, or of whole threads.
/// What is no row is counted, by why. The folder is put in its place at once, and an earlier training set there is replaced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom dataset lake --for sft --by selected_model_id --out sft
  taskloom dataset lake --for dpo --by selected_model_id --split 0.02 --out dpo
  taskloom dataset lake --for reward --by helpfulness:2 --by truthfulness \\
    --better higher --out reward
  taskloom dataset lake --for kto --by is_harmful --better lower --out kto
  taskloom dataset lake --for grpo --out prompts
  taskloom dataset lake --name nightly      as [dataset.nightly] of taskloom.toml
  python -c 'import datasets; print(datasets.load_dataset(\"dpo\"))'")]
pub(super) struct DatasetArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// What is trained
    #[arg(long = "for", value_enum, value_name = "METHOD")]
    method: Method,
    /// Folder to make, or its address in a bucket
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Whose columns and files
    #[arg(long, value_enum, value_name = "TRAINER", default_value_t)]
    layout: Target,
    /// Take the flags of this section `[dataset.NAME]` of taskloom.toml; those that are typed go before them
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Take them from this file instead
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    judgements: JudgementArgs,
    #[command(flatten)]
    tasks: TaskArgs,
    #[command(flatten)]
    rows: RowArgs,
    #[command(flatten)]
    at: AtArgs,
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which answers are good")]
struct JudgementArgs {
    /// A key of annotations that judge, or @rubric for scores of rubrics; can be given several times. Keys are added up by their weights; a
    /// negative one turns a key round
    #[arg(long, value_name = "KEY[:WEIGHT]", value_parser = by)]
    by: Vec<By>,
    /// Which values of a rating are good, or whether yes is: must be said, since in some projects 1 is best
    #[arg(long, value_enum, value_name = "WHICH")]
    better: Option<Better>,
    /// A value of a choice that means that all answers are equal, such as `tie`; can be given several times
    #[arg(long = "tie", value_name = "VALUE")]
    ties: Vec<String>,
    /// What repeated judgements must say
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    aggregate: Aggregate,
    /// Bring ratings to 0 to 1 by their possible values, where their scales differ
    #[arg(long)]
    normalise: bool,
    /// Leave out pairs whose ratings differ by less
    #[arg(long, value_name = "N")]
    min_margin: Option<f64>,
    /// The rating from which an answer is good
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// The key of texts that stand in place of an answer's own, for sft
    #[arg(long, value_name = "KEY")]
    rewrite_by: Option<String>,
    /// The key that names the answer that a conversation was gone on with [default: choices of --by, then selected_model_id]
    #[arg(long, value_name = "KEY")]
    history_by: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which tasks")]
struct TaskArgs {
    /// Tasks of this project, by its id; can be given several times
    #[arg(long = "project", value_name = "ID")]
    projects: Vec<String>,
    /// Tasks of this batch, by its id; can be given several times
    #[arg(long = "batch", value_name = "ID")]
    batches: Vec<String>,
    /// Tasks of this status; can be given several times [default: completed, and tasks without one]
    #[arg(long = "status", value_name = "STATUS")]
    statuses: Vec<String>,
    /// Tasks completed at this time or later: a time, a date, or `7 days ago`
    #[arg(long, value_name = "TIME")]
    completed_after: Option<String>,
    /// Tasks completed before this time
    #[arg(long, value_name = "TIME")]
    completed_before: Option<String>,
    /// Tasks whose ids stand in this file, or `-`: a line each, as CSV or NDJSON with `task_id`
    #[arg(long, value_name = "FILE")]
    task_ids: Option<PathBuf>,
    /// Leave out tasks with a report of sensitive content
    #[arg(long)]
    exclude_reported: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which rows")]
struct RowArgs {
    /// Answers of this model, or of this source where they name none, of pairs both; can be given several times
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// Every turn of a conversation, or the last one
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    turns: Turns,
    /// Reasoning steps: keep them as `reasoning_content`, or drop them
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    reasoning: Reasoning,
    /// Carry images of a conversation's first prompt as a column `images`, where the lake has their bytes
    #[arg(long)]
    images: bool,
    /// Leave out rows whose prompt and longest answer have fewer characters
    #[arg(long, value_name = "N")]
    min_chars: Option<u64>,
    /// Leave out rows whose prompt and longest answer have more characters
    #[arg(long, value_name = "N")]
    max_chars: Option<u64>,
    /// Count tokens by this tokenizer.json, as the program does that is built with the feature `tokenizer`
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Leave out rows whose prompt and longest answer have fewer tokens
    #[arg(long, value_name = "N", requires = "tokenizer")]
    min_tokens: Option<u64>,
    /// Leave out rows whose prompt and longest answer have more tokens
    #[arg(long, value_name = "N", requires = "tokenizer")]
    max_tokens: Option<u64>,
    /// Keep this share for tests
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    split: f64,
    /// What never stands in both splits: prompt (the first message of a user), task, or metadata.KEY of the task
    #[arg(long, value_name = "WHAT", default_value = "prompt", value_parser = split_by)]
    split_by: SplitBy,
    /// Leave out rows with the prompt of an earlier one of another turn
    #[arg(long)]
    dedupe: bool,
}

pub(super) fn run(args: &DatasetArgs, voice: Voice) -> Result<u8> {
    let options = options(args)?;
    options.check()?;
    let lake = args.place.open()?;
    let state = args.at.state_of(&lake)?;
    let report = voice.watch(|progress| match is_address(&args.out) {
        true => write_dataset_into(&lake, &state, &options, &*open(&args.out, &args.place.options())?, progress),
        false => write_dataset(&lake, &state, &options, &args.out, progress),
    })?;
    if args.json {
        super::print(&super::as_json(&report)?)?;
    } else if !voice.is_quiet() {
        super::print(&told(&options, &report))?;
    }
    Ok(0)
}

fn options(args: &DatasetArgs) -> Result<DatasetOptions> {
    let DatasetArgs { judgements, tasks, rows, .. } = args;
    let at = |flag, text: &Option<String>| {
        Ok::<_, crate::error::Error>(instant(flag, text.as_deref(), Utc::now())?.map(|(time, _)| time))
    };
    let ids = tasks.task_ids.as_deref().map(ids_in).transpose()?;
    Ok(DatasetOptions {
        target: args.layout,
        by: judgements.by.clone(),
        history_by: judgements.history_by.clone(),
        rewrite_by: judgements.rewrite_by.clone(),
        better: judgements.better,
        ties: judgements.ties.clone(),
        aggregate: judgements.aggregate,
        min_margin: judgements.min_margin,
        threshold: judgements.threshold,
        normalises: judgements.normalise,
        selection: Selection {
            projects: tasks.projects.clone(),
            batches: tasks.batches.clone(),
            statuses: tasks.statuses.clone(),
            completed_from: at("--completed-after", &tasks.completed_after)?,
            completed_before: at("--completed-before", &tasks.completed_before)?,
            task_ids: ids.map(|ids| ids.into_iter().collect()),
            excludes_reported: tasks.exclude_reported,
        },
        models: rows.models.clone(),
        turns: rows.turns,
        reasoning: rows.reasoning,
        carries_images: rows.images,
        min_chars: rows.min_chars,
        max_chars: rows.max_chars,
        tokenizer: rows.tokenizer.clone(),
        min_tokens: rows.min_tokens,
        max_tokens: rows.max_tokens,
        split: rows.split,
        split_by: rows.split_by.clone(),
        dedupes: rows.dedupe,
        ..DatasetOptions::new(args.method)
    })
}

fn by(text: &str) -> std::result::Result<By, String> {
    let weighted = text.rsplit_once(':').and_then(|(key, weight)| Some((key, weight.parse::<f64>().ok()?)));
    let (key, weight) = weighted.unwrap_or((text, 1.0));
    match key.is_empty() || weight == 0.0 || !weight.is_finite() {
        true => Err("expected a key, and behind a colon perhaps a weight that is not 0".to_owned()),
        false => Ok(By { key: key.to_owned(), weight }),
    }
}

fn split_by(text: &str) -> std::result::Result<SplitBy, String> {
    match (text, text.strip_prefix("metadata.")) {
        ("prompt", _) => Ok(SplitBy::Prompt),
        ("task", _) => Ok(SplitBy::Task),
        (_, Some(key)) if !key.is_empty() => Ok(SplitBy::Metadata(key.to_owned())),
        _ => Err("expected prompt, task, or metadata.KEY".to_owned()),
    }
}

fn told(options: &DatasetOptions, report: &DatasetReport) -> String {
    let DatasetReport { lake_version, train_rows, test_rows, tasks, bytes, chars, left_out, .. } = report;
    let [train, test, tasks, chars] = [*train_rows, *test_rows, *tasks, *chars].map(grouped);
    let (method, target) = (options.method.word(), options.target.word());
    let tests = if *test_rows > 0 || options.split > 0.0 { format!(" and {test} for tests") } else { String::new() };
    let tokens = report.tokens.map(|tokens| format!(", {} tokens", grouped(tokens))).unwrap_or_default();
    let mut text = format!(
        "{method} for {target}: {train} rows{tests}, of {tasks} tasks of version {lake_version}\n\
         {chars} characters{tokens}, {} of files\n",
        ByteSize(*bytes)
    );
    if !left_out.is_empty() {
        let _ = writeln!(text, "\n{:<20}{:>12}", "left out", "times");
    }
    for (reason, count) in left_out {
        let _ = writeln!(text, "{:<20}{:>12}", reason.replace('_', " "), grouped(*count));
    }
    text
}
