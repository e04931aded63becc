//! The verbs.

use crate::language::syntax::ast::Spanned;
use crate::schedule::ir::{Batches, Criterion, Rank};
use crate::schedule::{Ramp, Time};
use crate::settings::declare::{only, setting, word};
use crate::settings::{Get, Read, Setting, Settings, Type, settings};

use super::choices::{DataSets, Hidden, Kept, Models, Patterns, Products, Schemes, Teachers};
use super::operands::{Instants, Placed, Targets};
use super::verb::{Body, Place, Statement, Verb, body, verb};

settings! {
    /// Settings of a recipe that its stages share.
    #[derive(Clone, Debug)]
    pub struct RecipeSettings {
        /// The model to start from; `--model` replaces it.
        model: Spanned<ModelGiven> = Type::Model, required;
        /// What the model is trained and evaluated on.
        data: Spanned<DataSets> = Type::Data, required;
        /// Examples in a training step.
        batch: usize = Type::Count, default "16" formerly ["batch_size", "per_device_train_batch_size"];
        /// The seed of everything random.
        seed: u64 = Type::Whole, default "42";
    }
}

/// A model as it is given.
#[derive(Clone, Debug)]
pub enum ModelGiven {
    /// A folder, or a name.
    Named(String),
    /// A new one.
    New(Models),
}

/// A teacher as it is given.
#[derive(Clone, Debug)]
pub enum TeacherGiven {
    /// A folder, or the name of a model.
    Named(String),
    /// One of the words.
    Word(Teachers),
    /// A stage.
    Stage(String),
}

settings! {
    /// Settings that a stage may say for itself.
    #[derive(Clone, Debug)]
    pub struct StageSettings {
        /// Examples in a training step, in place of the recipe's.
        batch: Option<usize> = Type::Count, optional formerly ["batch_size", "per_device_train_batch_size"];
    }
}

const RECIPE: &Verb = &Verb {
    name: "recipe",
    doc: "What is done to one model, from beginning to end.",
    form: "recipe NAME for 30 epochs { … }",
    operand: Some(Setting::required("name", Type::NewName, "Its name.")),
    clauses: &[
        Setting::optional(
            "extends",
            Type::Template,
            "A template whose statements and settings it takes over.",
        ),
        Setting::optional("for", Type::Duration, "How long it trains."),
    ],
    body: Body::Statements(RecipeSettings::TABLE),
    places: &[Place::File],
    repeats: true,
};

const TEMPLATE: &Verb = &Verb {
    name: "template",
    doc: "Statements that stages and recipes can take over with `extends`.",
    form: "template NAME { param start: ratio = 70% … }",
    operand: Some(Setting::required("name", Type::NewName, "Its name.")),
    clauses: &[
        Setting::optional("extends", Type::Template, "Another template that it builds on."),
        Setting::optional("for", Type::Duration, "How long it trains unless the stage says."),
    ],
    body: Body::Statements(StageSettings::TABLE),
    places: &[Place::File],
    repeats: true,
};

const STAGE: &Verb = &Verb {
    name: "stage",
    doc: "A stretch of training with its own time axis; it starts from the result of the one before.",
    form: "stage NAME extends TEMPLATE for 10 epochs { … }",
    operand: Some(Setting::required("name", Type::NewName, "Its name.")),
    clauses: &[
        Setting::optional(
            "extends",
            Type::Template,
            "A template whose statements and settings it takes over.",
        ),
        Setting::optional("for", Type::Duration, "How long it trains; without it, it only prunes."),
    ],
    body: Body::Statements(StageSettings::TABLE),
    places: &[Place::Recipe],
    repeats: true,
};

const BRANCH: &Verb = &Verb {
    name: "branch",
    doc: "A stage that is evaluated and reported, and not continued: for comparisons.",
    form: "branch NAME from STAGE { … }",
    operand: Some(Setting::required("name", Type::NewName, "Its name.")),
    clauses: &[
        Setting::required(
            "from",
            Type::Stage,
            "The stage whose result it starts from, or `start` for the model the run begins with.",
        ),
        Setting::optional(
            "extends",
            Type::Template,
            "A template whose statements and settings it takes over.",
        ),
        Setting::optional("for", Type::Duration, "How long it trains; without it, it only prunes."),
    ],
    body: Body::Statements(StageSettings::TABLE),
    places: &[Place::Recipe],
    repeats: true,
};

