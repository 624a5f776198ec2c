//! What an annotation can stand on.

use super::{Table, catalog};

/// The owner of an annotation, as the column `scope` of `annotations` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A thread.
    Thread,
    /// A turn.
    Turn,
    /// A message.
    Message,
    /// A chunk of a message.
    Chunk,
    /// A criterion of a rubric.
    RubricCriterion,
    /// An evaluation of a message by a rubric.
    RubricEvaluation,
    /// An evaluation of a message by one criterion.
    CriterionEvaluation,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 7] = [
        Scope::Thread,
        Scope::Turn,
        Scope::Message,
        Scope::Chunk,
        Scope::RubricCriterion,
        Scope::RubricEvaluation,
        Scope::CriterionEvaluation,
    ];

    /// The word in the column `scope`.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Thread => "thread",
            Scope::Turn => "turn",
            Scope::Message => "message",
            Scope::Chunk => "chunk",
            Scope::RubricCriterion => "rubric_criterion",
            Scope::RubricEvaluation => "rubric_evaluation",
            Scope::CriterionEvaluation => "criterion_evaluation",
        }
    }

    /// The table of the owners.
    pub fn owner(self) -> &'static Table {
        match self {
            Scope::Thread => &catalog::threads::TABLE,
            Scope::Turn => &catalog::turns::TABLE,
            Scope::Message => &catalog::messages::TABLE,
            Scope::Chunk => &catalog::chunks::TABLE,
            Scope::RubricCriterion => &catalog::rubric_criteria::TABLE,
            Scope::RubricEvaluation => &catalog::rubric_evaluations::TABLE,
            Scope::CriterionEvaluation => &catalog::criterion_evaluations::TABLE,
        }
    }

    /// Columns of `annotations` that say nothing within this scope: `scope` itself, and positions that the owner doesn't have.
    /// Without them, the key of the owner is what both tables share.
    pub fn idle_columns(self) -> impl Iterator<Item = &'static str> {
        let is_of_owner = move |name: &str| self.owner().sort_columns().any(|column| column.name == name);
        let positions = catalog::annotations::TABLE.sort_columns().map(|column| column.name);
        positions.filter(move |name| *name != "annotation_index" && !is_of_owner(name)).chain(["scope"])
    }
}
