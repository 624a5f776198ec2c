//! The uncommon types of annotations, and annotations that no model of the API foresees.

use super::annotation::{Choices, Question};
use super::grammar::Symbol;
use super::pen::Pen;
use super::plan::Detail;

const TOPICS: Question = Question {
    key: "topics",
    kind: "category_multiple",
    title: "Topics",
    description: "Choose all that apply.",
    labels: &["Code", "Mathematics", "Creative writing", "Facts", "Advice"],
    choices: Choices::Strings(&["code", "math", "creative", "facts", "advice"]),
};

/// A question without a description, labels and choices.
const fn open_question(key: &'static str, kind: &'static str, title: &'static str) -> Question<'static> {
    Question { key, kind, title, description: "", labels: &[], choices: Choices::None }
}

impl Pen {
    /// An annotation of any type: mostly a rating, one time in four any of the others.
    pub(super) fn any_annotation(&mut self, models: &[&str]) {
        match self.rng.below(40) {
            0..2 => self.multiple_categories(),
            2..4 => self.labeled_text(),
            4..5 => self.file_annotation(),
            5..6 => self.ranked_choices(models),
            6..7 => self.ranked_groups(models),
            7..8 => self.rubric_criteria(0, 0),
            8..9 => self.rubric_rating(0, 0),
            9..10 => self.workspace(),
            place => self.rating(place as usize),
        }
    }

    /// Several categories, files or labelled pieces of text, one time in three an annotation of any type.
    pub(super) fn uncommon_annotation(&mut self, models: &[&str]) {
        match self.rng.below(6) {
            0..2 => self.multiple_categories(),
            2 => self.labeled_text(),
            3 => self.file_annotation(),
            _ => self.any_annotation(models),
        }
    }

    fn multiple_categories(&mut self) {
        self.annotation(TOPICS, |pen| {
            pen.json.open_array();
            for item in ["code", "math", "creative", "facts", "advice"] {
                if pen.rng.chance(350) {
                    pen.json.string(item);
                }
            }
            pen.json.close_array();
        });
    }

    fn labeled_text(&mut self) {
        let question = open_question("marked_spans", "labeled_text", "Mark the errors");
        self.annotation(question, |pen| {
            pen.json.open_array();
            for _ in 0..pen.rng.between(1, 4) {
                pen.json.open_object();
                let label = pen.rng.pick(&["factual_error", "grammar", "unclear", "repetition"]);
                pen.json.string_field("label", label);
                pen.json.key("text");
                pen.single(Symbol::Clause);
                pen.json.close_object();
            }
            pen.json.close_array();
        });
    }

    fn file_annotation(&mut self) {
        let question = open_question("screenshot", "file", "Screenshot");
        self.annotation(question, |pen| {
            if pen.rng.chance(500) {
                pen.image_file();
                return;
            }
            pen.json.open_array();
            for _ in 0..pen.rng.between(1, 3) {
                pen.any_file();
            }
            pen.json.close_array();
        });
    }

    /// All models, best first.
    pub(super) fn ranked_choices(&mut self, models: &[&str]) {
        let question = open_question("ranking", "ranked_choices", "Ranking");
        self.annotation(question, |pen| {
            let start = pen.rng.position(models.len());
            pen.json.open_array();
            for model in models.iter().cycle().skip(start).take(models.len()) {
                pen.json.string(model);
            }
            pen.json.close_array();
        });
    }

    /// All models in groups, best group first.
    pub(super) fn ranked_groups(&mut self, models: &[&str]) {
        let question = open_question("ranking_with_ties", "ranked_groups", "Ranking with ties");
        self.annotation(question, |pen| {
            let (first, second) = models.split_at(pen.rng.position(models.len()));
            pen.json.open_array();
            for group in [second, first].iter().filter(|group| !group.is_empty()) {
                pen.json.strings(group);
            }
            pen.json.close_array();
        });
    }

    /// A requirement kept as an annotation of its turn.
    pub(super) fn rubric_criteria(&mut self, rubric: u32, criterion: u32) {
        let id = format!("rubric_{rubric}_criteria_{criterion}");
        self.rubric_annotation(&id, "rubric_criteria", None, |pen| {
            let weight = pen.rng.between(1, 5);
            pen.json.open_object();
            pen.json.integer_field("weight", weight);
            if pen.rng.chance(300) {
                pen.json.raw_field("category", r#"{"name":"explicit","order":1}"#);
            }
            pen.json.close_object();
        });
    }

    /// How an answer meets a requirement, as an annotation of the message.
    pub(super) fn rubric_rating(&mut self, rubric: u32, criterion: u32) {
        let criteria = format!("rubric_{rubric}_criteria_{criterion}");
        let id = format!("{criteria}_rating");
        self.rubric_annotation(&id, "rubric_rating", Some(&criteria), |pen| {
            pen.json.open_object();
            let score = pen.rng.pick(&["0", "1", "2", "0.5", "3.5"]);
            pen.json.raw_field("score", score);
            let color = pen.rng.pick(&["green", "yellow", "red"]);
            pen.json.string_field("color", color);
            if pen.rng.chance(600) {
                pen.json.key("justification");
                pen.note(120);
            }
            pen.json.close_object();
        });
    }

    /// `id`, then `key` and `type` unless the task's annotations have none, `title`, `value` and perhaps `metadata`.
    fn rubric_annotation(&mut self, id: &str, kind: &str, criteria: Option<&str>, value: impl FnOnce(&mut Self)) {
        self.json.open_object();
        self.json.string_field("id", id);
        if self.detail != Detail::Keyless {
            self.json.string_field("key", id);
            self.json.string_field("type", kind);
        }
        self.json.key("title");
        self.single(Symbol::Criterion);
        self.json.key("value");
        value(self);
        if let Some(criteria) = criteria {
            self.json.key("metadata");
            self.json.open_object();
            self.json.string_field("criteria", criteria);
            self.json.close_object();
        }
        self.json.close_object();
    }

    /// A workspace in which a labeller ran code.
    pub(super) fn workspace(&mut self) {
        let question = open_question("workspace", "workspace_container", "Workspace");
        self.annotation(question, |pen| {
            pen.json.open_object();
            let (id, token) = (pen.rng.bits(), pen.rng.bits());
            pen.json.key("workspace_id");
            pen.json.hexadecimal("ws_", id, 16);
            pen.json.key("workspace_config");
            pen.json.open_object();
            pen.json.raw_field("image", r#""python:3.12""#);
            pen.json.key("workspace_token");
            pen.json.hexadecimal("not-a-real-token-", token, 16);
            pen.json.close_object();
            pen.json.raw_field("last_code_run_event", r#"{"exit_code":0,"duration_ms":1432}"#);
            pen.json.raw_field("output_files", r#"[{"name":"result.csv","size":2048}]"#);
            pen.json.key("stdout_output");
            pen.answer(400);
            pen.json.string_field("stderr_output", "");
            if pen.rng.chance(400) {
                pen.json.string_field("test_stdout_output", "collected 7 items\n\n7 passed in 0.31s\n");
                pen.json.raw_field("test_stderr_output", "null");
            }
            pen.json.close_object();
        });
    }

    /// An annotation of an unlisted type, one with a value that is not of its type, or one with an unknown field.
    pub(super) fn unknown_annotation(&mut self) {
        self.json.open_object();
        self.annotation_id();
        let fields = self.rng.pick(&[
            r#""key":"review_date","type":"date","value":"2024-05-17""#,
            r#""key":"span","type":"range","value":{"start":12,"end":48,"unit":"character"}"#,
            r#""key":"score","type":"integer","value":3.5"#,
            r#""key":"agreement","type":"float","value":-0.125,"confidence":1e-3"#,
            r#""key":"overall","type":"integer","value":4,"annotator_region":"eu","edited":true"#,
        ]);
        self.json.raw(fields);
        self.json.close_object();
    }
}
