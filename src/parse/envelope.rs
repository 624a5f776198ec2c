//! Opens a record: a task, a saved page of the API, or a reject of an earlier run. Reads no more of it than the way to its
//! partition needs; the whole is parsed when its part is built.

use std::borrow::Cow;
use std::cell::Cell;

use base64::Engine;
use bumpalo::Bump;

use super::head::Head;
use super::reject::{Origin, Problem, Reject};
use crate::json::scan;
use crate::json::tree::Document;
use crate::json::{self, Value};
use crate::partition::{Key, Layout};
use crate::table::Dataset;
use crate::time::read_instant;

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
pub fn tree_of<'a>(raw: &'a [u8], arena: &'a Bump) -> Result<Document<'a>, Problem> {
    let text = simdutf8::compat::from_utf8(raw).map_err(|error| {
        Problem::here(format!("expected UTF-8, found another byte at {} of the text", error.valid_up_to()))
    })?;
    json::read(text, MAX_DEPTH, arena).map_err(|error| {
        let reason = error.to_string();
        Problem { path: error.path, reason }
    })
}

/// Opens the records of a block. What it finds borrows from the block and from the opener.
#[derive(Debug, Default)]
pub struct Opener {
    layout: Layout,
    arena: Bump,
    /// Byte and line that were last counted in the record that is open.
    counted: Cell<(usize, u64)>,
}

impl Opener {
    /// Will place tasks by this layout.
    pub fn new(layout: Layout) -> Opener {
        Opener { layout, ..Opener::default() }
    }

    /// Opens one record and hands what it holds to the sink.
    pub fn open<'a>(&'a self, record: &'a [u8], origin: Origin, sink: &mut dyn Sink<'a>) {
        self.counted.set((0, origin.line));
        let scope = Scope { layout: self.layout, arena: &self.arena, counted: &self.counted, record, origin };
        scope.open(record, 0, sink);
    }
}

/// The identity of a membership: no two pairs share one, and they come in the order of their deliveries, and in each of its tasks.
pub fn membership_id(delivery_id: &str, task_id: &str) -> String {
    // What ends the first comes before whatever it may go on with.
    format!("{}\0\0{task_id}", delivery_id.replace('\0', "\0\u{1}"))
}

/// That a task came with a delivery.
#[derive(Clone, Copy)]
struct Membership<'m, 'a> {
    delivery: &'m str,
    task_id: &'m str,
    project: Option<&'a [u8]>,
    /// What else is told of it: members of an object, each with a comma before it.
    rest: &'m [u8],
}

/// The members of an entry of the listing of delivered tasks that stand nowhere else, each with a comma before it. In an export the
/// tasks themselves come too, with when they were created and with their threads. `None` where the entry is no object.
fn rest_of_delivered(entry: &[u8], is_of_export: bool) -> Option<Vec<u8>> {
    let mut rest = Vec::new();
    for (key, value) in scan::members(entry)? {
        match key {
            b"\"delivery_id\"" | b"\"task_id\"" => {}
            b"\"created_at\"" if is_of_export => {}
            _ if value == b"null" => {}
            b"\"response\"" if is_of_export => {
                let Some(members) = scan::members(value) else {
                    push_member(key, value, &mut rest);
                    continue;
                };
                let mut own = Vec::new();
                let others = members.into_iter().filter(|(key, _)| *key != b"\"threads\"");
                others.for_each(|(key, value)| push_member(key, value, &mut own));
                if let Some((_, members)) = own.split_first() {
                    push_member(key, &[b"{", members, b"}"].concat(), &mut rest);
                }
            }
            _ => push_member(key, value, &mut rest),
        }
    }
    Some(rest)
}

fn push_member(key: &[u8], value: &[u8], to: &mut Vec<u8>) {
    [b",", key, b":", value].into_iter().for_each(|piece| to.extend_from_slice(piece));
}

fn is_absent(piece: Option<&[u8]>) -> bool {
    piece.is_none_or(|piece| piece == b"null")
}

/// One record that is being opened.
#[derive(Clone, Copy)]
struct Scope<'a> {
    layout: Layout,
    arena: &'a Bump,
    counted: &'a Cell<(usize, u64)>,
    record: &'a [u8],
    origin: Origin,
}

impl<'a> Scope<'a> {
    /// Opens an object, or the objects of arrays, which may lie in each other down to the depth that tasks may have.
    fn open(self, object: &'a [u8], depth: usize, sink: &mut dyn Sink<'a>) {
        if let Some(elements) = scan::elements(object).filter(|_| depth < MAX_DEPTH) {
            return elements.into_iter().for_each(|element| self.open(element, depth + 1, sink));
        }
        let Some(head) = Head::of_record(object, self.arena) else {
            return self.reject(object, self.problem_of(object), sink);
        };
        if head.taskloom_reject.is_some() {
            self.reopen(object, &head, sink);
        } else if head.task_id.is_some() {
            let _ = self.task(object, &head, sink);
        } else if head.is_page() {
            self.page(object, head, sink);
        } else {
            let problem =
                Problem::here("expected a task with a `task_id` or a page with `tasks`, found an object with neither");
            self.reject(object, problem, sink);
        }
    }

