//! What could not be read: where it stood, why, and the text itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::json::redact;

/// Where a record or a task begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Position of the input among the inputs of the run.
    pub input: u32,
    /// Line, from 1.
    pub line: u64,
    /// Byte of the decompressed input.
    pub byte: u64,
}

/// Why a task can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON path below the task, such as `.threads[0].turns`.
    pub path: String,
    /// What was expected and what was found.
    pub reason: String,
}

impl Problem {
    /// A problem at this place.
    pub fn here(reason: impl Into<String>) -> Problem {
        Problem { path: String::new(), reason: reason.into() }
    }

    /// The same problem, seen from one step further out.
    pub fn inside(mut self, step: &str) -> Problem {
        self.path.insert_str(0, step);
        self
    }
}

/// Bytes of raw text that a reject keeps.
const KEPT_RAW_BYTES: usize = 1024 * 1024;

/// A record or a task that was set aside. As JSON it is one line of a reject file, which `flatten` takes as input again.
#[derive(Clone, Debug, Serialize)]
pub struct Reject {
    /// Tells a reject from a task; the version of this shape.
    #[serde(rename = "taskloom_reject")]
    version: u8,
    /// The input, and where the text begins in it.
    #[serde(skip)]
    pub origin: Origin,
    /// Id of the task, where it could be read.
    pub task_id: Option<String>,
    /// Id of the project, where it could be read.
    pub project: Option<String>,
    /// Id of the batch, where it could be read.
    pub batch: Option<String>,
    /// JSON path of what is wrong.
    pub path: String,
    /// What was expected and what was found.
    pub reason: String,
    /// The text, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    /// The same in base64, where it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
    /// Byte of the decompressed input at which the text begins.
    raw_offset: u64,
    /// Length of the whole text in bytes, also where only its beginning is kept.
    raw_length: u64,
    /// Whether only the beginning is kept: because the text is long, or because it is broken and may hold a secret.
    raw_is_cut: bool,
}

impl Reject {
    /// Sets a text aside. `length` is that of the whole text, of which `raw` may be the beginning.
    pub fn new(origin: Origin, problem: Problem, raw: &[u8], length: u64) -> Reject {
        let beginning = raw.get(..KEPT_RAW_BYTES).unwrap_or(raw);
        let is_cut = (beginning.len() as u64) < length;
        let beginning = if is_cut { at_boundary(beginning) } else { beginning };
        let (redacted, is_hidden) = redact(beginning);
        let text = std::str::from_utf8(&redacted).ok().map(str::to_owned);
        let base64 = text.is_none().then(|| BASE64.encode(&redacted));
        Reject {
            version: 1,
            origin,
            task_id: None,
            project: None,
            batch: None,
            path: shortened(format!("${}", problem.path)),
            reason: problem.reason,
            raw: text,
            raw_base64: base64,
            raw_offset: origin.byte,
            raw_length: length,
            raw_is_cut: is_cut || is_hidden,
        }
    }

    /// Says which task it is.
    pub fn of_task(mut self, task_id: Option<&str>, project: Option<&str>, batch: Option<&str>) -> Reject {
        self.task_id = task_id.map(str::to_owned);
        self.project = project.map(str::to_owned);
        self.batch = batch.map(str::to_owned);
        self
    }

    /// With another text, or none.
    pub(super) fn with_text(mut self, text: impl FnOnce(&str) -> Option<String>) -> Reject {
        if let Some(raw) = &self.raw {
            self.raw = text(raw);
            self.raw_is_cut |= self.raw.is_none();
        } else if let Some(raw) = self.raw_base64.as_ref().and_then(|raw| BASE64.decode(raw).ok()) {
            let raw = String::from_utf8_lossy(&raw);
            if text(&raw).as_deref() != Some(&*raw) {
                (self.raw_base64, self.raw_is_cut) = (None, true);
            }
        }
        self
    }

    /// One line of a reject file, without its line end.
    pub fn to_line(&self, input: &str) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            file: &'a str,
            line: u64,
            byte: u64,
            #[serde(flatten)]
            reject: &'a Reject,
        }
        serde_json::to_string(&Line { file: input, line: self.origin.line, byte: self.origin.byte, reject: self })
    }
}

/// A path of many levels says no more than its beginning does.
fn shortened(path: String) -> String {
    match path.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", path.get(..end).unwrap_or_default()),
        None => path,
    }
}

/// Cuts a torn last character off.
fn at_boundary(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
        _ => bytes,
    }
}
