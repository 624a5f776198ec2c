//! What a training set is to hold, and how it is laid out.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::judged::Better;

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Supervised fine-tuning: conversations.
    Sft,
    /// Direct preference optimisation: pairs of answers.
    Dpo,
    /// A reward model: pairs of answers.
    Reward,
    /// Kahneman-Tversky optimisation: answers that are good or not.
    Kto,
    /// Group relative policy optimisation: prompts, with what answers are held against.
    Grpo,
}

/// Whose columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Hugging Face TRL.
    #[default]
    Trl,
    /// Axolotl.
    Axolotl,
    /// LLaMA-Factory.
    #[cfg_attr(feature = "cli", value(name = "llamafactory"))]
    LlamaFactory,
    /// Fine-tuning at OpenAI.
    #[cfg_attr(feature = "cli", value(name = "openai"))]
    OpenAi,
}

/// How repeated judgements become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// All must say the same.
    Unanimous,
    /// More say so than say the opposite.
    #[default]
    Majority,
    /// Their mean says so.
    Mean,
    /// None do: each judgement is a row.
    All,
}

/// Which turns of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Turns {
    /// Each.
    #[default]
    All,
    /// The last one that has an answer.
    Last,
}

/// What is done with reasoning steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Reasoning {
    /// They stand beside the text of their message, as `reasoning_content`.
    Keep,
    /// They are left out.
    #[default]
    Drop,
}

/// What stands on one side of the split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// Conversations with the same first message of a user.
    #[default]
    Prompt,
    /// Conversations of a task.
    Task,
    /// Tasks with the same value under this key of their metadata.
    Metadata(String),
}

/// A key whose judgements count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct By {
    /// The key of annotations, or [`By::RUBRIC`].
    pub key: String,
    /// How much it counts beside other keys; a negative one turns it round.
    pub weight: f64,
}

impl By {
    /// Stands for the scores of rubrics, weighted as their criteria are.
    pub const RUBRIC: &str = "@rubric";
}

/// Which tasks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Selection {
    /// Projects, by their ids; all where there are none.
    pub projects: Vec<String>,
    /// Batches, by their ids; all where there are none.
    pub batches: Vec<String>,
    /// Statuses. Where there are none: `completed`, and tasks without one.
    pub statuses: Vec<String>,
    /// Completed at this instant or later, in microseconds.
    pub completed_from: Option<i64>,
    /// Completed before this instant, in microseconds.
    pub completed_before: Option<i64>,
    /// Tasks, by their ids.
    #[serde(serialize_with = "count_of", default)]
    pub task_ids: Option<HashSet<String>>,
    /// Whether tasks with a report of sensitive content are left out.
    pub excludes_reported: bool,
}

/// They may be many: a number tells that there were some.
fn count_of<S: serde::Serializer>(ids: &Option<HashSet<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    ids.as_ref().map(HashSet::len).serialize(serializer)
}

/// A training set that is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetOptions {
    /// What is trained.
    pub method: Method,
    /// Whose columns.
    pub target: Target,
    /// The judgements that count.
    pub by: Vec<By>,
    /// The key that tells which answer a conversation was gone on with; `None` for the choices among `by`, and then `selected_model_id`.
    pub history_by: Option<String>,
    /// The key of texts that stand in place of an answer's own.
    pub rewrite_by: Option<String>,
    /// Which values of ratings are good.
    pub better: Option<Better>,
    /// Values of a choice that mean that all answers are equal.
    pub ties: Vec<String>,
    /// How repeated judgements become one.
    pub aggregate: Aggregate,
    /// The least difference of a pair's ratings.
    pub min_margin: Option<f64>,
    /// The rating from which an answer is good.
    pub threshold: Option<f64>,
    /// Whether ratings are brought to 0 to 1 by their possible values.
    pub normalises: bool,
    /// Which tasks.
    pub selection: Selection,
    /// Models whose answers are taken; all where there are none.
    pub models: Vec<String>,
    /// Which turns.
    pub turns: Turns,
    /// What is done with reasoning steps.
    pub reasoning: Reasoning,
    /// Whether images of a conversation's first prompt are carried, where the lake has their bytes; else rows with any are left out.
    pub carries_images: bool,
    /// The least characters of a row's texts.
    pub min_chars: Option<u64>,
    /// The most characters of a row's texts.
    pub max_chars: Option<u64>,
    /// The `tokenizer.json` that tokens are counted by; the feature `tokenizer` of this crate reads it.
    pub tokenizer: Option<PathBuf>,
    /// The least tokens of a row's texts.
    pub min_tokens: Option<u64>,
    /// The most tokens of a row's texts.
    pub max_tokens: Option<u64>,
    /// The share of what stands on one side that is kept for tests.
    pub split: f64,
    /// What stands on one side.
    pub split_by: SplitBy,
    /// Whether rows of another turn with the same prompt are left out.
    pub dedupes: bool,
}

