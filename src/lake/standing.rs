//! How a lake stands, for whoever looks after it.

use super::Lake;
use super::running::Neighbours;
use super::state::State;
use crate::error::Result;

/// What is under way in a lake, and what was left.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The newest version.
    pub state: State,
    /// The newest that all readers can see.
    pub published_version: u64,
    /// Whether something is left of a history that was erased.
    pub is_being_erased: bool,
    /// Runs that write, or seem to.
    pub running: Vec<String>,
    /// Runs that died and left something.
    pub dead: Vec<String>,
    /// The reports of the newest runs, and what is left of those that failed, the newest first, as JSON.
    pub reports: Vec<serde_json::Value>,
}

/// The folder of the reports.
const RUNS: &str = "_taskloom/runs";

/// Reports that are looked at: jobs run as often as the most frequent of them, or they are not told of.
const REPORTS: usize = 100;

impl Lake {
    /// Looks how it stands. Changes nothing.
    pub fn standing(&self) -> Result<Standing> {
        let neighbours = Neighbours::of(self)?;
        let state = self.state()?;
        let mut reports = Vec::new();
        for path in self.store().paths(RUNS)?.into_iter().rev().take(REPORTS) {
            let report = self.store().get(&path)?.and_then(|json| serde_json::from_slice(&json).ok());
            reports.extend(report);
        }
        Ok(Standing {
            published_version: self.published()?,
            is_being_erased: self.is_being_erased(&state)?,
            running: neighbours.alive().iter().cloned().collect(),
            dead: neighbours.dead().iter().cloned().collect(),
            reports,
            state,
        })
    }
}
