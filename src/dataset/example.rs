//! The rows of a training set, and how each target calls what is in them.

use std::convert::Infallible;
use std::hash::Hasher;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use xxhash_rust::xxh3::Xxh3;

use super::options::{By, Method, Reasoning, Target};
use super::path::Line;
use super::report::Reason;
use super::votes::Verdict;

/// A message as a chat has it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChatMessage<'a> {
    pub role: &'static str,
    pub content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<&'a str>,
}

impl<'a> ChatMessage<'a> {
    /// Its texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> {
        [Some(self.content), self.reasoning_content].into_iter().flatten()
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        self.texts().map(str::len).sum()
    }
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Example<'a> {
    pub prompt: Vec<ChatMessage<'a>>,
    pub answer: Answer<'a>,
    pub source: Source<'a>,
}

/// How long the texts of a row are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// All of them.
    pub all: u64,
    /// The prompt with the longest answer.
    pub longest: u64,
}

impl Size {
    /// Whether the prompt with the longest answer is neither too short nor too long.
    pub(super) fn is_within(self, least: Option<u64>, most: Option<u64>) -> bool {
        least.is_none_or(|least| self.longest >= least) && most.is_none_or(|most| self.longest <= most)
    }
}

/// The characters of messages.
pub(super) fn chars(said: &[ChatMessage<'_>]) -> u64 {
    said.iter().flat_map(ChatMessage::texts).map(|text| text.chars().count() as u64).sum()
}

/// What stands behind the prompt.
#[derive(Clone, Debug)]
pub(super) enum Answer<'a> {
    /// An answer to learn.
    Good(ChatMessage<'a>),
    /// Two, of which the first is better.
    Pair { chosen: Vec<ChatMessage<'a>>, rejected: Vec<ChatMessage<'a>>, verdict: Verdict },
    /// One that is good or not.
    Labelled { said: ChatMessage<'a>, verdict: Verdict },
    /// What answers are held against.
    Open { references: Vec<Reference<'a>>, rubric: Vec<Criterion<'a>> },
}

/// A text that answers are held against.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Reference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// The answer that it is, unless it is something else, such as a source.
    fn answer(&self) -> Option<&'a str> {
        let says_answer = |category: &str| {
            let category = category.to_lowercase();
            category.is_empty() || category.rsplit(|c: char| !c.is_alphanumeric()).next() == Some("answer")
        };
        let is_answer = self.category.is_none_or(says_answer);
        self.content.filter(|content| is_answer && !content.is_empty())
    }
}

/// A criterion of a rubric.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Criterion<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criterion: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// Where a row comes from.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Source<'a> {
    pub task_id: &'a str,
    pub project_id: Option<&'a str>,
    pub batch_id: Option<&'a str>,
    pub thread_index: i32,
    /// `None` for whole conversations that were compared.
    pub turn_index: Option<i32>,
    pub chosen_index: Option<i32>,
    pub rejected_index: Option<i32>,
    pub chosen_model: Option<&'a str>,
    pub rejected_model: Option<&'a str>,
    #[serde(rename = "keys", serialize_with = "keys_of")]
    pub by: &'a [By],
    pub scores: Vec<Score<'a>>,
    pub justification: Option<String>,
    pub prompt_hash: String,
    pub lake_version: u64,
}

/// What a key says of the answers of a row: the mean of its ratings.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Score<'a> {
    pub key: &'a str,
    pub chosen: Option<f64>,
    pub rejected: Option<f64>,
}

fn keys_of<S: Serializer>(by: &&[By], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(by.iter().map(|by| &by.key))
}

/// How a target takes messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chat {
    pub target: Target,
    pub method: Method,
    pub reasoning: Reasoning,
}

impl Chat {
    /// A line as a message of a chat.
    pub(super) fn said<'a>(self, line: &Line<'a>) -> Result<ChatMessage<'a>, Reason> {
        let role = match line.message.role {
            // Reinforcement at OpenAI has another word for it.
            Some("system") if self.target == Target::OpenAi && self.method == Method::Grpo => "developer",
            Some("system") => "system",
            Some("user") => "user",
            Some("assistant") => "assistant",
            // Chat templates call so what a function gave back.
            Some("function" | "tool") if matches!(self.target, Target::Trl | Target::Axolotl) => "tool",
            Some("function" | "tool") => return Err(Reason::Function),
            _ => return Err(Reason::Role),
        };
        let reasoning_content = line.message.reasoning.filter(|_| self.reasoning == Reasoning::Keep);
        Ok(ChatMessage { role, content: line.text, reasoning_content })
    }

    pub(super) fn all<'a>(self, lines: &[Line<'a>]) -> Result<Vec<ChatMessage<'a>>, Reason> {
        lines.iter().map(|line| self.said(line)).collect()
    }

    /// What is wrong with a row for the target, if anything is.
    pub(super) fn check(self, example: &Example<'_>) -> Result<(), Reason> {
        if let Answer::Pair { chosen, rejected, .. } = &example.answer
            && self.target != Target::Trl
            && (chosen.len() != 1 || rejected.len() != 1)
        {
            return Err(Reason::Trajectory);
        }
        let roles = example.prompt.iter().map(|said| said.role).collect::<Vec<_>>();
        let is_fit = match self.target {
            Target::Trl | Target::Axolotl => true,
            // A system message may stand first; behind it users and assistants take turns.
            Target::LlamaFactory => {
                let turns = roles.strip_prefix(&["system"]).unwrap_or(&roles);
                let expected = ["user", "assistant"].iter().cycle();
                turns.len() % 2 == 1 && turns.iter().zip(expected).all(|(role, expected)| role == expected)
            }
            Target::OpenAi => roles.last() == Some(&"user"),
        };
        if is_fit { Ok(()) } else { Err(Reason::Order) }
    }
}

