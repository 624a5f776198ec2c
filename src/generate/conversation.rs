//! Threads, turns and messages.

use super::content::{Extras, Voice};
use super::pen::Pen;
use super::plan::Plan;
use super::rubric::RubricShape;
use super::sizing::Sizing;

/// The models whose answers are compared.
const MODELS: [&str; 12] = [
    "atlas-large",
    "atlas-mini",
    "borealis-2",
    "borealis-2-chat",
    "cirrus-7b",
    "cirrus-70b-instruct",
    "delta-base",
    "delta-preview-0301",
    "ember-1",
    "model_a",
    "model_b",
    "test_model",
];

/// What the turns of a task have in common.
struct Cast<'a> {
    plan: &'a Plan,
    sizing: Sizing,
    /// The models, in the order of their answers.
    models: [&'static str; 3],
    /// The first of the questions that the answers of the project are rated by.
    first_rating: usize,
    temperature: &'static str,
}

/// What one turn adds.
#[derive(Clone, Copy)]
struct Scene<'a> {
    models: &'a [&'a str],
    rubric: Option<RubricShape>,
}

impl Pen {
    /// The field `threads` of a completed task.
    pub(super) fn threads(&mut self, plan: &Plan, sizing: Sizing) {
        let first_model = self.rng.position(MODELS.len());
        let mut models = MODELS.iter().copied().cycle().skip(first_model);
        let cast = Cast {
            plan,
            sizing,
            models: std::array::from_fn(|_| models.next().unwrap_or_default()),
            first_rating: (plan.project % 60 * 5 + plan.batch % 60) as usize,
            temperature: self.rng.pick(&["0", "0.2", "0.7", "0.9", "1", "1.0"]),
        };
        let threads = if self.rng.chance(35) { self.rng.between(2, 3) } else { 1 };
        self.json.key("threads");
        self.json.open_array();
        for thread in 0..threads {
            self.thread(&cast, thread, if threads > 1 { 2 } else { u32::MAX });
        }
        self.json.close_array();
    }

    fn thread(&mut self, cast: &Cast, thread: u32, most_turns: u32) {
        self.json.open_object();
        self.json.key("id");
        self.json.numbered("thread_", thread);
        self.json.key("turns");
        self.json.open_array();
        for turn in 0..cast.sizing.turns(&mut self.rng).min(most_turns) {
            self.turn(cast, turn);
        }
        self.json.close_array();
        self.json.key("annotations");
        self.json.open_array();
        self.thread_annotations(cast);
        self.json.close_array();
        if cast.plan.traits.submissions {
            self.submissions(cast.plan);
        }
        self.json.close_object();
    }

    fn thread_annotations(&mut self, cast: &Cast) {
        for _ in 0..self.rng.pick(&[0, 0, 0, 0, 0, 1, 1, 1, 2, 3]) {
            self.thread_question();
        }
        if cast.plan.traits.uncommon_annotations && self.rng.chance(400) {
            self.any_annotation(&cast.models);
        }
    }

    fn submissions(&mut self, plan: &Plan) {
        self.json.key("submissions");
        self.json.open_array();
        for attempt in (0..self.rng.between(1, 3)).rev() {
            self.json.open_object();
            let end_ms = plan.completed_at_ms.unwrap_or(plan.created_at_ms);
            self.time_field("submitted_at", end_ms - u64::from(attempt) * 1_234_567);
            let contributor = self.rng.bits();
            self.json.key("contributor_id");
            self.json.hexadecimal("contributor_", contributor, 16);
            self.json.close_object();
        }
        self.json.close_array();
    }

    fn turn(&mut self, cast: &Cast, turn: u32) {
        let answers = self.rng.pick(&[1, 2, 2, 2, 2, 2, 3, 3, 3, 3]);
        let rubric = (cast.plan.traits.rubrics && self.rng.chance(700))
            .then(|| RubricShape { rubrics: 1 + self.rng.below(8) / 7, criteria: self.rng.between(2, 6) });
        let scene = Scene { models: cast.models.get(..answers).unwrap_or_default(), rubric };
        self.json.open_object();
        self.json.key("id");
        self.json.numbered("turn_", turn);
        self.json.key("messages");
        self.json.open_array();
        self.messages(cast, scene, turn);
        self.json.close_array();
        self.json.key("annotations");
        self.json.open_array();
        self.turn_annotations(cast, scene);
        self.json.close_array();
        if let Some(shape) = rubric {
            self.rubrics(shape, scene.models);
        }
        self.json.close_object();
    }

