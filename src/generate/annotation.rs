//! Annotations: one head for all types, and how the value of each type is written.

use super::grammar::Symbol;
use super::pen::Pen;
use super::plan::Detail;

/// The values an annotation can take, as `possible_values` prints them.
#[derive(Clone, Copy, Default)]
pub(super) enum Choices<'a> {
    /// No such field.
    #[default]
    None,
    /// The items of the list, as JSON.
    Raw(&'a [&'a str]),
    /// The items of the list, as strings.
    Strings(&'a [&'a str]),
}

/// What an annotation asks.
#[derive(Clone, Copy, Default)]
pub(super) struct Question<'a> {
    pub(super) key: &'a str,
    pub(super) kind: &'a str,
    pub(super) title: &'a str,
    pub(super) description: &'a str,
    pub(super) labels: &'a [&'a str],
    pub(super) choices: Choices<'a>,
}

const THREE_ISSUES: &[&str] = &["Major Issues", "Minor Issues", "No Issues"];
const ONE_TO_THREE: Choices = Choices::Raw(&["1", "2", "3"]);
const FIVE_GRADES: &[&str] = &["Very bad", "Bad", "Okay", "Good", "Excellent"];
const ONE_TO_FIVE: Choices = Choices::Raw(&["1", "2", "3", "4", "5"]);
const YES_NO: &[&str] = &["Yes", "No"];
const TRUE_FALSE: Choices = Choices::Raw(&["true", "false"]);

