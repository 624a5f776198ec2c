//! What a task will be, drawn before a byte of it is written: its partition, its state and its rare shapes.

use super::GenerateOptions;
use super::rng::{Rng, mix_pair};
use super::time::{DAY_MS, TimeStyle};

/// The first day of all tasks, 2024-03-01, in days since 1970.
const FIRST_DAY: u64 = 19_783;

/// More days than these would need years of five digits.
const MOST_DAYS: u64 = 2_900_000;

/// What became of a task, which decides whether it has threads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Completed, with threads.
    Completed,
    /// Reported as sensitive: completed, with reports and without threads.
    Reported,
    /// Not begun; the status is `pending`.
    Pending,
    /// Canceled.
    Canceled,
    /// Failed, with `errors`.
    Failed,
    /// Deleted.
    Deleted,
}

/// How `batch` is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchShape {
    /// As its id, or expanded like the project.
    Present,
    /// As null.
    Null,
    /// Not at all.
    Absent,
}

/// How much an annotation tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All fields.
    Full,
    /// `key` and `value`, as without `opts=annotation_details`.
    Bare,
    /// `id`, `title`, `value` and `metadata`, as in a published sample of rubrics.
    Keyless,
}

/// The rare shapes of a task.
pub(super) struct Traits {
    pub(super) attachments: bool,
    pub(super) reference_texts: bool,
    pub(super) chunks: bool,
    pub(super) reasoning: bool,
    pub(super) submissions: bool,
    pub(super) rubrics: bool,
    pub(super) workspaces: bool,
    pub(super) rankings: bool,
    /// Labelled text, files and several categories.
    pub(super) uncommon_annotations: bool,
    /// `labels` and `possible_values` are a list inside a list.
    pub(super) nested_choices: bool,
    /// `metadata.criteria` is a whole annotation.
    pub(super) whole_criteria: bool,
    /// Annotations of a type that the API's model does not list, and values that are not of their type.
    pub(super) unknown_annotations: bool,
    pub(super) expanded: bool,
    pub(super) latency: bool,
}

/// What a task will be.
pub(super) struct Plan {
    pub(super) project: u64,
    pub(super) batch: u64,
    pub(super) batch_shape: BatchShape,
    pub(super) outcome: Outcome,
    pub(super) detail: Detail,
    pub(super) time_style: TimeStyle,
    pub(super) created_at_ms: u64,
    /// When the task ended; null unless it was completed.
    pub(super) completed_at_ms: Option<u64>,
    pub(super) traits: Traits,
}

impl Plan {
    /// Draws the plan of the task `index`.
    pub(super) fn draw(options: &GenerateOptions, index: u64, rng: &mut Rng) -> Self {
        let (project, batch, day) = place(options, index);
        let instant_ms = (FIRST_DAY + day) * DAY_MS + u64::from(rng.below(86_400_000));
        let outcome = draw_outcome(rng);
        let finished = matches!(outcome, Outcome::Completed | Outcome::Reported);
        let age_ms = u64::from(rng.skewed(20 * 3_600_000)) + 60_000;
        Self {
            project,
            batch,
            batch_shape: draw_batch_shape(rng, project),
            outcome,
            detail: draw_detail(rng),
            time_style: draw_time_style(rng),
            created_at_ms: if finished { instant_ms - age_ms } else { instant_ms },
            completed_at_ms: finished.then_some(instant_ms),
            traits: draw_traits(rng, project),
        }
    }
}

/// Project, batch and day of a task. Every run of `partitions` tasks visits each partition once, in an order that
/// begins elsewhere each time: partitions are even, and the tasks do not come sorted by partition.
fn place(options: &GenerateOptions, index: u64) -> (u64, u64, u64) {
    let projects = options.projects.max(1);
    let most_groups = projects.saturating_mul(options.batches.max(1));
    let partitions = options.partitions.clamp(1, most_groups.saturating_mul(MOST_DAYS));
    let groups = most_groups.min(partitions);
    let start = mix_pair(options.seed, index / partitions) % partitions;
    let partition = (index % partitions + start) % partitions;
    let group = partition % groups;
    (group % projects, group / projects, partition / groups)
}

fn draw_outcome(rng: &mut Rng) -> Outcome {
    match rng.below(1_000) {
        0..8 => Outcome::Pending,
        8..15 => Outcome::Canceled,
        15..24 => Outcome::Failed,
        24..26 => Outcome::Deleted,
        26..32 => Outcome::Reported,
        _ => Outcome::Completed,
    }
}

/// Only the second project has tasks without a batch, since they are partitions of their own.
fn draw_batch_shape(rng: &mut Rng, project: u64) -> BatchShape {
    match rng.below(1_000) {
        0..3 if project == 1 => BatchShape::Null,
        3..5 if project == 1 => BatchShape::Absent,
        _ => BatchShape::Present,
    }
}

fn draw_detail(rng: &mut Rng) -> Detail {
    match rng.below(1_000) {
        0..40 => Detail::Bare,
        40..50 => Detail::Keyless,
        _ => Detail::Full,
    }
}

fn draw_time_style(rng: &mut Rng) -> TimeStyle {
    match rng.below(1_000) {
        0..10 => TimeStyle::Offset(rng.pick(&[60, 120, 330, 540, -300, -480, -210])),
        10..25 => TimeStyle::UtcSeconds,
        _ => TimeStyle::Utc,
    }
}

/// Most rare shapes are at home in one project of four and nearly absent from the others.
fn draw_traits(rng: &mut Rng, project: u64) -> Traits {
    let mut at_home =
        |home: u64, there: u32, elsewhere: u32| rng.chance(if project % 4 == home { there } else { elsewhere });
    Traits {
        attachments: at_home(1, 120, 2),
        reference_texts: at_home(0, 80, 2),
        chunks: at_home(2, 30, 2),
        reasoning: at_home(2, 120, 2),
        submissions: at_home(0, 100, 2),
        rubrics: at_home(3, 80, 2),
        workspaces: at_home(2, 30, 2),
        rankings: at_home(0, 80, 10),
        uncommon_annotations: at_home(1, 80, 5),
        nested_choices: rng.chance(8),
        whole_criteria: rng.chance(5),
        unknown_annotations: rng.chance(4),
        expanded: rng.chance(25),
        latency: rng.chance(15),
    }
}
