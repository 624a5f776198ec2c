//! From a lake to a training set: conversations as they were led, with the answers that people judged, as trainers read them.
//!
//! Parts are turned into rows side by side, and written in their order: the same version of a lake gives the same bytes.

mod beside;
mod card;
mod encode;
mod example;
mod judge;
mod layout;
mod maker;
mod options;
mod path;
mod report;
mod rows;
mod rubric;
mod side;
mod tokens;
mod trajectory;
mod votes;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use rayon::prelude::*;

use crate::annotations::parts_of;
use crate::error::{Error, Result};
use crate::judged::{Apart, Conversations, Judgement};
use crate::lake::{Lake, State};
use crate::part::PartEntry;
use crate::progress::Progress;
use crate::store::draft::{self, Draft};
use crate::store::{LocalStore, Store, with_readers};
use crate::table::catalog::annotations::Row;
use beside::Files;
use encode::{Encoded, Encoder};
use judge::{Judge, Met};
use maker::{Known, Maker};
use report::{LeftOut, Reason};
use rows::Rules;
use side::Side;
use tokens::Tokens;
use write::Split;

pub use options::{Aggregate, By, DatasetOptions, Method, Reasoning, Selection, SplitBy, Target, Turns};
pub use report::DatasetReport;

/// What tells that a folder is a training set, and how it was made.
const NOTE: &str = "taskloom.json";

const README: &str = "README.md";

const PLACE: draft::Rules<'_> =
    draft::Rules { setting: "--out", what: "training set", mark: NOTE, is_ours, lake: None };

/// What LLaMA-Factory looks for.
const DATASET_INFO: &str = "dataset_info.json";

/// Parts that are at hand at a time, for each thread.
const PARTS_A_THREAD: usize = 2;

/// Writes a training set of a version into a folder, which is put in its place at once, where an earlier one may stand.
pub fn write_dataset(
    lake: &Lake,
    state: &State,
    options: &DatasetOptions,
    folder: &Path,
    progress: &Progress,
) -> Result<DatasetReport> {
    options.check()?;
    let draft = Draft::beside(folder, &draft::Rules { lake: lake.store().folder(), ..PLACE })?;
    check_rows(&LocalStore::at(draft.place()))?;
    let report = write_files(lake, state, options, draft.path(), progress)?;
    progress.check()?;
    draft.put_in_place()?;
    Ok(report)
}

/// The same in a store, file by file; until all are there, `taskloom.json` says that it is not whole.
pub fn write_dataset_into(
    lake: &Lake,
    state: &State,
    options: &DatasetOptions,
    to: &dyn Store,
    progress: &Progress,
) -> Result<DatasetReport> {
    options.check()?;
    PLACE.check(to, lake.place())?;
    check_rows(to)?;
    let folder = tempfile::tempdir().map_err(Error::file("create", "a folder for temporary files"))?;
    let report = write_files(lake, state, options, folder.path(), progress)?;
    let failed = || Error::file("read", folder.path());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).map_err(failed())? {
        names.push(entry.map_err(failed())?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable_by_key(|name| name == NOTE);
    to.replace(NOTE, b"{\"is_whole\": false}")?;
    for name in &names {
        progress.check()?;
        if name == NOTE {
            to.flush()?;
        }
        to.replace(name, &fs::read(folder.path().join(name)).map_err(failed())?)?;
    }
    let mut others = to.list("")?.into_iter().map(|listed| listed.path).collect::<Vec<_>>();
    // Only what an earlier one brought: whatever else came there since is somebody's.
    others.retain(|path| (path == DATASET_INFO || is_rows(path)) && !names.contains(path));
    to.delete_each(&others)?;
    to.flush()?;
    Ok(report)
}

/// Whether a file is called as those of a training set are.
fn is_ours(name: &str) -> bool {
    [NOTE, README, DATASET_INFO].contains(&name) || is_rows(name)
}

/// Whether a file is called as only those with rows are.
fn is_rows(name: &str) -> bool {
    let of = |split: &str| {
        name.strip_prefix(split).is_some_and(|rest| {
            let number = rest.strip_prefix('-').and_then(|rest| rest.strip_suffix(".parquet"));
            [".jsonl", ".sources.jsonl"].contains(&rest) || number.is_some_and(|number| number.parse::<u32>().is_ok())
        })
    };
    of("train") || of("test")
}

/// An error where a file that is called as those with rows lies in an earlier training set, and is not of it.
fn check_rows(place: &dyn Store) -> Result<()> {
    let note = place.get(NOTE)?.and_then(|note| serde_json::from_slice::<serde_json::Value>(&note).ok());
    let Some(files) = note.as_ref().and_then(|note| note.get("report")?.get("files")?.as_array()) else {
        return Ok(());
    };
    let is_strange = |name: &String| is_rows(name) && !files.iter().any(|file| file.as_str() == Some(name));
    match place.top()?.into_iter().find(is_strange) {
        Some(found) => Err(Error::NotOurs { path: place.place().to_owned(), what: PLACE.what, found }),
        None => Ok(()),
    }
}

fn write_files(
    lake: &Lake,
    state: &State,
    options: &DatasetOptions,
    folder: &Path,
    progress: &Progress,
) -> Result<DatasetReport> {
    let parts = parts(state, options)?;
    progress.expect_parts(parts.len());
    let store = &**lake.store();
    let tokens = options.tokenizer.as_deref().map(Tokens::open).transpose()?;
    let look = |part: &&PartEntry| progress.part(|| Made::of(store, part, options, (state.version, tokens.as_ref())));
    let schema = layout::schema(options);
    let mut writer = Writer {
        options,
        splits: ["train", "test"].map(|name| Split::new(folder, name, schema.clone())),
        prompts: HashMap::new(),
        met: Met::default(),
        left_out: LeftOut::default(),
        report: DatasetReport {
            lake_version: state.version,
            tokens: tokens.as_ref().map(|_| 0),
            ..DatasetReport::default()
        },
    };
    with_readers(store, || {
        let mut made = Vec::new();
        for group in parts.chunks(PARTS_A_THREAD * rayon::current_num_threads()) {
            // The rows of some parts are written while those of the next are made.
            let waiting = std::mem::take(&mut made);
            let (written, next) =
                rayon::join(|| writer.take(waiting), || group.par_iter().map(look).collect::<Result<Vec<_>>>());
            written?;
            made = next?;
        }
        writer.take(made)
    })??;
    writer.end(folder)
}

/// The parts to look at: those of the projects that are wanted.
fn parts<'s>(state: &'s State, options: &DatasetOptions) -> Result<Vec<&'s PartEntry>> {
    let projects = options.selection.projects.iter().collect::<BTreeSet<_>>();
    if projects.is_empty() {
        return parts_of(state, None);
    }
    let of_each = projects.into_iter().map(|project| parts_of(state, Some(project))).collect::<Result<Vec<_>>>()?;
    Ok(of_each.into_iter().flatten().collect())
}

