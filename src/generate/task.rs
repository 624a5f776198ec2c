//! A task as one line of NDJSON.

use super::GenerateOptions;
use super::pen::Pen;
use super::plan::{BatchShape, Outcome, Plan};
use super::rng::{Rng, mix_pair};
use super::sizing::Sizing;

impl Pen {
    /// Writes the task `index` and the end of its line.
    pub(super) fn task(&mut self, options: &GenerateOptions, sizing: Sizing, index: u64) {
        let identity = mix_pair(options.seed, index);
        self.rng = Rng::new(identity);
        let plan = Plan::draw(options, index, &mut self.rng);
        self.begin_task(&plan);
        self.json.open_object();
        let seconds = plan.created_at_ms / 1_000;
        // As in a Mongo ObjectId the time comes first; the rest differs for every index, as `mix_pair` is a
        // bijection.
        self.json.string_field("task_id", &format!("{:08x}{identity:016x}", seconds & 0xFFFF_FFFF));
        self.origin(&plan);
        self.json.string_field("status", status(plan.outcome));
        self.time_field("created_at", plan.created_at_ms);
        self.completed_at(&plan);
        self.metadata(index);
        self.outcome(&plan, sizing);
        if self.rng.chance(10) {
            self.json.raw_field("priority", "2");
        }
        self.json.close_object();
        self.json.end_line();
    }

    /// `project` and `batch`.
    fn origin(&mut self, plan: &Plan) {
        let project = format!("project_{:03}", plan.project);
        let batch = format!("batch_{:03}_{:03}", plan.project, plan.batch);
        let expanded = plan.traits.expanded;
        self.json.key("project");
        if expanded {
            self.expanded_project(&project);
        } else {
            self.json.string(&project);
        }
        match plan.batch_shape {
            BatchShape::Absent => {}
            BatchShape::Null => self.json.raw_field("batch", "null"),
            BatchShape::Present if expanded => self.expanded_batch(&project, &batch),
            BatchShape::Present => self.json.string_field("batch", &batch),
        }
    }

    fn expanded_project(&mut self, project: &str) {
        self.json.open_object();
        self.json.string_field("id", project);
        self.json.string_field("name", &format!("Comparison of answers, {project}"));
        self.json.string_field("created_at", "2024-01-15T09:00:00.000Z");
        self.json.strings_field("types", &["Chat", "Preference"]);
        self.json.strings_field("models", &["atlas-large", "borealis-2"]);
        self.json.close_object();
    }

    fn expanded_batch(&mut self, project: &str, batch: &str) {
        self.json.key("batch");
        self.json.open_object();
        self.json.string_field("id", batch);
        self.json.string_field("name", &format!("Delivery {batch}"));
        self.json.string_field("project", project);
        self.json.string_field("created_at", "2024-02-01T12:30:00.000Z");
        self.json.string_field("status", "in_progress");
        self.json.raw_field("metadata", r#"{"wave":3}"#);
        self.json.close_object();
    }

    fn completed_at(&mut self, plan: &Plan) {
        match plan.completed_at_ms {
            Some(instant_ms) => self.time_field("completed_at", instant_ms),
            None if self.rng.chance(500) => self.json.raw_field("completed_at", "null"),
            None => {}
        }
    }

    /// The customer's own fields, which differ from task to task.
    fn metadata(&mut self, index: u64) {
        match self.rng.below(100) {
            0..3 => return,
            3..6 => return self.json.raw_field("metadata", "null"),
            6..40 => return self.json.raw_field("metadata", "{}"),
            _ => self.json.key("metadata"),
        }
        self.json.open_object();
        self.json.key("source");
        self.json.hexadecimal("prompt_", index, 8);
        let locale = self.rng.pick(&["en-US", "en-GB", "de-DE", "es-MX", "ja-JP"]);
        self.json.string_field("locale", locale);
        self.json.key("topic");
        self.topic_noun();
        if self.rng.chance(300) {
            let round = self.rng.between(1, 9);
            self.json.integer_field("round", round);
        }
        if self.rng.chance(50) {
            self.json.raw_field("tags", r#"["pilot","héllo",null,{"depth":[1,2.5,-3e-2]}]"#);
        }
        self.json.close_object();
    }

    /// `threads`, `errors` and `sensitive_content_reports`.
    fn outcome(&mut self, plan: &Plan, sizing: Sizing) {
        match plan.outcome {
            Outcome::Completed => self.threads(plan, sizing),
            Outcome::Reported => self.reports(),
            Outcome::Failed => {
                self.json.raw_field("threads", "[]");
                self.errors();
            }
            Outcome::Pending | Outcome::Canceled | Outcome::Deleted => {
                if self.rng.chance(600) {
                    self.json.raw_field("threads", "[]");
                }
            }
        }
    }

    fn reports(&mut self) {
        self.json.key("sensitive_content_reports");
        self.json.open_array();
        for _ in 0..self.rng.between(1, 2) {
            let kind = self.rng.pick(&["pii", "violence", "self_harm", "other"]);
            self.problem(kind, "The contributor reported the content of the prompt");
        }
        self.json.close_array();
    }

    fn errors(&mut self) {
        self.json.key("errors");
        self.json.open_array();
        for _ in 0..self.rng.between(1, 2) {
            let (kind, message) = self.rng.pick(&[
                ("UNSUPPORTED_LANGUAGE", "The specified language or locale is not supported"),
                ("LANGUAGE_MISMATCH", "The prompt is not in the language of the project"),
                ("PROMPT_LENGTH_EXCEEDED", "The prompt is longer than 32,000 characters"),
                ("INVALID_CATEGORY", "The category is not one of the project"),
                ("PROMPT_INFEASIBLE", "The prompt can not be answered"),
                ("MODEL_TIMEOUT", "The model did not answer in time"),
            ]);
            self.problem(kind, message);
        }
        self.json.close_array();
    }

    fn problem(&mut self, kind: &str, message: &str) {
        self.json.open_object();
        self.json.string_field("type", kind);
        if self.rng.chance(850) {
            self.json.string_field("message", message);
        }
        self.json.close_object();
    }
}

fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed | Outcome::Reported => "completed",
        Outcome::Pending => "pending",
        Outcome::Canceled => "canceled",
        Outcome::Failed => "error",
        Outcome::Deleted => "deleted",
    }
}
