//! Opens a record: a task, a saved page of the API, or a reject of an earlier run. Reads no more of it than the way to its
//! partition needs; the whole is parsed when its part is built.

use std::borrow::Cow;

use base64::Engine;
use bumpalo::Bump;

use super::reject::{Origin, Problem, Reject};
use super::time::parse_instant;
use crate::json::tree::Document;
use crate::json::{self, Value, scan};
use crate::partition::{Key, Layout};
use crate::table::Dataset;

/// Levels of nesting that a task may have. Deeper JSON would be a danger to the readers behind us.
pub const MAX_DEPTH: usize = 128;

/// An object on its way to its partition.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// Where it belongs; says also what kind of object it is.
    pub key: Key,
    /// Its identity: of two items with the same, the later one wins.
    pub id: Cow<'a, str>,
    /// Its JSON as it came.
    pub raw: Cow<'a, [u8]>,
    /// Where it came from.
    pub origin: Origin,
}

/// Takes what records hold.
pub trait Sink<'a> {
    /// Something to keep.
    fn item(&mut self, item: Item<'a>);
    /// Something that can't be read.
    fn reject(&mut self, reject: Reject);
}

/// Parses the text of one item whole.
pub fn deep_parse<'a>(raw: &'a [u8], arena: &'a Bump) -> Result<Document<'a>, Problem> {
    let text = simdutf8::compat::from_utf8(raw).map_err(|error| {
        Problem::here(format!(
            "expected UTF-8, found another byte at {} of the text",
            error.valid_up_to()
        ))
    })?;
    json::parse(text, MAX_DEPTH, arena).map_err(|error| {
        let reason = error.to_string();
        Problem {
            path: error.path,
            reason,
        }
    })
}

/// Opens the records of a page. What it finds borrows from the page and from the opener.
#[derive(Debug, Default)]
pub struct Opener {
    layout: Layout,
    arena: Bump,
}

impl Opener {
    /// Will place tasks by this layout.
    pub fn new(layout: Layout) -> Opener {
        Opener {
            layout,
            arena: Bump::new(),
        }
    }

    /// Opens one record and hands what it holds to the sink.
    pub fn open<'a>(&'a self, record: &'a [u8], origin: Origin, sink: &mut dyn Sink<'a>) {
        let scope = Scope {
            layout: self.layout,
            arena: &self.arena,
            record,
            origin,
        };
        scope.open(sink);
    }
}

/// One record that is being opened.
#[derive(Clone, Copy)]
struct Scope<'a> {
    layout: Layout,
    arena: &'a Bump,
    record: &'a [u8],
    origin: Origin,
}

impl<'a> Scope<'a> {
    fn open(self, sink: &mut dyn Sink<'a>) {
        let Some(head) = Head::of(self.record, self.arena) else {
            return self.reject(self.record, self.problem_of_record(), sink);
        };
        if head.taskloom_reject.is_some() {
            self.reopen(&head, sink);
        } else if head.task_id.is_some() {
            self.task(self.record, &head, "", sink);
        } else if let Some(listing) = head.listing() {
            self.page(&head, listing, sink);
        } else {
            let problem =
                Problem::here("expected a task with a `task_id` or a page with `tasks`, found an object with neither");
            self.reject(self.record, problem, sink);
        }
    }

    fn problem_of_record(self) -> Problem {
        match deep_parse(self.record, self.arena) {
            Err(problem) => problem,
            Ok(document) => Problem::here(format!("expected a task object, found {}", document.root.kind())),
        }
    }

    fn at(self, piece: &[u8]) -> Origin {
        let offset = (piece.as_ptr() as usize).saturating_sub(self.record.as_ptr() as usize);
        Origin {
            byte: self.origin.byte + offset as u64,
            ..self.origin
        }
    }

    fn reject(self, piece: &[u8], problem: Problem, sink: &mut dyn Sink<'a>) {
        sink.reject(Reject::new(self.at(piece), problem, piece, piece.len() as u64));
    }

    fn task(self, task: &'a [u8], head: &Head<'a>, path: &str, sink: &mut dyn Sink<'a>) {
        let project = self.reference(head.project);
        let batch = self.reference(head.batch);
        match self.task_key(head, project, batch) {
            Ok((task_id, key)) => {
                self.expanded(Dataset::Projects, head.project, project, sink);
                self.expanded(Dataset::Batches, head.batch, project, sink);
                sink.item(Item {
                    key,
                    id: Cow::Borrowed(task_id),
                    raw: Cow::Borrowed(task),
                    origin: self.at(task),
                });
            }
            Err(problem) => {
                let reject = Reject::new(self.at(task), problem.inside(path), task, task.len() as u64);
                sink.reject(reject.of_task(self.string(head.task_id), project, batch));
            }
        }
    }

