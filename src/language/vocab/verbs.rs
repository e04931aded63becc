//! The verbs with their operands, clauses and settings.

use crate::language::syntax::ast::Spanned;
use crate::schedule::ir::{Batches, Criterion, Rank};
use crate::schedule::{Ramp, Time};
use crate::settings::declare::{only, setting, word};
use crate::settings::{Get, Read, Setting, Settings, Type, settings};

use super::choices::{DataSets, FinalWeights, Hidden, MatmulPrecision, Models, Patterns, Schemes, Teachers};
use super::operands::{Placed, Targets, TimeRange};
use super::verb::{Body, Place, Statement, Verb, body, verb};

settings! {
    /// Settings of a recipe that its stages share.
    #[derive(Clone, Debug)]
    pub struct RecipeSettings {
        /// The model to start from; `--model` replaces it.
        model: Spanned<ModelValue> = Type::Model, required;
        /// The data that the model is trained and evaluated on.
        data: Spanned<DataSets> = Type::Data, required;
        /// Examples in a training step.
        batch: usize = Type::Count, default "16" formerly ["batch_size", "per_device_train_batch_size"];
        /// The seed of all random numbers.
        seed: u64 = Type::Whole, default "42";
    }
}

/// The value of `model:`.
#[derive(Clone, Debug)]
pub enum ModelValue {
    /// A Hugging Face folder, or a name on the hub.
    Named(String),
    /// A new model with random weights.
    New(Models),
}

/// The value of `distill from`.
#[derive(Clone, Debug)]
pub enum TeacherValue {
    /// A Hugging Face folder, or a name on the hub.
    Named(String),
    /// `teacher` or `self`.
    Word(Teachers),
    /// The name of an earlier stage.
    Stage(String),
}

settings! {
    /// Settings of a stage.
    #[derive(Clone, Debug)]
    pub struct StageSettings {
        /// Examples in a training step, in place of the recipe's.
        batch: Option<usize> = Type::Count, optional formerly ["batch_size", "per_device_train_batch_size"];
    }
}

const EXTENDS: Setting =
    Setting::optional("extends", Type::Template, "A template whose statements and settings are inherited.");

const STAGE_LENGTH: Setting = Setting::optional(
    "for",
    Type::Duration,
    "How long it trains; without it, one-shot pruning or post-training quantization.",
);

const RECIPE: &Verb = &Verb {
    name: "recipe",
    doc: "A complete run: a model, its data, and the statements that train and compress it.",
    form: "recipe NAME for 30 epochs { … }",
    operand: Some(Setting::required("name", Type::NewName, "The recipe's name.")),
    clauses: &[EXTENDS, Setting::optional("for", Type::Duration, "How long the recipe trains.")],
    body: Body::Statements(RecipeSettings::TABLE),
    places: &[Place::File],
    repeats: true,
};

const TEMPLATE: &Verb = &Verb {
    name: "template",
    doc: "Statements that stages and recipes inherit with `extends`.",
    form: "template NAME { param start: ratio = 70% … }",
    operand: Some(Setting::required("name", Type::NewName, "The template's name.")),
    clauses: &[
        Setting::optional("extends", Type::Template, "Another template whose statements are inherited."),
        Setting::optional("for", Type::Duration, "How long a stage trains that gives no length itself."),
    ],
    body: Body::Statements(StageSettings::TABLE),
    places: &[Place::File],
    repeats: true,
};

const STAGE: &Verb = &Verb {
    name: "stage",
    doc: "A part of the run with its own time axis; it starts from the result of the stage before.",
    form: "stage NAME extends TEMPLATE for 10 epochs { … }",
    operand: Some(Setting::required("name", Type::NewName, "The stage's name.")),
    clauses: &[EXTENDS, STAGE_LENGTH],
    body: Body::Statements(StageSettings::TABLE),
    places: &[Place::Recipe],
    repeats: true,
};

const BRANCH: &Verb = &Verb {
    name: "branch",
    doc: "A stage for comparisons: it is evaluated and reported, and no stage starts from its result.",
    form: "branch NAME from STAGE { … }",
    operand: Some(Setting::required("name", Type::NewName, "The branch's name.")),
    clauses: &[
        Setting::required(
            "from",
            Type::Stage,
            "The stage whose result it starts from, or `start` for the model that the run starts from.",
        ),
        EXTENDS,
        STAGE_LENGTH,
    ],
    body: Body::Statements(StageSettings::TABLE),
    places: &[Place::Recipe],
    repeats: true,
};

