//! The endpoints that an export asks: their paths, their parameters, and what their answers hold.

use super::query::{Parameter, Query, parameter};
use crate::json::text::write_string;

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// One task.
    Task,
    /// Tasks of a project or a batch.
    Tasks,
    /// One project.
    Project,
    /// All projects.
    Projects,
    /// One batch.
    Batch,
    /// Batches of a project.
    Batches,
    /// A delivery with its tasks.
    Delivery,
    /// Deliveries of a project.
    Deliveries,
    /// Which task came with which delivery, of a project. Tells the whole task once more.
    DeliveryTasks,
}

impl Endpoint {
    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::Task => "/v2/task",
            Endpoint::Tasks => "/v2/tasks",
            Endpoint::Project => "/v2/project",
            Endpoint::Projects => "/v2/projects",
            Endpoint::Batch => "/v2/batch",
            Endpoint::Batches => "/v2/batches",
            Endpoint::Delivery => "/v2/delivery",
            Endpoint::Deliveries => "/v2/deliveries",
            Endpoint::DeliveryTasks => "/v2/delivery/tasks",
        }
    }

    /// The member of an answer that lists what was asked for. `None` where the answer is the thing itself.
    pub(super) fn list(self) -> Option<&'static str> {
        match self {
            Endpoint::Task | Endpoint::Project | Endpoint::Batch => None,
            Endpoint::Tasks | Endpoint::Delivery => Some("tasks"),
            Endpoint::Projects => Some("projects"),
            Endpoint::Batches => Some("batches"),
            Endpoint::Deliveries => Some("deliveries"),
            Endpoint::DeliveryTasks => Some("docs"),
        }
    }

    /// The member that names a thing that was asked for.
    pub(super) fn id(self) -> &'static str {
        match self {
            Endpoint::Task | Endpoint::Tasks | Endpoint::Delivery | Endpoint::DeliveryTasks => "task_id",
            _ => "id",
        }
    }

    /// The parameters that its requests have beside those that say whose things are meant.
    pub(super) fn parameters(self, query: &Query, page_size: u8) -> Vec<Parameter> {
        let limit = |limit: u8| parameter("limit", limit.to_string());
        match self {
            Endpoint::Task => query.details(false).collect(),
            Endpoint::Tasks => query.details(false).chain([limit(page_size)]).collect(),
            Endpoint::Delivery => query.details(true).chain([limit(page_size)]).collect(),
            Endpoint::Batches | Endpoint::DeliveryTasks => vec![limit(100)],
            Endpoint::Project | Endpoint::Projects | Endpoint::Batch | Endpoint::Deliveries => Vec::new(),
        }
    }

    /// An answer as a page that tells by itself what it is: a project or a batch becomes a page that lists it, and a list of memberships
    /// names the project that it is of.
    pub(super) fn as_page(self, project: Option<&str>, body: Vec<u8>) -> Vec<u8> {
        match self {
            Endpoint::Project => [b"{\"projects\":[", body.as_slice(), b"]}"].concat(),
            Endpoint::Batch => [b"{\"batches\":[", body.as_slice(), b"]}"].concat(),
            Endpoint::DeliveryTasks => project.and_then(|project| of_project(project, &body)).unwrap_or(body),
            _ => body,
        }
    }
}

fn of_project(project: &str, body: &[u8]) -> Option<Vec<u8>> {
    let (_, members) = body.split_at_checked(memchr::memchr(b'{', body)? + 1)?;
    let mut quoted = String::new();
    write_string(project, &mut quoted);
    Some([b"{\"project\":", quoted.as_bytes(), b",", members].concat())
}
