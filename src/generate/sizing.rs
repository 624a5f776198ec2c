//! How many turns a task has and how long its texts are, so that a task has the asked size on average.

use super::rng::Rng;

/// Bytes of a turn with texts of the usual length, measured over 20,000 tasks; half of it is text.
const TURN_BYTES: u64 = 6_490;

/// The mean number of turns beyond which texts grow instead of conversations.
const MOST_MEAN_TURNS: u64 = 12;

/// The turns no task exceeds.
const MOST_TURNS: u32 = 60;

/// What the size of a task is made of.
#[derive(Clone, Copy)]
pub(super) struct Sizing {
    /// The chance that another turn follows, of 1,000.
    another_turn_per_mille: u32,
    /// The mean length of a prompt.
    pub(super) prompt_bytes: u32,
    /// The mean length of an answer.
    pub(super) answer_bytes: u32,
}

impl Sizing {
    /// The sizes for tasks of about `task_bytes`.
    pub(super) fn new(task_bytes: u64) -> Self {
        let mean_turns_per_mille =
            (task_bytes.saturating_mul(1_000) / TURN_BYTES).clamp(1_000, MOST_MEAN_TURNS * 1_000);
        let turn_bytes = task_bytes.saturating_mul(1_000) / mean_turns_per_mille;
        // Whatever is not text keeps its size, so text takes up the whole difference.
        let text_percent = (turn_bytes.saturating_mul(200) / TURN_BYTES).saturating_sub(100).clamp(5, 1_000_000);
        let text_percent = u32::try_from(text_percent).unwrap_or(u32::MAX);
        Self {
            another_turn_per_mille: 1_000 - u32::try_from(1_000_000 / mean_turns_per_mille).unwrap_or(1_000),
            prompt_bytes: 3 * text_percent,
            answer_bytes: 11 * text_percent + text_percent / 2,
        }
    }

    /// A number of turns, from 1: many tasks have one, a few have dozens.
    pub(super) fn turns(self, rng: &mut Rng) -> u32 {
        let mut turns = 1;
        while turns < MOST_TURNS && rng.chance(self.another_turn_per_mille) {
            turns += 1;
        }
        turns
    }
}