verb! {
    /// Keeps these encoder layers and drops the others, before anything else happens.
    pub struct Keep: "keep", form "keep layers [0, 2, 4]", at [Recipe, Stage], repeats false;
    clauses {
        /// The layers to keep, counted from 0.
        layers: Spanned<Vec<usize>> = Type::Indices, required;
    }
}

verb! {
    /// Drops these encoder layers and keeps the others, before anything else happens.
    pub struct Drop: "drop", form "drop layers [1, 3, 5]", at [Recipe, Stage], repeats false;
    clauses {
        /// The layers to drop, counted from 0.
        layers: Spanned<Vec<usize>> = Type::Indices, required;
    }
}

const LR: &Verb = &Verb {
    name: "lr",
    doc: "The learning rate schedule: pieces that cover the whole stage, without gap or overlap.",
    form: "lr { 0..2 epochs: 8e-5 -> 8e-6 linear }",
    operand: None,
    clauses: &[],
    body: Body::LrPieces,
    places: &[Place::Stage],
    repeats: false,
};

verb! {
    /// Prunes the least important weights: one-shot, or gradually over a window.
    pub struct Prune: "prune",
        form "prune PARAMS over 2..26 epochs every 4 epochs { sparsity: 70% -> 90% cubic }",
        at [Stage], repeats true;
    operand {
        /// The parameters to prune.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// The first and last pruning event; without it, one-shot pruning at the start.
        over: Option<Spanned<TimeRange>> = Type::Span, optional formerly ["start_epoch", "end_epoch"];
        /// The time between pruning events.
        every: Option<Spanned<Time>> = Type::Duration, optional formerly ["update_frequency"];
    }
    block PruneSettings {
        /// How a weight's importance is computed.
        by: Placed<Criterion> = Type::Choice(Criterion::CHOICES), required;
        /// The fraction of weights that are zero after each pruning event.
        sparsity: Spanned<Ramp> = Type::Sparsity, required
            formerly ["init_sparsity", "final_sparsity", "inter_func"];
        /// Which weights are pruned together.
        pattern: Spanned<Patterns> = Type::Choice(Patterns::CHOICES), default "unstructured"
            formerly ["mask_type", "mask_structure"];
        /// Whether weights are ranked over all parameters or in each.
        rank: Spanned<Rank> = Type::Choice(Rank::CHOICES), default "global" formerly ["global_sparsity"];
        /// The largest sparsity of any one parameter.
        at_most: Option<Spanned<f64>> = Type::Ratio, optional;
        /// The number of training examples on which, after each pruning event, the remaining weights of each layer are fitted
        /// by least squares to the outputs that it had before; without it, they are not.
        reconstruct: Option<usize> = Type::Count, optional;
    }
}

verb! {
    /// Keeps the zeros of the selected parameters zero, as in sparse transfer learning.
    pub struct Hold: "hold", form "hold PARAMS over 0..8 epochs", at [Stage], repeats true;
    operand {
        /// The parameters whose zeros stay zero.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// When it applies; the whole stage if left out.
        over: Option<Spanned<TimeRange>> = Type::Span, optional;
    }
}

verb! {
    /// Excludes the selected parameters from training.
    pub struct Freeze: "freeze", form "freeze PARAMS over 0..2 epochs", at [Stage], repeats true;
    operand {
        /// The parameters that are not trained.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// When it applies; the whole stage if left out.
        over: Option<Spanned<TimeRange>> = Type::Span, optional;
    }
}

verb! {
    /// Quantizes weights and the inputs of their layers: quantization-aware training (QAT), or post-training
    /// quantization (PTQ) in a stage that does not train.
    pub struct Quantize: "quantize",
        form "quantize PARAMS over 0..10 epochs { weights: int8(symmetric, per: channel) }",
        at [Stage], repeats true;
    operand {
        /// The weights of the layers to quantize.
        params: Targets = Type::Params, required;
    }
    clauses {
        /// Fake quantization starts at the window's start and stays on; the observers are updated until its end. The
        /// whole stage if left out.
        over: Option<Spanned<TimeRange>> = Type::Span, optional;
    }
    block Settings {
        /// How weights are quantized.
        weights: Spanned<Schemes> = Type::Choice(Schemes::CHOICES), default "int8" formerly ["weight_bits", "bits", "num_bits"];
        /// How the layers' inputs are quantized.
        activations: Spanned<Schemes> = Type::Choice(Schemes::CHOICES), default "uint8(asymmetric)"
            formerly ["input_activations", "activation_bits"];
        /// When the observers are frozen, counted from the window's start.
        freeze: Option<Spanned<Time>> = Type::After, optional
            formerly ["disable_quantization_observer_epoch"];
        /// Calibration: batches of training data that the observers of activations see before the window opens.
        calibrate: Spanned<usize> = Type::Whole, default "0" formerly ["num_calibration_steps"];
        /// Whether the operands of attention's matrix products, QKᵀ and probabilities × V, are quantized.
        attention: bool = Type::Bool, default "true";
    }
}