verb! {
    /// Keeps some layers of the encoder and drops the others, before anything else.
    pub struct Keep: "keep", form "keep layers [0, 2, 4]", at [Recipe, Stage], repeats false;
    clauses {
        /// The layers that stay, counted from 0.
        layers: Spanned<Vec<usize>> = Type::Indices, required;
    }
}

verb! {
    /// Drops some layers of the encoder and keeps the others, before anything else.
    pub struct Drop: "drop", form "drop layers [1, 3, 5]", at [Recipe, Stage], repeats false;
    clauses {
        /// The layers that go, counted from 0.
        layers: Spanned<Vec<usize>> = Type::Indices, required;
    }
}

const LR: &Verb = &Verb {
    name: "lr",
    doc: "The learning rate over the whole stage, piece by piece, without gap or overlap.",
    form: "lr { 0..2 epochs: 8e-5 -> 8e-6 linear }",
    operand: None,
    clauses: &[],
    body: Body::LrPieces,
    places: &[Place::Stage],
    repeats: false,
};

verb! {
    /// Removes the least important weights: at once, or more and more over a window.
    pub struct Prune: "prune",
        form "prune PARAMS over 2..26 epochs every 4 epochs { sparsity: 70% -> 90% cubic }",
        at [Stage], repeats true;
    operand {
        /// The parameters to prune.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// The first and last pruning instant; without it, once, at the start.
        over: Option<Spanned<Instants>> = Type::Span, optional formerly ["start_epoch", "end_epoch"];
        /// The time between pruning instants.
        every: Option<Spanned<Time>> = Type::Duration, optional formerly ["update_frequency"];
    }
    block PruneSettings {
        /// How a weight's importance is computed.
        by: Placed<Criterion> = Type::Choice(Criterion::CHOICES), required;
        /// The share of weights that are zero afterwards.
        sparsity: Spanned<Ramp> = Type::Sparsity, required
            formerly ["init_sparsity", "final_sparsity", "inter_func"];
        /// Which weights go together.
        pattern: Spanned<Patterns> = Type::Choice(Patterns::CHOICES), default "unstructured"
            formerly ["mask_type", "mask_structure"];
        /// Among which weights the least important are sought.
        rank: Spanned<Rank> = Type::Choice(Rank::CHOICES), default "global" formerly ["global_sparsity"];
    }
}

verb! {
    /// Keeps every zero of the selected parameters zero.
    pub struct Hold: "hold", form "hold PARAMS over 0..8 epochs", at [Stage], repeats true;
    operand {
        /// The parameters whose zeros stay.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// When; the whole stage if left out.
        over: Option<Spanned<Instants>> = Type::Span, optional;
    }
}

verb! {
    /// Leaves the selected parameters as they are.
    pub struct Freeze: "freeze", form "freeze PARAMS over 0..2 epochs", at [Stage], repeats true;
    operand {
        /// The parameters that are not trained.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// When; the whole stage if left out.
        over: Option<Spanned<Instants>> = Type::Span, optional;
    }
}

verb! {
    /// Quantizes weights and the inputs of their layers: quantization-aware training, or post-training
    /// quantization in a stage that does not train.
    pub struct Quantize: "quantize",
        form "quantize PARAMS over 0..10 epochs { weights: int8(symmetric, per: channel) }",
        at [Stage], repeats true;
    operand {
        /// The weights whose layers are quantized.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// When; the whole stage if left out.
        over: Option<Spanned<Instants>> = Type::Span, optional;
    }
    block Settings {
        /// How weights are quantized.
        weights: Spanned<Schemes> = Type::Choice(Schemes::CHOICES), default "int8" formerly ["weight_bits", "bits", "num_bits"];
        /// How the layers' inputs are quantized.
        activations: Spanned<Schemes> = Type::Choice(Schemes::CHOICES), default "uint8(asymmetric)"
            formerly ["input_activations", "activation_bits"];
        /// When observed ranges are fixed, counted from the window's start.
        freeze: Option<Spanned<Time>> = Type::After, optional
            formerly ["disable_quantization_observer_epoch"];
        /// Batches whose activation ranges are observed before the window opens: calibration.
        calibrate: Spanned<usize> = Type::Whole, default "0" formerly ["num_calibration_steps"];
        /// Whether the operands of the two matrix products of attention are quantized.
        attention: bool = Type::Bool, default "true";
    }
}