    fn task_key(self, head: &Head<'a>, project: Option<&str>, batch: Option<&str>) -> Result<(&'a str, Key), Problem> {
        let task_id = match self.value(head.task_id)? {
            Value::String(task_id) if !task_id.is_empty() => task_id,
            Value::String(_) => {
                return Err(Problem::here("expected a `task_id`, found an empty string").inside(".task_id"));
            }
            other => {
                let reason = format!("expected a string as `task_id`, found {}", other.kind());
                return Err(Problem::here(reason).inside(".task_id"));
            }
        };
        let created_at = self
            .instant(head.created_at)
            .map_err(|problem| problem.inside(".created_at"))?;
        let completed_at = self
            .instant(head.completed_at)
            .map_err(|problem| problem.inside(".completed_at"))?;
        Ok((
            task_id,
            Key::task(project, batch, self.layout.date(created_at, completed_at)),
        ))
    }

    fn value(self, piece: Option<&'a [u8]>) -> Result<Value<'a>, Problem> {
        piece.map_or(Ok(Value::Null), |piece| {
            deep_parse(piece, self.arena).map(|document| document.root)
        })
    }

    fn string(self, piece: Option<&'a [u8]>) -> Option<&'a str> {
        match self.value(piece) {
            Ok(Value::String(string)) => Some(string),
            _ => None,
        }
    }

    fn instant(self, piece: Option<&'a [u8]>) -> Result<Option<i64>, Problem> {
        let expected = "expected a time such as 2025-01-02T04:00:39.923Z";
        match self.value(piece)? {
            Value::Null => Ok(None),
            Value::String(text) => parse_instant(text)
                .map(Some)
                .ok_or_else(|| Problem::here(format!("{expected}, found \"{}\"", text.escape_debug()))),
            other => Err(Problem::here(format!("{expected}, found {}", other.kind()))),
        }
    }

    /// The id behind a field that is an id or an object with one.
    fn reference(self, piece: Option<&'a [u8]>) -> Option<&'a str> {
        let piece = piece?;
        match piece.first()? {
            b'{' => self.string(Head::of(piece, self.arena)?.id),
            _ => self.string(Some(piece)),
        }
    }

    /// An object that stands where its id could: the task keeps it too, so one that can't be read is no loss here.
    fn expanded(self, dataset: Dataset, piece: Option<&'a [u8]>, project: Option<&str>, sink: &mut dyn Sink<'a>) {
        let is_readable = |piece: &&[u8]| piece.starts_with(b"{") && deep_parse(piece, self.arena).is_ok();
        if let Some(piece) = piece.filter(is_readable) {
            let _ = self.dimension(dataset, piece, project, sink);
        }
    }

    /// A project, a batch or a delivery as an object.
    fn dimension(
        self,
        dataset: Dataset,
        object: &'a [u8],
        project: Option<&str>,
        sink: &mut dyn Sink<'a>,
    ) -> Result<(), Problem> {
        let head = Head::of(object, self.arena).ok_or_else(|| {
            deep_parse(object, self.arena)
                .err()
                .unwrap_or_else(|| Problem::here("expected an object"))
        })?;
        let id = self.string(head.id).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Problem::here("expected a string as `id`").inside(".id"))?;
        let own_project = if dataset == Dataset::Projects {
            Some(id)
        } else {
            self.reference(head.project).or(project)
        };
        if dataset != Dataset::Projects {
            self.expanded(Dataset::Projects, head.project, None, sink);
        }
        let key = Key::project(dataset, own_project);
        sink.item(Item {
            key,
            id: Cow::Borrowed(id),
            raw: Cow::Borrowed(object),
            origin: self.at(object),
        });
        Ok(())
    }

    fn page(self, head: &Head<'a>, listing: Listing<'a>, sink: &mut dyn Sink<'a>) {
        let step = json::tree::path_key(listing.name);
        if let Some(Err(problem)) = head
            .delivery
            .filter(|piece| piece.starts_with(b"{"))
            .map(|piece| self.dimension(Dataset::Deliveries, piece, None, sink))
        {
            self.reject(self.record, problem.inside(".delivery"), sink);
        }
        let Some(elements) = scan::elements(listing.array) else {
            let found = deep_parse(listing.array, self.arena).map(|document| document.root.kind());
            let reason = format!("expected an array, found {}", found.unwrap_or("broken JSON"));
            return self.reject(self.record, Problem::here(reason).inside(&step), sink);
        };
        let delivery = self.reference(head.delivery);
        for (index, element) in elements.into_iter().enumerate() {
            let path = format!("{step}[{index}]");
            if listing.dataset != Dataset::Tasks {
                if let Err(problem) = self.dimension(listing.dataset, element, None, sink) {
                    self.reject(element, problem.inside(&path), sink);
                }
            } else if let Some(task) = Head::of(element, self.arena) {
                self.task(element, &task, &path, sink);
                self.membership(delivery, &task, element, sink);
            } else {
                let inner = Scope {
                    record: element,
                    origin: self.at(element),
                    ..self
                };
                self.reject(element, inner.problem_of_record().inside(&path), sink);
            }
        }
    }

    fn membership(self, delivery: Option<&str>, task: &Head<'a>, element: &[u8], sink: &mut dyn Sink<'a>) {
        let (Some(delivery), Some(task_id)) = (delivery, self.string(task.task_id)) else {
            return;
        };
        let mut raw = String::from("{\"delivery_id\":");
        json::text::write_string(delivery, &mut raw);
        raw.push_str(",\"task_id\":");
        json::text::write_string(task_id, &mut raw);
        raw.push('}');
        sink.item(Item {
            key: Key::project(Dataset::DeliveryTasks, self.reference(task.project)),
            id: Cow::Owned(format!("{delivery}\0{task_id}")),
            raw: Cow::Owned(raw.into_bytes()),
            origin: self.at(element),
        });
    }

    /// A reject of an earlier run: its text is opened as if it had just come.
    fn reopen(self, head: &Head<'a>, sink: &mut dyn Sink<'a>) {
        let text = self.string(head.raw).map(|text| text.as_bytes().to_vec());
        let decoded = || {
            base64::engine::general_purpose::STANDARD
                .decode(self.string(head.raw_base64)?)
                .ok()
        };
        let problem = match (text.or_else(decoded), self.value(head.raw_is_cut)) {
            (Some(raw), Ok(Value::Boolean(false) | Value::Null)) => {
                let inner = Scope {
                    record: self.arena.alloc_slice_copy(&raw),
                    ..self
                };
                // A reject of a reject would nest its texts: it is opened once.
                match Head::of(inner.record, self.arena) {
                    Some(head) if head.taskloom_reject.is_some() => {
                        Problem::here("expected a task, found a reject inside a reject")
                    }
                    _ => return inner.open(sink),
                }
            }
            (Some(_), _) => Problem::here(
                "expected the whole text, found a beginning cut at 1 MiB: flatten the original input again",
            ),
            (None, _) => Problem::here("expected `raw` or `raw_base64` in a reject, found neither"),
        };
        self.reject(self.record, problem, sink);
    }
}

/// The array of a page.
#[derive(Clone, Copy)]
struct Listing<'a> {
    name: &'static str,
    dataset: Dataset,
    array: &'a [u8],
}

/// The members of an object that tell what it is and where it belongs, as pieces of its text.
#[derive(Default)]
struct Head<'a> {
    task_id: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    project: Option<&'a [u8]>,
    batch: Option<&'a [u8]>,
    delivery: Option<&'a [u8]>,
    created_at: Option<&'a [u8]>,
    completed_at: Option<&'a [u8]>,
    tasks: Option<&'a [u8]>,
    projects: Option<&'a [u8]>,
    batches: Option<&'a [u8]>,
    deliveries: Option<&'a [u8]>,
    taskloom_reject: Option<&'a [u8]>,
    raw: Option<&'a [u8]>,
    raw_base64: Option<&'a [u8]>,
    raw_is_cut: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// Of duplicate keys the last counts, as everywhere. `None` where this is no object or its brackets don't match.
    fn of(object: &'a [u8], arena: &'a Bump) -> Option<Head<'a>> {
        let mut head = Head::default();
        for (key, value) in scan::members(object)? {
            let slot = match plain_key(key, arena)? {
                "task_id" => &mut head.task_id,
                "id" => &mut head.id,
                "project" => &mut head.project,
                "batch" => &mut head.batch,
                "delivery" => &mut head.delivery,
                "created_at" => &mut head.created_at,
                "completed_at" => &mut head.completed_at,
                "tasks" => &mut head.tasks,
                "projects" => &mut head.projects,
                "batches" => &mut head.batches,
                "deliveries" => &mut head.deliveries,
                "taskloom_reject" => &mut head.taskloom_reject,
                "raw" => &mut head.raw,
                "raw_base64" => &mut head.raw_base64,
                "raw_is_cut" => &mut head.raw_is_cut,
                _ => continue,
            };
            *slot = Some(value);
        }
        Some(head)
    }

    fn listing(&self) -> Option<Listing<'a>> {
        let listings = [
            ("tasks", Dataset::Tasks, self.tasks),
            ("batches", Dataset::Batches, self.batches),
            ("deliveries", Dataset::Deliveries, self.deliveries),
            ("projects", Dataset::Projects, self.projects),
        ];
        let found = listings.into_iter().find_map(|(name, dataset, array)| {
            Some(Listing {
                name,
                dataset,
                array: array?,
            })
        });
        found.filter(|listing| self.id.is_none() || listing.dataset == Dataset::Tasks)
    }
}

fn plain_key<'a>(quoted: &'a [u8], arena: &'a Bump) -> Option<&'a str> {
    if !quoted.contains(&b'\\') {
        return std::str::from_utf8(quoted.get(1..quoted.len().checked_sub(1)?)?).ok();
    }
    match deep_parse(quoted, arena).ok()?.root {
        Value::String(key) => Some(key),
        _ => None,
    }
}
