//! Which tasks commands ask the API for.

use clap::Args;

use crate::source::api::query::{EXPANDABLE, OPTS};
use crate::source::api::{Query, Selector};

/// How many of a lake's tasks may go at a time.
pub(super) const MAX_REMOVED: &str = "5%";

/// Whose tasks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which tasks")]
pub(super) struct ScopeArgs {
    /// Tasks of every project of the key's account
    #[arg(long, group = "source", conflicts_with_all = ["project_id", "project_name"])]
    pub(super) all_projects: bool,
    /// Tasks of this project; may be given more than once
    #[arg(long, value_name = "ID", group = "source")]
    pub(super) project_id: Vec<String>,
    /// Tasks of the project of this name; may be given more than once
    #[arg(long, value_name = "NAME", group = "source")]
    pub(super) project_name: Vec<String>,
    /// Tasks of this batch; may be given more than once
    #[arg(long, value_name = "ID", group = "source", conflicts_with_all = ["all_projects", "project_id", "project_name"])]
    batch_id: Vec<String>,
    /// Tasks of the batch of this name; may be given more than once
    #[arg(long, value_name = "NAME", group = "source", conflicts_with_all = ["all_projects", "project_id", "project_name"])]
    batch_name: Vec<String>,
}

/// Which of them, and what is asked of each.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which tasks")]
pub(super) struct DetailArgs {
    /// Only tasks of this status, such as completed; may be given more than once
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Vec<String>,
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

impl ScopeArgs {
    /// What is meant, in the order of the flags.
    pub(super) fn selectors(&self) -> Vec<Selector> {
        let mut selectors = Vec::new();
        selectors.extend(self.all_projects.then_some(Selector::AllProjects));
        selectors.extend(self.project_id.iter().cloned().map(Selector::ProjectId));
        selectors.extend(self.project_name.iter().cloned().map(Selector::ProjectName));
        selectors.extend(self.batch_id.iter().cloned().map(Selector::BatchId));
        selectors.extend(self.batch_name.iter().cloned().map(Selector::BatchName));
        selectors
    }
}

impl DetailArgs {
    /// A query of all tasks of these.
    pub(super) fn query(&self, of: Vec<Selector>) -> Query {
        Query {
            of,
            statuses: self.status.clone(),
            skips_delivery_tasks: self.skip_delivery_tasks,
            expand: self.expand.clone(),
            opts: self.opts.clone(),
            ..Query::default()
        }
    }
}