verb! {
    /// Learns from another model's outputs besides the labels.
    pub struct Distill: "distill", form "distill from teacher { hardness: 1.0, temperature: 2.0 }",
        at [Stage], repeats false;
    clauses {
        /// Whom to learn from.
        from: Spanned<TeacherGiven> = Type::Teacher, required;
        /// When; the whole stage if left out.
        over: Option<Spanned<Instants>> = Type::Span, optional;
    }
    block Settings {
        /// The teacher's share of the loss.
        hardness: Spanned<f64> = Type::Ratio, default "1.0" formerly ["alpha", "distillation_alpha"];
        /// What both models' logits are divided by.
        temperature: Spanned<f64> = Type::Number, default "2.0";
        /// The outputs to match; all of the task's if left out.
        r#match: Option<Vec<Spanned<String>>> = Type::Names, optional formerly ["distill_output_keys"];
        /// Outputs inside the model to match besides; their error is added to the loss.
        hidden: Option<Spanned<Hidden>> = Type::Choice(Hidden::CHOICES), optional;
    }
}

verb! {
    /// How the stage trains.
    pub struct Train: "train", form "train { weight_decay: 0.01, clip: 1.0 }", at [Recipe, Stage],
        repeats false;
    block Settings {
        /// Batches whose gradients are summed before a step.
        accumulate: usize = Type::Count, default "1" formerly ["gradient_accumulation_steps"];
        /// AdamW's decoupled weight decay.
        weight_decay: Spanned<f64> = Type::Number, default "0.01";
        /// AdamW's decay of the first moment.
        beta1: f64 = Type::Ratio, default "0.9";
        /// AdamW's decay of the second moment.
        beta2: f64 = Type::Ratio, default "0.999";
        /// AdamW's epsilon.
        epsilon: f64 = Type::Rate, default "1e-8";
        /// The largest global gradient norm; 0 for no clipping.
        clip: Spanned<f64> = Type::Number, default "1.0" formerly ["max_grad_norm"];
        /// Dropout in place of the model's own.
        dropout: Option<f64> = Type::Ratio, optional;
        /// The share of a label that is spread over all choices.
        label_smoothing: f64 = Type::Ratio, default "0%" formerly ["label_smoothing_factor"];
        /// Which examples make a batch.
        batches: Batches = Type::Choice(Batches::CHOICES), default "shuffled" formerly ["group_by_length"];
        /// In how many bits matrices are multiplied.
        precision: Products = Type::Choice(Products::CHOICES), default "f32";
    }
}

verb! {
    /// Evaluates on the dev set while the stage trains; its end is always evaluated.
    pub struct Evaluate: "evaluate", form "evaluate every 1 epoch { keep: best(f1) }", at [Stage],
        repeats false;
    clauses {
        /// The time between evaluations.
        every: Spanned<Time> = Type::Duration, required;
    }
    block Settings {
        /// Which weights the stage ends with.
        keep: Kept = Type::Choice(Kept::CHOICES), default "last"
            formerly ["load_best_model_at_end", "metric_for_best_model"];
    }
}

verb! {
    /// Silences findings that are no errors, by code.
    pub struct Allow: "allow", form "allow OB0701", at [Recipe, Stage], repeats true;
    operand {
        /// The codes.
        codes: Vec<Spanned<String>> = Type::Names, required;
    }
}

const EXPECT: &Verb = &Verb {
    name: "expect",
    doc: "Ranges that metrics must reach, or the run fails in the end.",
    form: "expect { f1: 85.0 .. 100 }",
    operand: None,
    clauses: &[],
    body: Body::Metrics,
    places: &[Place::Recipe],
    repeats: false,
};

/// All verbs.
pub const VERBS: &[&Verb] = &[
    RECIPE,
    TEMPLATE,
    STAGE,
    BRANCH,
    Keep::VERB,
    Drop::VERB,
    LR,
    Prune::VERB,
    Hold::VERB,
    Freeze::VERB,
    Quantize::VERB,
    Distill::VERB,
    Train::VERB,
    Evaluate::VERB,
    Allow::VERB,
    EXPECT,
];

/// The verb of a name.
pub fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().copied().find(|v| v.name == name)
}
