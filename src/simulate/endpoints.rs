//! What each address answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::entities::{BATCH_STATUSES, Batch, Project};
use super::fault::json_error;
use super::gate::Shared;
use super::load::{Status, quoted};
use super::parameters::{Parameters, Refusal};
use super::store::{Link, Store, Task};
use super::view::{View, push_batch, push_delivered, push_delivery, push_list, push_project};

/// The addresses.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v2/task", get(task))
        .route("/v2/tasks", get(tasks))
        .route("/v2/project", get(project))
        .route("/v2/projects", get(projects))
        .route("/v2/batch", get(batch))
        .route("/v2/batches", get(batches))
        .route("/v2/deliveries", get(deliveries))
        .route("/v2/delivery", get(delivery))
        .route("/v2/delivery/tasks", get(delivery_tasks))
        .fallback(async || json_error(StatusCode::NOT_FOUND, "no such endpoint"))
        .method_not_allowed_fallback(async || json_error(StatusCode::METHOD_NOT_ALLOWED, "only GET is simulated"))
}

/// A body of JSON.
pub(super) struct Json(Vec<u8>);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

type Answer = Result<Json, Refusal>;

async fn task(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let id = parameters.needed("task_id")?;
    let view = parameters.view(false)?;
    let task = shared.store.task(id).ok_or_else(|| Refusal::unknown("task", id))?;
    Ok(object(|to| view.task(&shared.store, task, to)))
}

async fn tasks(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let store = &shared.store;
    let view = parameters.view(false)?;
    let project = find_project(store, &parameters)?;
    let (positions, project) = match (find_batch(store, &parameters, project)?, project) {
        (Some(batch), project) => (store.of_batch.get(batch), project),
        (None, Some(project)) => (store.of_project.get(project), None),
        (None, None) => {
            return Err(Refusal::bad("one of project_id, project_name, batch_id, batch_name is required"));
        }
    };
    let is_wanted = |task: &Task| project.is_none_or(|project| task.project == Link::To(project as u32));
    let page = TaskPage::of(&shared, &parameters, positions, is_wanted)?;
    Ok(page.json("tasks", b"{", |task, to| view.task(store, task, to)))
}

async fn project(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let project = find_project(&shared.store, &parameters)?;
    let index = project.ok_or_else(|| Refusal::bad("one of project_id, project_name is required"))?;
    Ok(object(|to| push_project(&shared.store, Some(index), true, to)))
}

async fn projects(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let created = parameters.span("created")?;
    let listed = shared.store.projects.iter().filter(|project| created.has(project.created_at));
    Ok(list("projects", listed, |project, to| to.extend_from_slice(&project.text)))
}

async fn batch(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let is_expanded = parameters.expands_project()?;
    let project = find_project(&shared.store, &parameters)?;
    let found = find_batch(&shared.store, &parameters, project)?;
    let index = found.ok_or_else(|| Refusal::bad("one of batch_id, batch_name is required"))?;
    let batch = shared.store.batches.get(index).ok_or_else(|| Refusal::unknown("batch", ""))?;
    Ok(object(|to| push_batch(&shared.store, batch, is_expanded, to)))
}

async fn batches(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let store = &shared.store;
    let is_expanded = parameters.expands_project()?;
    let (created, completed) = (parameters.span("created")?, parameters.span("completed")?);
    let status = parameters.word("status", &BATCH_STATUSES.map(|word| (word, word)))?;
    let project = find_project(store, &parameters)?;
    let batch = find_batch(store, &parameters, project)?;
    let is_wanted = |index: usize, found: &Batch| {
        (project.is_none() || found.project == project)
            && batch.is_none_or(|wanted| wanted == index)
            && (status.is_none() || found.status.as_deref() == status)
            && created.has(found.created_at)
            && completed.has(found.completed_at)
    };
    let (limit, start) = (parameters.limit()?, parameters.position()?);
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let mut left = store.batches.iter().enumerate().skip(start).filter(|(index, batch)| is_wanted(*index, batch));
    let page: Vec<&Batch> = left.by_ref().take(limit).map(|(_, batch)| batch).collect();
    let token = left.next().map(|(index, _)| parameters.token(index as u64, shared.serial()));
    Ok(listing(b"{", "batches", page, token, |batch, to| push_batch(store, batch, is_expanded, to)))
}

async fn deliveries(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let store = &shared.store;
    let is_expanded = parameters.expands_project()?;
    let delivered = parameters.span("delivered")?;
    let project = find_project(store, &parameters)?.and_then(|index| store.projects.get(index));
    let listed = store.deliveries.iter().filter(|delivery| {
        project.is_none_or(|project| project.id == delivery.project_id) && delivered.has(Some(delivery.delivered_at))
    });
    Ok(list("deliveries", listed, |delivery, to| push_delivery(store, delivery, is_expanded, to)))
}

async fn delivery(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let store = &shared.store;
    let view = parameters.view(true)?;
    let project = find_project(store, &parameters)?;
    let index = find_delivery(store, &parameters, project)?
        .ok_or_else(|| Refusal::bad("delivery_id, or delivery_name with a project, is required"))?;
    let page = TaskPage::of(&shared, &parameters, store.of_delivery.get(index), |_| true)?;
    let mut begin = b"{\"delivery\":".to_vec();
    push_delivery_of(store, index, view, &mut begin);
    begin.push(b',');
    Ok(page.json("tasks", &begin, |task, to| view.task(store, task, to)))
}