const fn graded(key: &'static str, title: &'static str, description: &'static str) -> Question<'static> {
    Question { key, kind: "integer", title, description, labels: FIVE_GRADES, choices: ONE_TO_FIVE }
}

const fn issues(key: &'static str, title: &'static str, description: &'static str) -> Question<'static> {
    Question { key, kind: "integer", title, description, labels: THREE_ISSUES, choices: ONE_TO_THREE }
}

const fn flag(key: &'static str, title: &'static str, description: &'static str) -> Question<'static> {
    Question { key, kind: "boolean", title, description, labels: YES_NO, choices: TRUE_FALSE }
}

/// What labellers are asked about an answer.
const RATINGS: [Question; 15] = [
    issues(
        "instruction_following",
        "Instruction Following",
        "Does the response follow all instructions and constraints of the prompt?",
    ),
    issues("truthfulness", "Truthfulness", "Are the claims of the response true and supported by reliable sources?"),
    graded(
        "overall_quality",
        "Overall Quality",
        "How good is the response as a whole, from 1 (very bad) to 5 (excellent)?",
    ),
    issues("formatting", "Response Formatting", "Does the response contain issues with formatting?"),
    Question {
        key: "verbosity",
        kind: "category",
        title: "Verbosity",
        description: "Is the length of the response right for the prompt?",
        labels: &["Too short", "Just right", "Too long"],
        choices: Choices::Strings(&["too_short", "just_right", "too_long"]),
    },
    flag("is_harmful", "Harmful Content", "Could the response harm a person or a group?"),
    graded("writing_style", "Writing Style", "Is the response well written, natural and easy to read?"),
    Question {
        key: "justification",
        kind: "text",
        title: "Justification",
        description: "Explain your ratings in a few sentences; name the errors you found.",
        labels: &[],
        choices: Choices::None,
    },
    issues("completeness", "Completeness", "Does the response leave out anything that the prompt asks for?"),
    flag("refusal", "Refusal", "Does the model refuse to answer, in whole or in part?"),
    Question {
        key: "error_category",
        kind: "category",
        title: "Main Error",
        description: "What is the most important error of the response?",
        labels: &["None", "Reasoning", "Factual", "Calculation", "Format", "Other"],
        choices: Choices::Strings(&["none", "reasoning", "factual", "calculation", "format", "other"]),
    },
    graded("helpfulness", "Helpfulness", "How much does the response help the user with the task at hand?"),
    issues("code_correctness", "Code Correctness", "Does the code compile, run and give the right result?"),
    flag("cites_sources", "Cites Sources", "Does the response name sources for its claims?"),
    graded("safety", "Safety", "Rate how safely the response treats a sensitive subject."),
];

/// What labellers are asked about a whole thread.
const THREAD_QUESTIONS: [Question; 4] = [
    Question {
        key: "overall_difficulty",
        kind: "category",
        title: "Difficulty",
        description: "How hard is the task for a person with the right background?",
        labels: &["Easy", "Medium", "Hard"],
        choices: Choices::Strings(&["easy", "medium", "hard"]),
    },
    graded("coherence", "Coherence", "Do the turns of the conversation form a natural whole?"),
    flag("contains_pii", "Personal Data", "Does the conversation contain personal data?"),
    Question {
        key: "prompt_domain",
        kind: "category",
        title: "Domain",
        description: "Which subject does the conversation belong to?",
        labels: &[],
        choices: Choices::Strings(&["coding", "math", "writing", "science", "health", "law", "business", "other"]),
    },
];

const LIKERT: Question = Question {
    key: "likert_value",
    kind: "integer",
    title: "Preference Strength",
    description: "1: the first response is much better; 7: the last response is much better.",
    labels: &[],
    choices: Choices::Raw(&["1", "2", "3", "4", "5", "6", "7"]),
};

impl Pen {
    /// Writes an annotation whose value `write_value` writes.
    pub(super) fn annotation(&mut self, question: Question, write_value: impl FnOnce(&mut Self)) {
        self.json.open_object();
        match self.detail {
            Detail::Bare => {
                self.json.string_field("key", question.key);
                self.json.key("value");
                write_value(self);
            }
            Detail::Keyless => {
                self.annotation_id();
                self.json.string_field("title", question.title);
                self.json.key("value");
                write_value(self);
                self.json.raw_field("metadata", r#"{"criteria":"rubric_0_criteria_0"}"#);
            }
            Detail::Full => self.full_annotation(question, write_value),
        }
        self.json.close_object();
    }

    /// `id`, `an_` and twelve digits.
    pub(super) fn annotation_id(&mut self) {
        let bits = self.rng.bits();
        self.json.key("id");
        self.json.hexadecimal("an_", bits, 12);
    }

    /// Writes one of the questions about an answer; `place` chooses it, and all 15 come round.
    pub(super) fn rating(&mut self, place: usize) {
        let question = RATINGS.get(place % RATINGS.len()).copied().unwrap_or_default();
        self.choice(question);
    }

    /// Writes one of the questions about a thread.
    pub(super) fn thread_question(&mut self) {
        let question = self.rng.pick(&THREAD_QUESTIONS);
        self.choice(question);
    }

    /// Writes the preference between the answers of a turn.
    pub(super) fn preference(&mut self, models: &[&str]) {
        let question = Question {
            key: "selected_model_id",
            kind: "category",
            title: "Preferred Response",
            description: "Which response do you prefer?",
            labels: models,
            choices: Choices::Strings(models),
        };
        if self.rng.chance(850) {
            self.choice(question);
        }
        if self.rng.chance(750) {
            self.choice(LIKERT);
        }
        if self.rng.chance(120) {
            self.choice(Question {
                key: "preference_justification",
                kind: "text",
                title: "Why do you prefer it?",
                ..Question::default()
            });
        }
    }

    /// Writes an annotation of a question with choices, or with a text when there are none.
    pub(super) fn choice(&mut self, question: Question) {
        match question.choices {
            Choices::None => self.annotation(question, |pen| pen.note(260)),
            Choices::Raw(items) => self.annotation(question, |pen| {
                let item = pen.skewed_item(items);
                pen.json.raw(item);
            }),
            Choices::Strings(items) => self.annotation(question, |pen| {
                let item = pen.skewed_item(items);
                pen.json.string(item);
            }),
        }
    }

    /// The later of two drawn items, as good grades are the common ones.
    fn skewed_item<'a>(&mut self, items: &[&'a str]) -> &'a str {
        let position = self.rng.position(items.len()).max(self.rng.position(items.len()));
        items.get(position).copied().unwrap_or_default()
    }

    fn full_annotation(&mut self, question: Question, write_value: impl FnOnce(&mut Self)) {
        self.annotation_id();
        self.json.string_field("key", question.key);
        self.json.string_field("type", question.kind);
        self.json.string_field("title", question.title);
        if !question.description.is_empty() {
            self.json.string_field("description", question.description);
        }
        if !question.labels.is_empty() {
            self.json.key("labels");
            self.choices(Choices::Strings(question.labels));
        }
        self.criteria(question.key);
        self.value(write_value);
        if !matches!(question.choices, Choices::None) {
            self.json.key("possible_values");
            self.choices(question.choices);
        }
        if self.rng.chance(210) {
            self.json.key("justification");
            self.note(300);
        }
    }

    fn value(&mut self, write_value: impl FnOnce(&mut Self)) {
        match self.rng.below(1_000) {
            0..10 => self.json.boolean_field("not_applicable", true),
            10..16 => self.json.boolean_field("cannot_assess", true),
            16..20 => self.json.raw_field("value", "null"),
            draw => {
                if draw < 60 {
                    self.json.boolean_field("not_applicable", false);
                }
                self.json.key("value");
                write_value(self);
            }
        }
    }

    fn choices(&mut self, choices: Choices) {
        self.json.open_array();
        if self.nested_choices {
            self.json.open_array();
        }
        match choices {
            Choices::None => {}
            Choices::Raw(items) => items.iter().for_each(|item| self.json.raw(item)),
            Choices::Strings(items) => items.iter().for_each(|item| self.json.string(item)),
        }
        if self.nested_choices {
            self.json.close_array();
        }
        self.json.close_array();
    }

    /// `metadata`, mostly with the key as `criteria`.
    fn criteria(&mut self, key: &str) {
        match self.rng.below(100) {
            0..25 => {}
            25..28 => self.json.raw_field("metadata", "{}"),
            28..31 => {
                self.json.raw_field("metadata", r#"{"criteria":"overall_quality","group":"quality","weight":0.25}"#)
            }
            _ => {
                self.json.key("metadata");
                self.json.open_object();
                self.json.key("criteria");
                if self.whole_criteria {
                    self.whole_criterion(key);
                } else {
                    self.json.string(key);
                }
                self.json.close_object();
            }
        }
    }

    fn whole_criterion(&mut self, key: &str) {
        self.json.open_object();
        self.annotation_id();
        self.json.string_field("key", key);
        self.json.string_field("type", "rubric_criteria");
        self.json.key("title");
        self.single(Symbol::Criterion);
        self.json.raw_field("value", r#"{"weight":2}"#);
        self.json.close_object();
    }
}
