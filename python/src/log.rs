//! What the core tells as it works, for Python's `logging`: gathered by the threads that work, and passed on by the one that waits for them,
//! so that nobody waits for the interpreter's lock.

use std::fmt::Write;
use std::sync::OnceLock;

use crossbeam_channel::{Receiver, Sender, bounded};
use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// Lines that wait: a run that says more meanwhile is not held up by it.
const HELD: usize = 1024;

/// A level of Python's, and a line.
type Said = (u8, String);

static SAID: OnceLock<(Sender<Said>, Receiver<Said>)> = OnceLock::new();

fn said() -> &'static (Sender<Said>, Receiver<Said>) {
    SAID.get_or_init(|| bounded(HELD))
}

/// From now on what the core says is gathered.
pub(crate) fn begin() {
    // Another one may be there, of another module in this process.
    let _ = tracing::subscriber::set_global_default(registry().with(Gathering));
}

/// Passes on what was said.
pub(crate) fn pass_on(py: Python<'_>) {
    let (_, said) = said();
    if said.is_empty() {
        return;
    }
    // That it can't be told is no reason to fail.
    let Ok(logger) = py.import("logging").and_then(|logging| logging.call_method1("getLogger", ("taskloom",))) else {
        return;
    };
    for (level, line) in said.try_iter() {
        let _ = logger.call_method1("log", (level, "%s", line));
    }
}

struct Gathering;

impl<S: Subscriber> Layer<S> for Gathering {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            // Too many for a language with a lock.
            _ => return,
        };
        if !event.metadata().target().starts_with("taskloom") {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let _ = said().0.try_send((level, line.message + &line.fields));
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