async fn delivery_tasks(State(shared): State<Arc<Shared>>, parameters: Parameters) -> Answer {
    let store = &shared.store;
    let project = find_project(store, &parameters)?;
    let positions = match (find_delivery(store, &parameters, project)?, project) {
        (Some(delivery), _) => store.of_delivery.get(delivery),
        (None, Some(project)) => store.of_project.get(project),
        (None, None) => return Err(Refusal::bad("one of delivery_id, project_id, project_name is required")),
    };
    let page = TaskPage::of(&shared, &parameters, positions, |_| true)?;
    let begin = format!("{{\"total\":{},", page.tasks.len());
    Ok(page.json("docs", begin.as_bytes(), |task, to| push_delivered(store, task, to)))
}

/// A page of tasks.
struct TaskPage<'a> {
    tasks: Vec<&'a Task>,
    token: Option<String>,
}

impl<'a> TaskPage<'a> {
    /// The tasks at these positions that the parameters let through, from where the token says on.
    fn of(
        shared: &'a Shared,
        parameters: &Parameters,
        positions: Option<&'a Vec<u32>>,
        is_wanted: impl Fn(&Task) -> bool,
    ) -> Result<TaskPage<'a>, Refusal> {
        let status = parameters.word("status", &Status::WORDS)?;
        let completed = parameters.span("completed")?;
        let (limit, start) = (parameters.limit()?, parameters.position()?);
        let positions = positions.map_or(&[][..], Vec::as_slice);
        let first = positions.partition_point(|position| u64::from(*position) < start);
        let tasks = positions.iter().skip(first).filter_map(|position| {
            let task = shared.store.tasks.get(*position as usize)?;
            Some((*position, task))
        });
        let mut left = tasks.filter(|(_, task)| {
            (status.is_none() || task.status == status) && completed.has(task.completed_at) && is_wanted(task)
        });
        let tasks = left.by_ref().take(limit).map(|(_, task)| task).collect();
        let token = left.next().map(|(position, _)| parameters.token(position.into(), shared.serial()));
        Ok(TaskPage { tasks, token })
    }

    fn json(self, name: &str, begin: &[u8], push: impl FnMut(&Task, &mut Vec<u8>)) -> Json {
        listing(begin, name, self.tasks, self.token, push)
    }
}

fn find_project(store: &Store, parameters: &Parameters) -> Result<Option<usize>, Refusal> {
    let by_name = |name: &str| store.projects.iter().position(|project| project.name.as_deref() == Some(name));
    let by_id = |id: &str| store.projects.binary_search_by(|project: &Project| project.id.as_str().cmp(id)).ok();
    find("project", parameters, by_id, by_name)
}

fn find_batch(store: &Store, parameters: &Parameters, project: Option<usize>) -> Result<Option<usize>, Refusal> {
    let by_name = |name: &str| {
        let is_here = |batch: &Batch| project.is_none() || batch.project == project;
        store.batches.iter().position(|batch| batch.name.as_deref() == Some(name) && is_here(batch))
    };
    let by_id = |id: &str| store.batches.binary_search_by(|batch| batch.id.as_str().cmp(id)).ok();
    find("batch", parameters, by_id, by_name)
}

fn find_delivery(store: &Store, parameters: &Parameters, project: Option<usize>) -> Result<Option<usize>, Refusal> {
    if parameters.one("delivery_name").is_some() && parameters.one("delivery_id").is_none() && project.is_none() {
        return Err(Refusal::bad("delivery_name needs project_id or project_name"));
    }
    let project = project.and_then(|index| store.projects.get(index));
    let by_name = |name: &str| {
        let is_here = |id: &str| project.is_none_or(|project| project.id == id);
        store.deliveries.iter().position(|delivery| delivery.name == name && is_here(&delivery.project_id))
    };
    let by_id = |id: &str| store.deliveries.iter().position(|delivery| delivery.id == id);
    find("delivery", parameters, by_id, by_name)
}

/// What the id stands for, or else the name. `None` where neither was given.
fn find(
    what: &str,
    parameters: &Parameters,
    by_id: impl Fn(&str) -> Option<usize>,
    by_name: impl Fn(&str) -> Option<usize>,
) -> Result<Option<usize>, Refusal> {
    let (word, found) = match (parameters.one(&format!("{what}_id")), parameters.one(&format!("{what}_name"))) {
        (Some(id), _) => (id, by_id(id)),
        (None, Some(name)) => (name, by_name(name)),
        (None, None) => return Ok(None),
    };
    found.map(Some).ok_or_else(|| Refusal::unknown(what, word))
}

fn push_delivery_of(store: &Store, index: usize, view: View, to: &mut Vec<u8>) {
    match store.deliveries.get(index) {
        Some(delivery) if view.delivery => push_delivery(store, delivery, false, to),
        Some(delivery) => to.extend_from_slice(&quoted(&delivery.id)),
        None => to.extend_from_slice(b"null"),
    }
}

fn object(push: impl FnOnce(&mut Vec<u8>)) -> Json {
    let mut body = Vec::new();
    push(&mut body);
    Json(body)
}

/// A listing that is never cut into pages.
fn list<T>(name: &str, entities: impl IntoIterator<Item = T>, push: impl FnMut(T, &mut Vec<u8>)) -> Json {
    listing(b"{", name, entities, None, push)
}

fn listing<T>(
    begin: &[u8],
    name: &str,
    entities: impl IntoIterator<Item = T>,
    token: Option<String>,
    push: impl FnMut(T, &mut Vec<u8>),
) -> Json {
    let mut body = begin.to_vec();
    body.extend_from_slice(&quoted(name));
    body.push(b':');
    push_list(b"[]", entities, &mut body, push);
    if let Some(token) = token {
        body.extend_from_slice(b",\"next_token\":");
        body.extend_from_slice(&quoted(&token));
    }
    body.push(b'}');
    Json(body)
}