impl DatasetOptions {
    /// Everything of a kind, as TRL reads it.
    pub fn new(method: Method) -> DatasetOptions {
        DatasetOptions {
            method,
            target: Target::default(),
            by: Vec::new(),
            history_by: None,
            rewrite_by: None,
            better: None,
            ties: Vec::new(),
            aggregate: Aggregate::default(),
            min_margin: None,
            threshold: None,
            normalises: false,
            selection: Selection::default(),
            models: Vec::new(),
            turns: Turns::default(),
            reasoning: Reasoning::default(),
            carries_images: false,
            min_chars: None,
            max_chars: None,
            tokenizer: None,
            min_tokens: None,
            max_tokens: None,
            split: 0.0,
            split_by: SplitBy::default(),
            dedupes: false,
        }
    }

    /// An error where settings don't go together.
    pub fn check(&self) -> Result<()> {
        let has_pairs = matches!(self.method, Method::Dpo | Method::Reward);
        if self.by.is_empty() && (has_pairs || self.method == Method::Kto) {
            let expected = "a key of annotations that tell which answers are good: `taskloom annotations` lists them";
            return wrong("--by", expected, "none");
        }
        if let Some(by) = self.by.first().filter(|_| self.method == Method::Grpo) {
            return wrong("--by", "nothing, since prompts for grpo come without answers", &format!("`{}`", by.key));
        }
        if self.by.iter().any(|by| by.weight == 0.0 || !by.weight.is_finite()) {
            return wrong("--by", "KEY:WEIGHT with a weight that is not 0", "0");
        }
        let mut seen = HashSet::new();
        if let Some(by) = self.by.iter().find(|by| !seen.insert(&by.key)) {
            return wrong("--by", "each key once", &format!("`{}` again", by.key));
        }
        if self.normalises && self.by.iter().any(|by| by.key == By::RUBRIC) {
            return wrong("--normalise", "ratings with possible values", By::RUBRIC);
        }
        let numbers = [("--min-margin", self.min_margin), ("--threshold", self.threshold)];
        if let Some((setting, number)) =
            numbers.iter().find(|(_, number)| number.is_some_and(|number| !number.is_finite()))
        {
            return wrong(setting, "a number", &number.unwrap_or_default().to_string());
        }
        if self.normalises && self.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
            return wrong("--threshold", "a number from 0 to 1 with --normalise", "another one");
        }
        if self.min_margin.is_some() && !has_pairs {
            return wrong("--min-margin", "it with --for dpo or reward, whose rows are pairs", "another kind");
        }
        if self.threshold.is_some() && !matches!(self.method, Method::Kto | Method::Sft) {
            return wrong("--threshold", "it with --for kto or sft, whose rows are answers", "another kind");
        }
        if self.threshold.is_some() && self.by.is_empty() {
            return wrong("--by", "a key of ratings, which --threshold is held against", "none");
        }
        if self.rewrite_by.is_some() && self.method != Method::Sft {
            return wrong("--rewrite-by", "it with --for sft: pairs compare what models said", "another kind");
        }
        if self.min_tokens.or(self.max_tokens).is_some() && self.tokenizer.is_none() {
            return wrong("--tokenizer", "the tokenizer.json that tokens are counted by", "nothing");
        }
        if !(0.0..1.0).contains(&self.split) {
            return wrong("--split", "a share of rows for tests from 0 up to less than 1", &self.split.to_string());
        }
        self.target.check(self)
    }
}

impl Target {
    fn check(self, options: &DatasetOptions) -> Result<()> {
        let known: &[Method] = match self {
            Target::Trl => &[Method::Sft, Method::Dpo, Method::Reward, Method::Kto, Method::Grpo],
            Target::Axolotl => &[Method::Sft, Method::Dpo],
            Target::LlamaFactory => &[Method::Sft, Method::Dpo, Method::Reward, Method::Kto],
            Target::OpenAi => &[Method::Sft, Method::Dpo, Method::Grpo],
        };
        let words = |methods: &[Method]| methods.iter().map(|method| method.word()).collect::<Vec<_>>().join(", ");
        if !known.contains(&options.method) {
            let expected = format!("one for {}, since this one is for {}", options.method.word(), words(known));
            return wrong("--layout", &expected, self.word());
        }
        if options.carries_images && self != Target::Trl {
            return wrong("--images", "it with --layout trl alone: others have no place for their bytes", self.word());
        }
        if options.reasoning == Reasoning::Keep && self != Target::Trl {
            return wrong("--reasoning", "keep with --layout trl alone: others have no place for it", "keep");
        }
        Ok(())
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Target::Trl => "trl",
            Target::Axolotl => "axolotl",
            Target::LlamaFactory => "llamafactory",
            Target::OpenAi => "openai",
        }
    }

    /// Whether its files are lines of JSON, and not Parquet.
    pub(super) fn is_lines(self) -> bool {
        matches!(self, Target::LlamaFactory | Target::OpenAi)
    }
}

impl Method {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Method::Sft => "sft",
            Method::Dpo => "dpo",
            Method::Reward => "reward",
            Method::Kto => "kto",
            Method::Grpo => "grpo",
        }
    }
}

fn wrong<T>(setting: &'static str, expected: &str, found: &str) -> Result<T> {
    Err(Error::Usage { setting, expected: expected.to_owned(), found: found.to_owned() })
}
