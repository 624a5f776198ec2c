//! Rubrics of a turn and their evaluations of an answer.

use super::grammar::Symbol;
use super::pen::Pen;

/// How many rubrics a turn has and how many criteria each of them.
#[derive(Clone, Copy)]
pub(super) struct RubricShape {
    pub(super) rubrics: u32,
    pub(super) criteria: u32,
}

impl Pen {
    /// The rubrics of a turn.
    pub(super) fn rubrics(&mut self, shape: RubricShape, models: &[&str]) {
        self.json.key("rubrics");
        self.json.open_array();
        for rubric in 0..shape.rubrics {
            self.json.open_object();
            self.json.key("criteria_definitions");
            self.json.open_array();
            for criterion in 0..shape.criteria {
                self.criterion(rubric, criterion, models);
            }
            self.json.close_array();
            if self.rng.chance(800) {
                self.json.integer_field("max_total_score", shape.criteria * 5);
            }
            self.json.close_object();
        }
        self.json.close_array();
    }

    fn criterion(&mut self, rubric: u32, criterion: u32, models: &[&str]) {
        self.json.open_object();
        self.json.string_field("id", &format!("rubric_{rubric}_criteria_{criterion}"));
        self.json.key("criterion");
        self.single(Symbol::Criterion);
        if self.rng.chance(850) {
            let weight = self.rng.pick(&["1", "2", "3", "5", "0.5", "-1"]);
            self.json.raw_field("weight", weight);
        }
        self.few_annotations(350, models);
        self.json.close_object();
    }

    /// The evaluations of an answer by every rubric of its turn.
    pub(super) fn rubric_evaluations(&mut self, shape: RubricShape, models: &[&str]) {
        self.json.key("rubric_evaluations");
        self.json.open_array();
        for rubric in 0..shape.rubrics {
            self.json.open_object();
            self.json.key("criteria_evaluations");
            self.json.open_array();
            for criterion in 0..shape.criteria {
                self.criterion_evaluation(rubric, criterion, models);
            }
            self.json.close_array();
            self.few_annotations(400, models);
            let total_score = self.rng.below(shape.criteria * 5 + 1);
            self.json.integer_field("total_score", total_score);
            if self.rng.chance(800) {
                let percentage = f64::from(total_score * 100) / f64::from(shape.criteria * 5);
                self.json.raw_field("percentage", &format!("{percentage:.2}"));
            }
            self.json.close_object();
        }
        self.json.close_array();
    }

    fn criterion_evaluation(&mut self, rubric: u32, criterion: u32, models: &[&str]) {
        self.json.open_object();
        self.json.string_field("criterion_definition_id", &format!("rubric_{rubric}_criteria_{criterion}"));
        let score = self.rng.pick(&["0", "1", "2", "3", "4.5", "5"]);
        self.json.raw_field("score", score);
        self.few_annotations(300, models);
        self.json.close_object();
    }

    /// `annotations`, empty but for `per_mille` cases.
    fn few_annotations(&mut self, per_mille: u32, models: &[&str]) {
        self.json.key("annotations");
        self.json.open_array();
        if self.rng.chance(per_mille) {
            self.any_annotation(models);
        }
        self.json.close_array();
    }
}
