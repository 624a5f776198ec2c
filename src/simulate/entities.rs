//! Projects, batches and deliveries: as the tasks hold them, or made up from what the tasks tell.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, IsoWeek, NaiveTime, Weekday};

use super::load::{Draft, Reference, Status, instant, is_key, member, push_member, push_string, quoted, string};
use super::store::hash;
use crate::json::scan;

/// A project.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) created_at: Option<i64>,
    /// The object.
    pub(super) text: Vec<u8>,
}

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// Position of its project.
    pub(super) project: Option<usize>,
    pub(super) created_at: Option<i64>,
    pub(super) completed_at: Option<i64>,
    pub(super) status: Option<String>,
    /// The object without its project.
    pub(super) text: Vec<u8>,
}

/// The tasks of a project that were completed in one week (ISO 8601, UTC), delivered on the Monday after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Its name, of which each project has one.
    pub name: String,
    /// Id of its project.
    pub project_id: String,
    /// How many tasks it holds.
    pub task_count: u64,
    /// When it was delivered, in microseconds since 1970.
    pub delivered_at: i64,
}

/// What a status of a batch can be (Scale's `BatchStatus`).
pub(super) const BATCH_STATUSES: [&str; 5] = ["staging", "in_progress", "completed", "paused", "cancelled"];

/// Some of what a project can be of (Scale's `GenAIProjectType`).
const PROJECT_TYPES: [&str; 4] = ["SFT", "RLHF: Pref Ranking", "Rubrics", "Evals"];

/// When something was created of which nothing is known: 2024-01-01.
const SOME_DAY: i64 = 1_704_067_200_000_000;

const DAY: i64 = 86_400_000_000;

/// What tasks tell of a project or a batch.
#[derive(Default)]
struct Told {
    object: Option<Vec<u8>>,
    /// Id of the project, of a batch.
    project: Option<String>,
    earliest: Option<i64>,
    latest: Option<i64>,
    has_pending: bool,
}

impl Told {
    fn hear(&mut self, draft: &Draft, object: Option<&[u8]>) {
        self.keep(object);
        self.earliest = self.earliest.into_iter().chain(draft.created_at).min();
        self.latest = self.latest.max(draft.completed_at);
        self.has_pending |= draft.status == Some(Status::Pending);
    }

    fn keep(&mut self, object: Option<&[u8]>) {
        if self.object.is_none() {
            self.object = object.map(<[u8]>::to_vec);
        }
    }

    /// The start of a day before anything else happened.
    fn created_at(&self) -> i64 {
        self.earliest.map_or(SOME_DAY, |earliest| earliest - earliest.rem_euclid(DAY) - DAY)
    }
}

/// All projects and batches of the tasks, each in the order of their ids.
pub(super) fn gather(drafts: &[Draft]) -> (Vec<Project>, Vec<Batch>) {
    let mut projects = BTreeMap::<String, Told>::new();
    let mut batches = BTreeMap::<String, Told>::new();
    for draft in drafts {
        if let Reference::Of(id, object) = &draft.project {
            projects.entry(id.clone()).or_default().hear(draft, object.as_deref());
        }
        if let Reference::Of(id, object) = &draft.batch {
            let told = batches.entry(id.clone()).or_default();
            told.hear(draft, object.as_deref());
            if let (None, Reference::Of(project, _)) = (&told.project, &draft.project) {
                told.project = Some(project.clone());
            }
        }
    }
    for told in batches.values_mut() {
        own_project(told, &mut projects);
    }
    let projects: Vec<_> = projects.into_iter().map(|(id, told)| project(id, told)).collect();
    let batches = batches.into_iter().map(|(id, told)| batch(id, told, &projects)).collect();
    (projects, batches)
}

/// A batch that is an object may say itself what its project is.
fn own_project(told: &mut Told, projects: &mut BTreeMap<String, Told>) {
    let Some(members) = told.object.as_deref().and_then(scan::members) else {
        return;
    };
    let Some(value) = member(&members, "project") else {
        return;
    };
    let inner = scan::members(value);
    let id = inner.as_ref().map_or_else(|| string(value), |inner| member(inner, "id").and_then(string));
    if let Some(id) = id {
        projects.entry(id.clone()).or_default().keep(inner.is_some().then_some(value));
        told.project = Some(id);
    }
}

fn project(id: String, told: Told) -> Project {
    let text = told.object.clone().unwrap_or_else(|| {
        let mut text = b"{".to_vec();
        push_string(&mut text, "id", &id);
        push_string(&mut text, "name", &format!("Project {id}"));
        push_instant(&mut text, "created_at", told.created_at());
        let kind = PROJECT_TYPES.get((hash(&id) % PROJECT_TYPES.len() as u64) as usize).copied().unwrap_or_default();
        push_member(&mut text, b"\"types\"", &[b"[", quoted(kind).as_slice(), b"]"].concat());
        push_member(&mut text, b"\"models\"", br#"["atlas-large","borealis-2"]"#);
        text.push(b'}');
        text
    });
    let members = scan::members(&text).unwrap_or_default();
    let (name, created_at) = (member(&members, "name").and_then(string), instant(&members, "created_at"));
    Project { id, name, created_at, text }
}

fn batch(id: String, told: Told, projects: &[Project]) -> Batch {
    let given = told.object.clone().unwrap_or_else(|| made_up_batch(&id, &told));
    let members = scan::members(&given).unwrap_or_default();
    let word = |key: &str| member(&members, key).and_then(string);
    let project = told.project.and_then(|id| projects.binary_search_by(|project| project.id.cmp(&id)).ok());
    let mut text = b"{".to_vec();
    for (key, value) in &members {
        if project.is_none() || !is_key(key, "project") {
            push_member(&mut text, key, value);
        }
    }
    text.push(b'}');
    let (name, status) = (word("name"), word("status"));
    let (created_at, completed_at) = (instant(&members, "created_at"), instant(&members, "completed_at"));
    Batch { id, name, project, created_at, completed_at, status, text }
}

fn made_up_batch(id: &str, told: &Told) -> Vec<u8> {
    let mut text = b"{".to_vec();
    push_string(&mut text, "id", id);
    push_string(&mut text, "name", &format!("Batch {id}"));
    push_instant(&mut text, "created_at", told.created_at());
    match told.latest.filter(|_| !told.has_pending) {
        Some(latest) => {
            push_instant(&mut text, "completed_at", latest);
            push_string(&mut text, "status", "completed");
        }
        None => push_string(&mut text, "status", "in_progress"),
    }
    push_member(&mut text, b"\"metadata\"", b"{}");
    text.push(b'}');
    text
}

/// The delivery that a completed task came with, still without tasks.
pub(super) fn delivery(project_id: &str, completed_at: i64) -> Option<Delivery> {
    let day = DateTime::from_timestamp_micros(completed_at)?.date_naive();
    let week: IsoWeek = day.iso_week();
    let name = format!("{}-W{:02}", week.year(), week.week());
    let monday = day.week(Weekday::Mon).checked_first_day()?.checked_add_days(Days::new(7))?;
    let delivered_at = monday.and_time(NaiveTime::from_hms_opt(9, 0, 0)?).and_utc().timestamp_micros();
    let id = format!("delivery_{project_id}_{name}");
    Some(Delivery { id, name, project_id: project_id.to_owned(), task_count: 0, delivered_at })
}

/// Appends a member whose value is an instant, as Scale writes them.
pub(super) fn push_instant(object: &mut Vec<u8>, key: &str, micros: i64) {
    let instant = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    push_string(object, key, &instant.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
}
