//! Knowledge distillation: the teacher, and how much it counts.

use serde::{Deserialize, Serialize};

use crate::schedule::Time;

/// A `distill` statement: the loss gets a term that compares the model's outputs with a teacher's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distill {
    /// The teacher.
    pub from: Teacher,
    /// The start.
    pub start: Time,
    /// The end, exclusive: the distillation loss applies in the steps of `start..end`.
    pub end: Time,
    /// The weight h of the distillation loss, `0..=1`: `(1 − h) · task loss + h · distillation loss`.
    pub hardness: f64,
    /// The temperature by which both models' logits are divided.
    pub temperature: f64,
    /// The outputs that are compared; empty for all of the task's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Hidden states that are compared as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<HiddenStates>,
}

/// A loss on hidden states: `gain Σ MSE(student, teacher)`, with `normalize` each divided by
/// `mean(teacher²) + ε`. It is added to the loss. SparseML's `PerLayerDistillationModifier`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HiddenStates {
    /// A pattern of the student's modules, such as `bert.encoder.layer.*`.
    pub modules: String,
    /// A pattern of the teacher's modules; the same pattern if `None`. Modules are paired in order, evenly
    /// spaced where the teacher has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// The factor of the sum.
    pub gain: f64,
    /// Whether each error is divided by the mean square of the teacher's hidden states.
    pub normalize: bool,
    /// ε.
    pub epsilon: f64,
}

/// The teacher of a distillation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Teacher {
    /// The model given by `--teacher`.
    Flag,
    /// A model that the recipe names.
    Named(String),
    /// The result of an earlier stage.
    Stage(String),
    /// Self-distillation: the model that the stage starts from, with all its layers even if the stage drops some.
    Itself,
}
