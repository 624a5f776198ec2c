//! What every part of a task is written with: the JSON writer, the random numbers, the text, and the task's manner.

use super::grammar::Symbol;
use super::json::Json;
use super::plan::{Detail, Plan};
use super::rng::Rng;
use super::text::TextWriter;
use super::time::{TimeStyle, timestamp};

/// Writes one task at a time.
pub(super) struct Pen {
    pub(super) json: Json,
    pub(super) rng: Rng,
    pub(super) text: TextWriter,
    pub(super) detail: Detail,
    pub(super) nested_choices: bool,
    pub(super) whole_criteria: bool,
    time_style: TimeStyle,
}

impl Pen {
    /// A pen with an empty buffer of `capacity_bytes`.
    pub(super) fn with_capacity(capacity_bytes: usize) -> Self {
        Self {
            json: Json::with_capacity(capacity_bytes),
            rng: Rng::new(0),
            text: TextWriter::new(),
            detail: Detail::Full,
            nested_choices: false,
            whole_criteria: false,
            time_style: TimeStyle::Utc,
        }
    }

    /// Takes on the manner of the next task.
    pub(super) fn begin_task(&mut self, plan: &Plan) {
        self.text.choose_topic(&mut self.rng);
        self.detail = plan.detail;
        self.nested_choices = plan.traits.nested_choices;
        self.whole_criteria = plan.traits.whole_criteria;
        self.time_style = plan.time_style;
    }

    /// A key with a timestamp.
    pub(super) fn time_field(&mut self, key: &str, instant_ms: u64) {
        self.json.string_field(key, &timestamp(instant_ms, self.time_style));
    }

    /// A string value: a note of a labeller, of `mean_bytes` on average.
    pub(super) fn note(&mut self, mean_bytes: u32) {
        let bytes = self.rng.skewed(mean_bytes) as usize;
        self.text.note(&mut self.rng, bytes);
        self.json.string(self.text.text());
    }

    /// A string value: an answer-like text of `mean_bytes` on average.
    pub(super) fn answer(&mut self, mean_bytes: u32) {
        let bytes = self.rng.skewed(mean_bytes) as usize + 60;
        self.text.answer(&mut self.rng, bytes);
        self.json.string(self.text.text());
    }

    /// A string value: a prompt of `mean_bytes` on average.
    pub(super) fn prompt(&mut self, mean_bytes: u32) {
        let bytes = self.rng.skewed(mean_bytes) as usize;
        self.text.prompt(&mut self.rng, bytes);
        self.json.string(self.text.text());
    }

    /// A string value: instructions of a system in a few sentences.
    pub(super) fn remark(&mut self) {
        self.text.remark(&mut self.rng);
        self.json.string(self.text.text());
    }

    /// A string value: one text of the symbol.
    pub(super) fn single(&mut self, symbol: Symbol) {
        self.text.single(&mut self.rng, symbol);
        self.json.string(self.text.text());
    }

    /// A string value: a word of the topic.
    pub(super) fn topic_noun(&mut self) {
        self.json.string(self.text.topic_noun(&mut self.rng));
    }

    /// A string value: random bytes in base64; `bytes` is rounded down to groups of three, which need no padding.
    pub(super) fn base64(&mut self, bytes: u32) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = (0..bytes / 3 * 4).map(|_| char::from(self.rng.pick(ALPHABET)));
        let content: String = digits.collect();
        self.json.string(&content);
    }
}