impl Example<'_> {
    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        let of = |said: &[ChatMessage<'_>]| Ok::<_, Infallible>(said.iter().map(|said| said.bytes() as u64).sum());
        let Ok(size) = self.size(of);
        size.all as usize
    }

    /// How long its texts are, in whatever they are counted.
    pub(super) fn size<E>(
        &self,
        of: impl Fn(&[ChatMessage<'_>]) -> std::result::Result<u64, E>,
    ) -> std::result::Result<Size, E> {
        let prompt = of(&self.prompt)?;
        let answers = match &self.answer {
            Answer::Good(said) | Answer::Labelled { said, .. } => [of(std::slice::from_ref(said))?, 0],
            Answer::Pair { chosen, rejected, .. } => [of(chosen)?, of(rejected)?],
            Answer::Open { .. } => [0, 0],
        };
        let [one, other] = answers;
        Ok(Size { all: prompt + one + other, longest: prompt + one.max(other) })
    }
}

/// A hash over the messages of a prompt: equal for prompts that differ in upper and lower case and in white space alone.
pub(super) fn prompt_hash(prompt: &[ChatMessage<'_>]) -> u128 {
    let mut hash = Xxh3::new();
    for said in prompt {
        hash.write(said.role.as_bytes());
        hash.write(&[0]);
        normalised(said.content, |piece| hash.write(piece.as_bytes()));
        hash.write(&[0]);
    }
    hash.digest128()
}

/// A text in lower case with one space between its words, piece by piece.
pub(super) fn normalised(text: &str, mut take: impl FnMut(&str)) {
    let lower = text.to_lowercase();
    for (index, word) in lower.split_whitespace().enumerate() {
        if index > 0 {
            take(" ");
        }
        take(word);
    }
}

/// A row under the names of a target.
pub(super) struct Shaped<'e, 'a> {
    pub example: &'e Example<'a>,
    pub method: Method,
    pub target: Target,
}

impl Serialize for Shaped<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Example { prompt, answer, source } = self.example;
        let mut row = serializer.serialize_map(None)?;
        match (self.target, answer) {
            (Target::Trl, Answer::Labelled { said, .. }) => {
                row.serialize_entry("prompt", prompt)?;
                row.serialize_entry("completion", &[said])?;
            }
            (_, Answer::Good(said)) | (Target::LlamaFactory, Answer::Labelled { said, .. }) => {
                row.serialize_entry("messages", &prompt.iter().chain([said]).collect::<Vec<_>>())?;
            }
            (Target::Trl, _) => row.serialize_entry("prompt", prompt)?,
            (Target::OpenAi, Answer::Pair { .. }) => {
                let input = serde_json::json!({"messages": prompt, "tools": [], "parallel_tool_calls": true});
                row.serialize_entry("input", &input)?;
            }
            _ => row.serialize_entry("messages", prompt)?,
        }
        match (self.target, answer) {
            (Target::Trl, Answer::Pair { chosen, rejected, .. }) => {
                row.serialize_entry("chosen", chosen)?;
                row.serialize_entry("rejected", rejected)?;
            }
            (Target::OpenAi, Answer::Pair { chosen, rejected, .. }) => {
                row.serialize_entry("preferred_output", chosen)?;
                row.serialize_entry("non_preferred_output", rejected)?;
            }
            (_, Answer::Pair { chosen, rejected, .. }) => {
                row.serialize_entry("chosen", &chosen.first())?;
                row.serialize_entry("rejected", &rejected.first())?;
            }
            (Target::LlamaFactory, Answer::Labelled { verdict, .. }) => {
                row.serialize_entry("kto_tag", &verdict.is_first)?;
            }
            (_, Answer::Labelled { verdict, .. }) => row.serialize_entry("label", &verdict.is_first)?,
            (_, Answer::Open { references, rubric }) => {
                let answers = references.iter().filter_map(Reference::answer).collect::<Vec<_>>();
                row.serialize_entry("reference_answers", &answers)?;
                row.serialize_entry("references", references)?;
                row.serialize_entry("rubric", rubric)?;
            }
            (_, Answer::Good(_)) => {}
        }
        // A file for OpenAI holds nothing else.
        if self.target != Target::OpenAi {
            if let Answer::Pair { verdict, .. } | Answer::Labelled { verdict, .. } = answer {
                row.serialize_entry("votes", &verdict.votes)?;
            }
            match answer {
                Answer::Pair { verdict, .. } => {
                    // A reward model takes the margin into its loss, where none is 0.
                    let none = (self.method == Method::Reward).then_some(0.0);
                    row.serialize_entry("margin", &verdict.margin.or(none))?;
                    row.serialize_entry("p_chosen", &verdict.share)?;
                }
                Answer::Labelled { verdict, .. } => {
                    row.serialize_entry("p_true", &verdict.first_share)?;
                }
                Answer::Good(_) | Answer::Open { .. } => {}
            }
            row.serialize_entry("source", source)?;
        }
        row.end()
    }
}
