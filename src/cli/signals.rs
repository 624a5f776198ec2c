//! Ctrl-C, and its like from a scheduler.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::progress::Progress;

/// From now on a first signal asks the run to stop and a second one ends the process at once. What it then leaves is
/// swept by the next run.
pub(super) fn watch(progress: &Arc<Progress>) {
    // Without the watch a signal ends the process at once, which loses nothing either.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    let progress = Arc::clone(progress);
    std::thread::spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            progress.stop(signal);
            if io::stderr().is_terminal() {
                let _ = writeln!(io::stderr(), "\nstopping; once more stops at once");
            }
        }
    });
}

/// The signals that end a server. `None` where they can't be watched: then the first one ends the process.
#[cfg(feature = "simulate")]
pub(super) fn end() -> Option<Signals> {
    Signals::new([SIGINT, SIGTERM]).ok()
}
