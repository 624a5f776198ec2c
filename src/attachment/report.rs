//! What became of the attachments of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Failure, Outcome};

/// The attachments of a run, as its report tells of them. One that several tasks have is counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttachmentReport {
    /// Contents that were fetched.
    pub fetched: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Contents that an earlier run, which ended early, had fetched.
    pub resumed: u64,
    /// Contents that stood in the tasks in base64.
    pub from_tasks: u64,
    /// Their bytes.
    pub from_tasks_bytes: u64,
    /// Contents that the lake has not, by the reason, as the column `content_state` has it.
    pub failed: BTreeMap<&'static str, u64>,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// A content that could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Where it is said to lie, without a query.
    pub address: String,
    /// The reason, in a word.
    pub state: &'static str,
    /// The reason.
    pub reason: String,
}

/// Of each reason so many are told.
const EXAMPLES: usize = 3;

impl AttachmentReport {
    /// How many contents came into the lake.
    pub fn kept(&self) -> u64 {
        self.fetched + self.resumed + self.from_tasks
    }

    /// How many did not.
    pub fn not_kept(&self) -> u64 {
        self.failed.values().sum()
    }

    /// One that could not be fetched is tried by another address.
    pub(super) fn forget(&mut self, outcome: &Option<Outcome>) {
        if let Some(Outcome::Failed(failure)) = outcome
            && let Some(count) = self.failed.get_mut(failure.word())
        {
            *count = count.saturating_sub(1);
        }
        self.failed.retain(|_, count| *count > 0);
    }

    /// Notes one that could not be fetched.
    pub(super) fn note(&mut self, failure: Failure, address: String, reason: String) {
        let count = self.failed.entry(failure.word()).or_default();
        *count += 1;
        let told = self.examples.iter().filter(|example| example.state == failure.word()).count();
        if told < EXAMPLES {
            self.examples.push(Example { address, state: failure.word(), reason });
        }
    }
}