/// The rows of a part.
struct Made {
    encoded: Encoded,
    rows: Vec<Known>,
    met: Met,
    left_out: LeftOut,
}

impl Made {
    fn of(
        store: &dyn Store,
        part: &PartEntry,
        options: &DatasetOptions,
        (lake_version, tokens): (u64, Option<&Tokens>),
    ) -> Result<Made> {
        let judge = Judge::new(options);
        let conversations = Conversations::open(
            store,
            part,
            Apart { chunks: true, reasoning: options.reasoning == Reasoning::Keep, images: options.carries_images },
        )?;
        let files = Files::open(store, part)?;
        let beside = files.read();
        if !beside.evaluations.is_empty() {
            judge.meet(By::RUBRIC);
        }
        let models = options.models.iter().map(String::as_str).collect::<HashSet<_>>();
        let rules = Rules { options, judge: &judge, beside: &beside, lake_version, models: &models, tokens };
        let mut maker = Maker::new(rules, Encoder::new(options)?);
        let is_wanted = |row: &Row<'_>| judge.note_if_wanted(row);
        let mut is_misplaced = |judgement: &Judgement<'_>| judge.misplaced(judgement);
        conversations.each_task(&is_wanted, &mut |task| maker.task(task), &mut is_misplaced)?;
        let (encoder, rows) = maker.into_rows();
        let (met, left_out) = judge.into_found();
        Ok(Made { encoded: encoder.finish()?, rows, met, left_out })
    }
}

/// Brings the rows of all parts to their splits.
struct Writer<'w> {
    options: &'w DatasetOptions,
    /// For training, and for tests.
    splits: [Split<'w>; 2],
    /// The first turn with a prompt.
    prompts: HashMap<u128, u128>,
    met: Met,
    left_out: LeftOut,
    report: DatasetReport,
}

impl Writer<'_> {
    fn take(&mut self, made: Vec<Made>) -> Result<()> {
        for Made { encoded, rows, met, left_out } in made {
            self.met.merge(met);
            self.left_out.merge(left_out);
            self.met.check(self.options)?;
            let mut wanted = [vec![false; rows.len()], vec![false; rows.len()]];
            let [train, test] = &mut wanted;
            let mut last_task = None;
            for ((row, train), test) in rows.iter().zip(train).zip(test) {
                if self.options.dedupes && *self.prompts.entry(row.prompt).or_insert(row.turn) != row.turn {
                    self.left_out.add(Reason::SamePrompt);
                    continue;
                }
                let report = &mut self.report;
                if row.side == Side::Test {
                    *test = true;
                    report.test_rows += 1;
                } else {
                    *train = true;
                    report.train_rows += 1;
                }
                report.chars += row.chars;
                report.tokens = report.tokens.map(|tokens| tokens + row.tokens);
                report.tasks += u64::from(last_task != Some(row.task));
                last_task = Some(row.task);
            }
            for (split, wanted) in self.splits.iter_mut().zip(&wanted) {
                split.write(&encoded.only(wanted)?)?;
            }
        }
        Ok(())
    }

    /// Ends the files and writes what stands beside them.
    fn end(self, folder: &Path) -> Result<DatasetReport> {
        let Writer { options, splits, met, left_out, mut report, .. } = self;
        met.check_keys(options)?;
        report.left_out = left_out.into_counts();
        if report.train_rows + report.test_rows == 0 {
            let reasons = report.left_out.iter().map(|(word, count)| format!("{} ({count})", word.replace('_', " ")));
            let reasons = reasons.collect::<Vec<_>>().join(", ");
            return Err(Error::NoRows { reasons });
        }
        for split in splits {
            let (files, bytes) = split.end()?;
            report.files.extend(files);
            report.bytes += bytes;
        }
        let note = serde_json::json!({"is_whole": true, "settings": options, "report": &report});
        write_json(&folder.join(NOTE), &note)?;
        if options.target == Target::LlamaFactory {
            write_json(&folder.join(DATASET_INFO), &card::dataset_info(options, &report))?;
        }
        write(&folder.join(README), card::readme(options, &report).as_bytes())?;
        Ok(report)
    }
}

fn write_json(path: &Path, json: &serde_json::Value) -> Result<()> {
    let failed = |source| Error::Json { action: "write what stands beside a training set", source };
    write(path, &serde_json::to_vec_pretty(json).map_err(failed)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = fs::write(path, bytes).and_then(|()| fs::File::open(path)?.sync_all());
    written.map_err(Error::file("write", path))
}
