//! How far scheduled jobs have come: in the commit records, so that it is never apart from the data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::State;
use crate::error::{Error, Result};
use crate::time::{read_instant, write_instant};

/// How far a job has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What it asks for, without times, and of which account.
    pub asked: Value,
    /// Every task that was completed before this instant has been asked for. Absent until one was completed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub watermark: Option<String>,
    /// When the walk began that went over all that the job asks for, the last time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub walked_at: Option<String>,
}

impl State {
    /// How far a job has come that asks for this; `None` where it has not begun, or asked for something else.
    pub fn checkpoint(&self, job: &str, asked: &Value) -> Option<Checkpoint> {
        let checkpoint = serde_json::from_value::<Checkpoint>(self.checkpoints.get(job)?.clone());
        checkpoint.ok().filter(|checkpoint| checkpoint.asked == *asked)
    }
}

impl Checkpoint {
    /// What it has come to by a fetch that began at an instant and brought tasks of which the latest was completed then. The clock of this
    /// machine alone moves no watermark, and what the data say moves it no further than that clock.
    pub fn moved(mut self, began_at: i64, latest: Option<i64>, is_whole: bool) -> Checkpoint {
        let earlier = self.watermark();
        let reached = latest.map(|latest| latest.min(began_at)).max(earlier);
        self.watermark = reached.and_then(write_instant);
        if is_whole {
            self.walked_at = write_instant(began_at).or(self.walked_at);
        }
        self
    }

    /// The watermark in microseconds.
    pub fn watermark(&self) -> Option<i64> {
        self.watermark.as_deref().and_then(read_instant)
    }

    /// As a record has it.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|source| Error::Json { action: "write a checkpoint", source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_is_moved_by_what_came_and_never_back_nor_beyond_the_fetch() {
        let at = |watermark: Option<i64>| Checkpoint {
            watermark: watermark.and_then(write_instant),
            ..Checkpoint::default()
        };
        for (watermark, latest, reached) in [
            (None, None, None),
            (None, Some(5), Some(5)),
            (Some(3), None, Some(3)),
            (Some(3), Some(5), Some(5)),
            (Some(5), Some(3), Some(5)),
            // A clock that is wrong, here or there.
            (Some(3), Some(99), Some(10)),
            (Some(20), Some(15), Some(20)),
        ] {
            let moved = at(watermark).moved(10, latest, false);
            assert_eq!((moved.watermark(), moved.walked_at), (reached, None), "{watermark:?} {latest:?}");
        }
        assert_eq!(at(None).moved(10, None, true).walked_at, write_instant(10));
    }
}
