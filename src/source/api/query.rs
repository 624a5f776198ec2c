//! What is asked of the API.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::partition::Extent;
use crate::time::write_instant;

/// A query with all its times resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Whose tasks.
    pub of: Vec<Selector>,
    /// Only tasks of these statuses; empty for all.
    pub statuses: Vec<String>,
    /// Only tasks that were completed after this, in microseconds since 1970.
    pub completed_after: Option<i64>,
    /// Only tasks that were completed before this.
    pub completed_before: Option<i64>,
    /// Beside these times: all tasks of these statuses, which have no time or one that tells nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_statuses: Vec<String>,
    /// Leave out which task came with which delivery: the API tells it only together with the whole task once more.
    #[serde(default)]
    pub skips_delivery_tasks: bool,
    /// Beside these times: every task of the deliveries that were made since then, to tell whether all came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub walks_deliveries: bool,
    /// What comes as an object instead of an id: `project`, `batch`, `delivery`.
    pub expand: Vec<String>,
    /// What comes beside the bare task: `annotation_details`, `attachment_details`, `model_parameters`, `submissions`.
    pub opts: Vec<String>,
}

/// Whose tasks are asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Those of every project.
    AllProjects,
    /// Those of the project of this id.
    ProjectId(String),
    /// Those of the project of this name.
    ProjectName(String),
    /// Those of the batch of this id.
    BatchId(String),
    /// Those of the batch of this name.
    BatchName(String),
    /// Those of a delivery.
    Delivery(Vec<Parameter>),
    /// One task.
    TaskId(String),
}

/// A parameter of a request.
pub type Parameter = (String, String);

/// All of `expand`.
pub const EXPANDABLE: [&str; 3] = ["project", "batch", "delivery"];

/// All of `opts`.
pub const OPTS: [&str; 4] = ["annotation_details", "attachment_details", "model_parameters", "submissions"];

/// Statuses of tasks that are not completed. With the slices of `completed_at` they cover a query.
pub const OPEN_STATUSES: [&str; 4] = ["pending", "canceled", "error", DELETED];

/// The status of deleted tasks. That the API takes it as a filter is nowhere said.
pub const DELETED: &str = "deleted";

/// The status of completed tasks.
pub const COMPLETED: &str = "completed";

/// What is asked for may be thousands of ids.
const MOST_WORDS: usize = 3;

impl Query {
    /// What is asked for, in words.
    pub fn words(&self) -> String {
        let words = self.of.iter().take(MOST_WORDS).map(|selector| match selector {
            Selector::AllProjects => "all projects".to_owned(),
            Selector::ProjectId(name) | Selector::ProjectName(name) => format!("project {name}"),
            Selector::BatchId(name) | Selector::BatchName(name) => format!("batch {name}"),
            Selector::Delivery(parameters) => {
                let of = parameters.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>();
                format!("delivery {}", of.join(" of "))
            }
            Selector::TaskId(id) => format!("task {id}"),
        });
        let words = words.collect::<Vec<_>>().join(", ");
        let others = self.of.len().saturating_sub(MOST_WORDS);
        if others == 0 { words } else { format!("{words} and {others} more") }
    }

    /// Whose tasks all come, if all of somebody's do: whoever did not come then is gone.
    pub fn extent(&self) -> Option<Extent> {
        let (mut projects, mut batches) = (BTreeSet::new(), BTreeSet::new());
        let (mut is_of_projects, mut is_of_batches) = (false, false);
        for selector in &self.of {
            match selector {
                Selector::AllProjects => return (!self.has_times()).then_some(Extent::All),
                Selector::ProjectId(id) => drop(projects.insert(id.clone())),
                Selector::BatchId(id) => drop(batches.insert(id.clone())),
                Selector::ProjectName(_) | Selector::BatchName(_) => {}
                Selector::Delivery(_) | Selector::TaskId(_) => return None,
            }
            is_of_projects |= matches!(selector, Selector::ProjectId(_) | Selector::ProjectName(_));
            is_of_batches |= matches!(selector, Selector::BatchId(_) | Selector::BatchName(_));
        }
        match (is_of_projects, is_of_batches) {
            _ if self.has_times() => None,
            (true, false) => Some(Extent::Projects(projects)),
            (false, true) => Some(Extent::Batches(batches)),
            _ => None,
        }
    }

    /// True where a time is asked for, and so only tasks that have one.
    pub fn has_times(&self) -> bool {
        self.completed_after.is_some() || self.completed_before.is_some()
    }

    /// The same query with everything in one order and nothing twice: what tells it from others.
    pub fn canonical(&self) -> Query {
        let mut query = self.clone();
        query.of.sort_unstable();
        query.of.dedup();
        for words in [&mut query.statuses, &mut query.open_statuses, &mut query.expand, &mut query.opts] {
            words.sort_unstable();
            words.dedup();
        }
        query.skips_delivery_tasks |= !query.may_be_delivered();
        query
    }

    /// Whether tasks are asked for that can have been delivered.
    pub(super) fn may_be_delivered(&self) -> bool {
        self.statuses.is_empty() || self.statuses.iter().any(|status| status == COMPLETED)
    }

    /// `expand` and `opts` as parameters. Only an answer about a delivery has one to expand.
    pub(super) fn details(&self, is_of_delivery: bool) -> impl Iterator<Item = Parameter> + '_ {
        let expand = self.expand.iter().filter(move |word| is_of_delivery || *word != "delivery");
        // A delivery's own object tells how many tasks it has.
        let is_missing = is_of_delivery && !self.expand.iter().any(|word| word == "delivery");
        let expand = expand.map(String::as_str).chain(is_missing.then_some("delivery"));
        let expand = expand.map(|word| parameter("expand", word));
        expand.chain(self.opts.iter().map(|word| parameter("opts", word)))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::AllProjects => formatter.write_str("all projects"),
            Selector::ProjectId(id) => write!(formatter, "project {id}"),
            Selector::ProjectName(name) => write!(formatter, "project named {name}"),
            Selector::BatchId(id) => write!(formatter, "batch {id}"),
            Selector::BatchName(name) => write!(formatter, "batch named {name}"),
            Selector::Delivery(parameters) => {
                let words = parameters.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " ")));
                formatter.write_str(&words.collect::<Vec<_>>().join(" of "))
            }
            Selector::TaskId(id) => write!(formatter, "task {id}"),
        }
    }
}

/// The query in words.
impl fmt::Display for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.of.iter().map(ToString::to_string).collect::<Vec<_>>();
        formatter.write_str(&of.join(", "))?;
        if !self.statuses.is_empty() {
            write!(formatter, "; only {}", self.statuses.join(", "))?;
        }
        for (word, time) in [("after", self.completed_after), ("before", self.completed_before)] {
            if let Some(time) = time.and_then(write_instant) {
                write!(formatter, "; completed {word} {time}")?;
            }
        }
        if !self.open_statuses.is_empty() {
            write!(formatter, "; and all {}", self.open_statuses.join(", "))?;
        }
        if self.skips_delivery_tasks {
            formatter.write_str("; without the listing of delivered tasks")?;
        }
        write!(formatter, "; with {}", self.expand.iter().chain(&self.opts).cloned().collect::<Vec<_>>().join(", "))
    }
}

/// A parameter of a name and a value.
pub fn parameter(name: &str, value: impl Into<String>) -> Parameter {
    (name.to_owned(), value.into())
}