    fn turn_annotations(&mut self, cast: &Cast, scene: Scene) {
        let traits = &cast.plan.traits;
        if scene.models.len() > 1 {
            self.preference(scene.models);
        }
        if traits.rankings {
            self.ranked_choices(scene.models);
            if self.rng.chance(400) {
                self.ranked_groups(scene.models);
            }
        }
        for criterion in 0..scene.rubric.map_or(0, |shape| shape.criteria) {
            self.rubric_criteria(0, criterion);
        }
        if traits.workspaces && self.rng.chance(600) {
            self.workspace();
        }
        if traits.uncommon_annotations && self.rng.chance(300) {
            self.uncommon_annotation(scene.models);
        }
    }

    fn messages(&mut self, cast: &Cast, scene: Scene, turn: u32) {
        if turn == 0 && self.rng.chance(70) {
            self.plain_message("system", "system", Voice::Remark, Extras::default());
        }
        let traits = &cast.plan.traits;
        let extras = Extras {
            attachments: traits.attachments && self.rng.chance(500),
            reference_texts: traits.reference_texts && self.rng.chance(500),
            ..Extras::default()
        };
        self.plain_message("user", "user", Voice::Prompt(cast.sizing.prompt_bytes), extras);
        if traits.workspaces && self.rng.chance(300) {
            self.plain_message("function", "code_interpreter", Voice::Remark, Extras::default());
        }
        for model in scene.models {
            self.model_message(cast, scene, model);
        }
    }

    fn plain_message(&mut self, role: &str, source: &str, voice: Voice, extras: Extras) {
        self.json.open_object();
        self.json.string_field("role", role);
        self.content(voice, extras, &[]);
        self.json.string_field("source_id", source);
        self.json.key("annotations");
        self.json.open_array();
        if self.rng.chance(25) {
            self.rating(6);
        }
        self.json.close_array();
        self.json.close_object();
    }

    fn model_message(&mut self, cast: &Cast, scene: Scene, model: &str) {
        let traits = &cast.plan.traits;
        let extras = Extras {
            chunks: traits.chunks && self.rng.chance(500),
            reasoning: traits.reasoning && self.rng.chance(800),
            ..Extras::default()
        };
        self.json.open_object();
        self.json.string_field("role", "assistant");
        self.content(Voice::Answer(cast.sizing.answer_bytes), extras, scene.models);
        self.json.string_field("source_id", model);
        self.model_parameters(cast, model);
        self.json.key("annotations");
        self.json.open_array();
        self.message_annotations(cast, scene);
        self.json.close_array();
        if let Some(shape) = scene.rubric {
            self.rubric_evaluations(shape, scene.models);
        }
        if traits.latency {
            let latency_ms = self.rng.between(180, 9_000);
            self.json.integer_field("latency_ms", latency_ms);
        }
        self.json.close_object();
    }

    fn model_parameters(&mut self, cast: &Cast, model: &str) {
        if self.rng.chance(120) {
            return;
        }
        self.json.key("model_parameters");
        self.json.open_object();
        self.json.string_field("model", model);
        self.json.raw_field("temperature", cast.temperature);
        self.json.raw_field("max_completion_tokens", "2048");
        if self.rng.chance(150) {
            self.json.raw_field("top_p", "0.95");
            self.json.raw_field("top_k", "40");
        }
        self.json.close_object();
    }

    fn message_annotations(&mut self, cast: &Cast, scene: Scene) {
        let traits = &cast.plan.traits;
        let ratings = self.rng.pick(&[1, 1, 1, 2, 2, 2, 2, 2, 3, 3]);
        for offset in 0..ratings {
            self.rating(cast.first_rating + offset);
        }
        for criterion in 0..scene.rubric.map_or(0, |shape| shape.criteria) {
            if self.rng.chance(500) {
                self.rubric_rating(0, criterion);
            }
        }
        if traits.uncommon_annotations && self.rng.chance(150) {
            self.uncommon_annotation(scene.models);
        }
        if traits.unknown_annotations && self.rng.chance(400) {
            self.unknown_annotation();
        }
    }
}
