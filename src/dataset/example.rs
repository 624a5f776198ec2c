//! The rows of a training set.

use std::convert::Infallible;
use std::hash::Hasher;

use serde::Serialize;
use serde::ser::Serializer;
use xxhash_rust::xxh3::Xxh3;

use super::options::By;
use super::votes::Verdict;
use crate::judged::Image;

/// A message as a chat has it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChatMessage<'a> {
    pub role: &'static str,
    pub content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<&'a str>,
    /// They stand in a column of their own.
    #[serde(skip)]
    pub images: &'a [Image<'a>],
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
    pub(super) fn answer(&self) -> Option<&'a str> {
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
