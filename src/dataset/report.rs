//! What became of a lake's conversations.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::judged;

/// Why something is no row of a training set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// A task of another project, batch, status or time, or one that is not among the ids that were given.
    NotSelected,
    /// A task with a report of sensitive content.
    Reported,
    /// A judgement that tells nothing of answers beside each other.
    Judgement(judged::Reason),
    /// Answers that were judged equal.
    Tie,
    /// Judgements that don't agree.
    Disagreement,
    /// A rating that does not say between which values it lies.
    NoScale,
    /// Conversations that were compared, and begin otherwise.
    OtherPrompt,
    /// Ratings that differ by less than was asked for.
    SmallMargin,
    /// An answer that is not as good as was asked for.
    BelowThreshold,
    /// An answer without a judgement.
    Unjudged,
    /// Several answers, and nothing that tells which one is good.
    NoChoice,
    /// A turn behind one of which it is not known which answer was gone on with.
    UnclearHistory,
    /// Nothing that a user said stands before the answer.
    NoPrompt,
    /// A message without text.
    NoText,
    /// Two answers with the same text.
    SameText,
    /// A message with an attachment.
    Attachment,
    /// A message of a function, which the layout has no place for.
    Function,
    /// A message of a role that the layout does not know.
    Role,
    /// Messages in an order that the layout does not take.
    Order,
    /// An answer of several messages, which the layout has no place for.
    Trajectory,
    /// An answer of another model.
    OtherModel,
    /// Fewer or more characters or tokens than were asked for.
    Length,
    /// The same prompt as an earlier row of another turn.
    SamePrompt,
    /// A conversation whose task stands in the other split.
    BothSides,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Reason::NotSelected => "not_selected",
            Reason::Reported => "reported",
            Reason::Judgement(reason) => reason.word(),
            Reason::Tie => "tie",
            Reason::Disagreement => "disagreement",
            Reason::NoScale => "no_scale",
            Reason::OtherPrompt => "other_prompt",
            Reason::SmallMargin => "small_margin",
            Reason::BelowThreshold => "below_threshold",
            Reason::Unjudged => "unjudged",
            Reason::NoChoice => "no_choice",
            Reason::UnclearHistory => "unclear_history",
            Reason::NoPrompt => "no_prompt",
            Reason::NoText => "no_text",
            Reason::SameText => "same_text",
            Reason::Attachment => "attachment",
            Reason::Function => "function_message",
            Reason::Role => "unknown_role",
            Reason::Order => "order_of_roles",
            Reason::Trajectory => "trajectory",
            Reason::OtherModel => "other_model",
            Reason::Length => "length",
            Reason::SamePrompt => "same_prompt",
            Reason::BothSides => "both_sides",
        }
    }
}

/// How often something was left out, by why.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut(BTreeMap<&'static str, u64>);

impl LeftOut {
    pub(super) fn add(&mut self, reason: Reason) {
        *self.0.entry(reason.word()).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: LeftOut) {
        other.0.into_iter().for_each(|(word, count)| *self.0.entry(word).or_default() += count);
    }

    pub(super) fn into_counts(self) -> BTreeMap<&'static str, u64> {
        self.0
    }
}

/// A training set that was written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DatasetReport {
    /// The version of the lake.
    pub lake_version: u64,
    /// Rows for training.
    pub train_rows: u64,
    /// Rows for tests.
    pub test_rows: u64,
    /// Tasks that rows come from.
    pub tasks: u64,
    /// The files of the rows, and of where rows come from where these can't tell it.
    pub files: Vec<String>,
    /// Bytes of the files with rows.
    pub bytes: u64,
    /// Characters of the rows' texts, for each pair those of both answers.
    pub chars: u64,
    /// Tokens of the same, where a tokenizer was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What was left out, by why. Selections count tasks, judgements those, and everything else turns, conversations or pairs.
    pub left_out: BTreeMap<&'static str, u64>,
}