verb! {
    /// Knowledge distillation: trains on a teacher's outputs as well as on the labels.
    pub struct Distill: "distill", form "distill from teacher { hardness: 1.0, temperature: 2.0 }",
        at [Stage], repeats false;
    clauses {
        /// The teacher.
        from: Spanned<TeacherValue> = Type::Teacher, required;
        /// When it applies; the whole stage if left out.
        over: Option<Spanned<TimeRange>> = Type::Span, optional;
    }
    block Settings {
        /// The weight h of the distillation loss: `(1 - h) · task loss + h · distillation loss`.
        hardness: Spanned<f64> = Type::Ratio, default "1.0" formerly ["alpha", "distillation_alpha"];
        /// The temperature by which both models' logits are divided.
        temperature: Spanned<f64> = Type::Number, default "2.0";
        /// The outputs to match; all of the task's if left out.
        r#match: Option<Vec<Spanned<String>>> = Type::Names, optional formerly ["distill_output_keys"];
        /// Hidden states to match as well; their error is added to the loss.
        hidden: Option<Spanned<Hidden>> = Type::Choice(Hidden::CHOICES), optional;
    }
}

verb! {
    /// Batches, optimizer (AdamW) and loss of the stage.
    pub struct Train: "train", form "train { weight_decay: 0.01, clip: 1.0 }", at [Recipe, Stage],
        repeats false;
    block Settings {
        /// Gradient accumulation: the number of batches in an optimizer step, which uses the mean gradient of all their
        /// examples.
        accumulate: usize = Type::Count, default "1" formerly ["gradient_accumulation_steps"];
        /// AdamW's decoupled weight decay.
        weight_decay: Spanned<f64> = Type::Number, default "0.01";
        /// AdamW's β₁, the decay of the first moment.
        beta1: f64 = Type::Ratio, default "0.9";
        /// AdamW's β₂, the decay of the second moment.
        beta2: f64 = Type::Ratio, default "0.999";
        /// AdamW's ε.
        epsilon: f64 = Type::Rate, default "1e-8";
        /// Gradient clipping: the largest global norm; 0 for none.
        clip: Spanned<f64> = Type::Number, default "1.0" formerly ["max_grad_norm"];
        /// The dropout probability, in place of the model's own.
        dropout: Option<f64> = Type::Ratio, optional;
        /// Label smoothing ε: the fraction of the target that is spread over all classes.
        label_smoothing: f64 = Type::Ratio, default "0%" formerly ["label_smoothing_factor"];
        /// Which examples make a batch.
        batches: Batches = Type::Choice(Batches::CHOICES), default "shuffled" formerly ["group_by_length"];
        /// The floating-point format of matrix products.
        precision: MatmulPrecision = Type::Choice(MatmulPrecision::CHOICES), default "f32";
    }
}

verb! {
    /// Evaluates on the dev set during training; the end of a stage is always evaluated.
    pub struct Evaluate: "evaluate", form "evaluate every 1 epoch { keep: best(f1) }", at [Stage],
        repeats false;
    clauses {
        /// The time between evaluations.
        every: Spanned<Time> = Type::Duration, required;
    }
    block Settings {
        /// Whether the stage ends with its last weights or with those of the best evaluation.
        keep: FinalWeights = Type::Choice(FinalWeights::CHOICES), default "last"
            formerly ["load_best_model_at_end", "metric_for_best_model"];
    }
}

verb! {
    /// Silences warnings and advice by code.
    pub struct Allow: "allow", form "allow OB0701", at [Recipe, Stage], repeats true;
    operand {
        /// The codes.
        codes: Vec<Spanned<String>> = Type::Names, required;
    }
}

const EXPECT: &Verb = &Verb {
    name: "expect",
    doc: "Ranges in which the final metrics must lie; otherwise the run fails at its end.",
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

/// The verb with this name.
pub fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().copied().find(|v| v.name == name)
}