    fn problem_of(self, piece: &[u8]) -> Problem {
        if piece.is_empty() {
            return Problem::here("expected `]`, found the end of the input: the array was cut off");
        }
        match tree_of(piece, self.arena) {
            Err(problem) => problem,
            Ok(document) => Problem::here(format!("expected a task object, found {}", document.root.kind())),
        }
    }

    /// Where a piece of the record begins. Pieces are asked for nearly in their order, so lines are counted from the last one.
    fn at(self, piece: &[u8]) -> Origin {
        let offset = (piece.as_ptr() as usize).saturating_sub(self.record.as_ptr() as usize);
        let (counted, line) = self.counted.get();
        let between = self.record.get(counted.min(offset)..counted.max(offset)).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', between).count() as u64;
        let line = if counted <= offset { line + lines } else { line - lines };
        self.counted.set((offset, line));
        Origin { input: self.origin.input, line, byte: self.origin.byte + offset as u64 }
    }

    fn reject(self, piece: &[u8], problem: Problem, sink: &mut dyn Sink<'a>) {
        sink.reject(Reject::new(self.at(piece), problem, piece, piece.len() as u64));
    }

    /// True where the task has a place to go.
    fn task(self, task: &'a [u8], head: &Head<'a>, sink: &mut dyn Sink<'a>) -> bool {
        let project = self.reference(head.project);
        let batch = self.reference(head.batch);
        match self.task_key(head, project, batch) {
            Ok((task_id, key)) => {
                self.expanded(Dataset::Projects, head.project, project, sink);
                self.expanded(Dataset::Batches, head.batch, project, sink);
                sink.item(Item { key, id: Cow::Borrowed(task_id), raw: Cow::Borrowed(task), origin: self.at(task) });
                true
            }
            Err(problem) => {
                let reject = Reject::new(self.at(task), problem, task, task.len() as u64);
                sink.reject(reject.of_task(self.string(head.task_id), project, batch));
                false
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
        let created_at = self.instant(head.created_at).map_err(|problem| problem.inside(".created_at"))?;
        let completed_at = self.instant(head.completed_at).map_err(|problem| problem.inside(".completed_at"))?;
        Ok((task_id, Key::task(project, batch, self.layout.date(created_at, completed_at))))
    }

    fn value(self, piece: Option<&'a [u8]>) -> Result<Value<'a>, Problem> {
        piece.map_or(Ok(Value::Null), |piece| tree_of(piece, self.arena).map(|document| document.root))
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
            Value::String(text) => read_instant(text).map(Some).ok_or_else(|| {
                Problem::here(format!("{expected}, found \"{}\"", text.escape_debug().take(64).collect::<String>()))
            }),
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
        if let Some(piece) = piece.filter(|piece| piece.starts_with(b"{")) {
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
        tree_of(object, self.arena)?;
        let head = Head::of(object, self.arena).ok_or_else(|| Problem::here("expected an object"))?;
        let id = self.string(head.id).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Problem::here("expected a string as `id`").inside(".id"))?;
        let is_project = dataset == Dataset::Projects;
        let own_project = if is_project { Some(id) } else { self.reference(head.project).or(project) };
        if !is_project {
            self.expanded(Dataset::Projects, head.project, None, sink);
        }
        let key = Key::project(dataset, own_project);
        sink.item(Item { key, id: Cow::Borrowed(id), raw: Cow::Borrowed(object), origin: self.at(object) });
        Ok(())
    }

    fn page(self, page: &'a [u8], head: Head<'a>, sink: &mut dyn Sink<'a>) {
        let delivery = self.reference(head.delivery);
        let read = match head.delivery {
            Some(object) if object.starts_with(b"{") => self.dimension(Dataset::Deliveries, object, None, sink),
            Some(other) if delivery.is_none() && other != b"null" => {
                Err(Problem::here("expected an id or an object with one, found something else"))
            }
            _ => Ok(()),
        };
        if let Err(problem) = read {
            self.reject(page, problem.inside(".delivery"), sink);
        }
        let listings = [
            ("tasks", Dataset::Tasks, head.tasks),
            ("batches", Dataset::Batches, head.batches),
            ("deliveries", Dataset::Deliveries, head.deliveries),
            ("projects", Dataset::Projects, head.projects),
            ("docs", Dataset::DeliveryTasks, head.docs),
        ];
        for (name, dataset, list) in listings {
            let Some(list) = list.filter(|list| list.text != b"null") else {
                continue;
            };
            let Some(elements) = list.elements else {
                let found = tree_of(list.text, self.arena).map_or("broken JSON", |document| document.root.kind());
                let problem = Problem::here(format!("expected an array, found {found}"));
                self.reject(page, problem.inside(&json::tree::path_key(name)), sink);
                continue;
            };
            for (element, own) in elements {
                match dataset {
                    Dataset::Tasks => self.listed_task(element, own, delivery, sink),
                    Dataset::DeliveryTasks => self.doc(element, own, head.project, delivery, sink),
                    _ => self.listed(dataset, element, sink),
                }
            }
        }
    }

    fn listed(self, dataset: Dataset, element: &'a [u8], sink: &mut dyn Sink<'a>) {
        if let Err(problem) = self.dimension(dataset, element, None, sink) {
            self.reject(element, problem, sink);
        }
    }

    fn listed_task(self, element: &'a [u8], head: Option<Head<'a>>, delivery: Option<&str>, sink: &mut dyn Sink<'a>) {
        let Some(task) = head else {
            return self.reject(element, self.problem_of(element), sink);
        };
        if self.task(element, &task, sink)
            && let (Some(delivery), Some(task_id)) = (delivery, self.string(task.task_id))
        {
            self.membership(&Membership { delivery, task_id, project: task.project, rest: &[] }, element, sink);
        }
    }

    /// An entry of `docs`: in Scale's older API a task, and in the listing of delivered tasks a task of a delivery, told by its
    /// `delivery_id`. An export names the project `of` such a listing.
    fn doc(
        self,
        element: &'a [u8],
        entry: Option<Head<'a>>,
        of: Option<&'a [u8]>,
        delivery: Option<&str>,
        sink: &mut dyn Sink<'a>,
    ) {
        let Some(entry) = entry else {
            return self.reject(element, self.problem_of(element), sink);
        };
        if entry.delivery_id.is_none() && entry.task_id.is_some() && of.is_none() {
            return self.listed_task(element, Some(entry), delivery, sink);
        }
        let Some(rest) = rest_of_delivered(element, of.is_some()) else {
            return self.reject(element, self.problem_of(element), sink);
        };
        let delivered = self.string(entry.delivery_id).filter(|id| !id.is_empty());
        match (delivered, self.string(entry.task_id).filter(|id| !id.is_empty())) {
            (Some(delivery), Some(task_id)) => {
                self.membership(&Membership { delivery, task_id, project: of, rest: &rest }, element, sink);
            }
            // Not delivered yet. The task itself comes with the export's listing of tasks.
            (None, Some(_)) if of.is_some() && is_absent(entry.delivery_id) && rest.is_empty() => {}
            _ => {
                let problem = Problem::here("expected an object with a `delivery_id` and a `task_id`, both strings");
                self.reject(element, problem, sink);
            }
        }
    }

    fn membership(self, membership: &Membership<'_, 'a>, element: &[u8], sink: &mut dyn Sink<'a>) {
        let Membership { delivery, task_id, project, rest } = *membership;
        let mut raw = String::from("{\"delivery_id\":");
        json::text::write_string(delivery, &mut raw);
        raw.push_str(",\"task_id\":");
        json::text::write_string(task_id, &mut raw);
        let raw = [raw.as_bytes(), rest, b"}"].concat();
        sink.item(Item {
            key: Key::project(Dataset::DeliveryTasks, self.reference(project)),
            id: Cow::Owned(membership_id(delivery, task_id)),
            raw: Cow::Owned(raw),
            origin: self.at(element),
        });
    }

    /// A reject of an earlier run: its text is opened as if it had just come.
    fn reopen(self, reject: &'a [u8], head: &Head<'a>, sink: &mut dyn Sink<'a>) {
        let text = self.string(head.raw).map(|text| text.as_bytes().to_vec());
        let decoded = || base64::engine::general_purpose::STANDARD.decode(self.string(head.raw_base64)?).ok();
        let expected = match (text.or_else(decoded), self.value(head.raw_is_cut)) {
            (Some(raw), Ok(Value::Boolean(false) | Value::Null)) => {
                let record: &'a [u8] = self.arena.alloc_slice_copy(&raw);
                let is_reject = Head::of(record, self.arena).is_some_and(|head| head.taskloom_reject.is_some());
                if !is_reject {
                    self.counted.set((0, self.origin.line));
                    return Scope { record, ..self }.open(record, 0, sink);
                }
                "a task, found a reject inside a reject"
            }
            (Some(_), _) => "the whole text, found a part of it: flatten the original input again",
            (None, _) => "`raw` or `raw_base64` in a reject, found neither",
        };
        self.reject(reject, Problem::here(format!("expected {expected}")), sink);
    }
}
