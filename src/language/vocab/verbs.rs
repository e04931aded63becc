//! The verbs.

use super::types::{Choice, Setting, Type};

/// A verb and all that may stand with it.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// The word.
    pub name: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
    /// How a statement of it looks, for messages and the reference.
    pub form: &'static str,
    /// What stands right behind the verb.
    pub operand: Option<Setting>,
    /// Words with a value that follow, in any order.
    pub clauses: &'static [Clause],
    /// What its block holds.
    pub body: Body,
    /// Where it may stand.
    pub places: &'static [Place],
    /// Whether it may stand more than once in one place.
    pub repeats: bool,
}

/// `word value` behind a verb, such as `over 2..26 epochs`.
pub type Clause = Setting;

/// What a verb's block holds.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// There is no block.
    None,
    /// `name: value` lines.
    Settings(&'static [Setting]),
    /// `name: value` lines, and `target PARAMS: 90%` lines.
    PruneSettings(&'static [Setting]),
    /// `window: rates` lines, and `factor PARAMS: 10` lines.
    LrPieces,
    /// `metric: interval` lines.
    Metrics,
    /// Other statements, and settings of the stage.
    Statements(&'static [Setting]),
}

/// Where a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top of a file.
    File,
    /// In a recipe, outside its stages.
    Recipe,
    /// In a stage, a branch or a template, or in a recipe that has no stages.
    Stage,
}

/// What `distill { hidden: … }` may be.
pub const HIDDEN: &[Choice] = &[Choice {
    name: "states",
    arguments: &[
        Setting::required("of", Type::Text, "The student's modules, such as `bert.encoder.layer.*`.")
            .formerly(&["student_layer_names"]),
        Setting::optional("teacher", Type::Text, "The teacher's, in the same order; the same if left out.")
            .formerly(&["teacher_layer_names"]),
        Setting::with_default("gain", Type::Number, "1.5", "What the sum of the errors is multiplied by."),
        Setting::with_default(
            "normalize",
            Type::Bool,
            "true",
            "Whether each error is divided by the mean square of the teacher's.",
        ),
        Setting::with_default("epsilon", Type::Rate, "1e-6", "Added to that mean square."),
    ],
    doc: "The mean squared error of modules' outputs.",
}];

/// Which weights a stage ends with.
pub const KEPT: &[Choice] = &[
    Choice::word("last", "Those of its last step."),
    Choice {
        name: "best",
        arguments: &[Setting::required(
            "metric",
            Type::NewName,
            "The metric, such as `f1`; of `loss` and `perplexity` the least is best.",
        )],
        doc: "Those of the best measurement since the last pruning instant, as `best(f1)`.",
    },
];

/// Which examples make a batch.
pub const BATCHES: &[Choice] = &[
    Choice::word("shuffled", "Any, in an order drawn for every epoch."),
    Choice::word("bucketed", "Those of about one length: less padding where batches are padded."),
];

/// In how many bits products are computed while a stage trains.
pub const PRODUCTS: &[Choice] = &[
    Choice::word("f32", "32 bits."),
    Choice::word("bf16", "16 bits where the device has them, as graphics processors do; weights stay in 32."),
];

/// Which weights go together.
pub const PATTERNS: &[Choice] = &[
    Choice::word("unstructured", "Every weight by itself."),
    Choice {
        name: "blocks",
        arguments: &[
            Setting::required("outputs", Type::Count, "Outputs of a block; only 1 is known."),
            Setting::required("inputs", Type::Count, "Consecutive inputs of one output."),
        ],
        doc: "Runs of consecutive inputs of one output, as `blocks(1, 4)`.",
    },
    Choice {
        name: "n_of_m",
        arguments: &[
            Setting::required("keep", Type::Count, "Weights of a run that stay."),
            Setting::required("of", Type::Count, "Weights in a run."),
        ],
        doc: "Of each run of consecutive inputs so many stay, as `n_of_m(2, 4)`.",
    },
    Choice::word("rows", "Whole outputs."),
    Choice::word("columns", "Whole inputs."),
];

/// Where zero lies in a range of integers.
const ZEROS: &[Choice] = &[
    Choice::word("symmetric", "In the middle: zero stays exactly zero."),
    Choice::word("asymmetric", "Anywhere: the range is used up."),
];

/// What shares a scale.
const SCALES: &[Choice] =
    &[Choice::word("tensor", "All values together."), Choice::word("channel", "The weights of each output.")];

/// Arguments of a rounding scheme.
const SCHEME: &[Setting] = &[
    Setting::with_default("zero", Type::Choice(ZEROS), "symmetric", "Where zero lies in the range."),
    Setting::with_default("per", Type::Choice(SCALES), "tensor", "What shares a scale."),
];

/// How values are rounded.
pub const SCHEMES: &[Choice] = &[
    Choice { name: "int8", arguments: SCHEME, doc: "Eight bits, from -128 to 127." },
    Choice { name: "uint8", arguments: SCHEME, doc: "Eight bits, from 0 to 255." },
    Choice { name: "int4", arguments: SCHEME, doc: "Four bits, from -8 to 7." },
    Choice::word("none", "Not rounded."),
];

/// How surviving weights make up for removed ones.
pub const UPDATES: &[Choice] = &[
    Choice::word("independent", "Each removed weight as if removed alone: the paper's and SparseML's."),
    Choice::word("exact", "All weights removed from a Fisher block together."),
];

/// In how many bits gradients are stored.
pub const PRECISIONS: &[Choice] = &[
    Choice::word("f32", "32 bits."),
    Choice::word("bf16", "16 bits: half the memory, enough where gradients outnumber a block's weights."),
];

/// Among which weights the least important are sought.
const RANKS: &[Choice] = &[
    Choice::word("global", "All selected parameters together."),
    Choice::word("layer", "Each parameter by itself."),
];

/// How importance is measured.
const CRITERIA: &[Choice] = &[
    Choice::word("magnitude", "The weight's absolute value."),
    Choice::word("movement", "How far the weight moves away from zero while it is trained."),
    Choice {
        name: "obs",
        arguments: &[
            Setting::with_default(
                "gradients",
                Type::Count,
                "1024",
                "Gradients in an estimate of the Fisher matrix.",
            )
            .formerly(&["num_grads"]),
            Setting::with_default("block", Type::Count, "50", "Consecutive weights of a Fisher block.")
                .formerly(&["fisher_block_size"]),
            Setting::with_default(
                "damp",
                Type::Damp,
                "1e-7",
                "Added to the Fisher matrix's diagonal; with `or raise`, tenfold where it is too small.",
            )
            .formerly(&["dampening", "dampening_frac"]),
            Setting::with_default("batch", Type::Count, "8", "Examples whose mean loss gives one gradient.")
                .formerly(&["batch_size", "grad_sampler_kwargs"]),
            Setting::with_default("recompute", Type::Count, "1", "Estimates in one pruning event.")
                .formerly(&["num_recomputations"]),
            Setting::with_default(
                "update",
                Type::Choice(UPDATES),
                "exact",
                "How the weights that stay make up for those that go.",
            ),
            Setting::optional("memory", Type::Bytes, "The most memory for an estimate."),
            Setting::with_default(
                "precision",
                Type::Choice(PRECISIONS),
                "f32",
                "How gradients are stored until they are summed.",
            ),
            Setting::with_default(
                "correlated",
                Type::Bool,
                "false",
                "Whether saliencies are refreshed after every removal from a Fisher block.",
            ),
        ],
        doc: "The rise of the loss when a weight is removed, to second order: the Optimal BERT Surgeon.",
    },
];

/// How long texts are cut into windows.
const WINDOWS: &[Setting] = &[
    Setting::with_default("max_length", Type::Count, "384", "The longest sequence, in tokens.")
        .formerly(&["max_seq_length"]),
    Setting::with_default("doc_stride", Type::Count, "128", "Overlap of windows of a long text, in tokens."),
];

/// How long the sequences of a classifier are.
const MAX_LENGTH: Setting =
    Setting::with_default("max_length", Type::Count, "128", "The longest sequence, in tokens.")
        .formerly(&["max_seq_length"]);

/// The task's data.
pub const DATA: &[Choice] = &[
    Choice {
        name: "squad",
        arguments: WINDOWS,
        doc: "Question answering: SQuAD v1.1 in `--data`: `train*` and `dev*` files (json, parquet).",
    },
    Choice {
        name: "squad_v2",
        arguments: WINDOWS,
        doc: "The same with questions that have no answer: SQuAD v2.0.",
    },
    Choice {
        name: "mnli",
        arguments: &[MAX_LENGTH],
        doc: "Sentence pairs of MNLI: `train*` and `dev*` tables (tsv, csv, jsonl, parquet) in `--data`.",
    },
    Choice {
        name: "qqp",
        arguments: &[MAX_LENGTH],
        doc: "Question pairs of QQP: `train*` and `dev*` tables (tsv, csv, jsonl, parquet) in `--data`.",
    },
    Choice {
        name: "classify",
        arguments: &[
            Setting::required("text", Type::Text, "The column of the text."),
            Setting::optional("pair", Type::Text, "The column of a second text."),
            Setting::with_default("label", Type::Text, "\"label\"", "The column of the label."),
            Setting::optional(
                "labels",
                Type::Names,
                "The labels in the order of the model's outputs; those of the training data if left out.",
            ),
            MAX_LENGTH,
        ],
        doc: "Texts or pairs of texts with a label each: `train*` and `dev*` tables (tsv, csv, jsonl, parquet) in `--data`.",
    },
    Choice {
        name: "masked_text",
        arguments: &[Setting::with_default(
            "max_length",
            Type::Count,
            "512",
            "The length of a sequence, in tokens.",
        )
        .formerly(&["max_seq_length"])],
        doc: "Masked-language modelling: `train*` and `dev*` texts (txt, jsonl, parquet) in `--data`.",
    },
    Choice::word("own", "Whatever the program brings that runs the recipe; not for `obertc run`."),
    Choice {
        name: "builtin_reading",
        arguments: &[
            Setting::with_default("train", Type::Count, "4000", "Questions to train on."),
            Setting::with_default("dev", Type::Count, "400", "Held-out questions."),
        ],
        doc: "Generated reading comprehension in SQuAD's shape; needs no download.",
    },
];

/// New models.
pub const MODELS: &[Choice] = &[Choice {
    name: "bert",
    arguments: &[
        Setting::required("layers", Type::Count, "Encoder layers."),
        Setting::required("hidden", Type::Count, "Width of the hidden states."),
        Setting::required("heads", Type::Count, "Attention heads in a layer."),
        Setting::optional(
            "intermediate",
            Type::Count,
            "Width of the feed-forward layer; 4 × hidden if left out.",
        ),
        Setting::with_default("positions", Type::Count, "512", "The longest sequence, in tokens."),
    ],
    doc: "A new BERT with random weights; its vocabulary is the data's.",
}];

/// Words for a teacher that are no stage.
pub const TEACHERS: &[Choice] = &[
    Choice::word("teacher", "The model given by `--teacher`."),
    Choice::word("self", "The model as it was when the stage began."),
];

/// Settings of a recipe that its stages share.
const RECIPE_SETTINGS: &[Setting] = &[
    Setting::required("model", Type::Model, "The model to start from; `--model` replaces it."),
    Setting::required("data", Type::Data, "What the model is trained and measured on."),
    Setting::with_default("batch", Type::Count, "16", "Examples in a training step.")
        .formerly(&["batch_size", "per_device_train_batch_size"]),
    Setting::with_default("seed", Type::Whole, "42", "The seed of everything random."),
];

/// Settings that a stage may say for itself.
const STAGE_SETTINGS: &[Setting] =
    &[Setting::optional("batch", Type::Count, "Examples in a training step, in place of the recipe's.")
        .formerly(&["batch_size", "per_device_train_batch_size"])];

/// All verbs.
pub const VERBS: &[Verb] = &[
    Verb {
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
        body: Body::Statements(RECIPE_SETTINGS),
        places: &[Place::File],
        repeats: true,
    },
    Verb {
        name: "template",
        doc: "Statements that stages and recipes can take over with `extends`.",
        form: "template NAME { param start: ratio = 70% … }",
        operand: Some(Setting::required("name", Type::NewName, "Its name.")),
        clauses: &[
            Setting::optional("extends", Type::Template, "Another template that it builds on."),
            Setting::optional("for", Type::Duration, "How long it trains unless the stage says."),
        ],
        body: Body::Statements(STAGE_SETTINGS),
        places: &[Place::File],
        repeats: true,
    },
    Verb {
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
        body: Body::Statements(STAGE_SETTINGS),
        places: &[Place::Recipe],
        repeats: true,
    },
    Verb {
        name: "branch",
        doc: "A stage that is measured and reported, and not carried on: for comparisons.",
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
        body: Body::Statements(STAGE_SETTINGS),
        places: &[Place::Recipe],
        repeats: true,
    },
    Verb {
        name: "keep",
        doc: "Keeps some layers of the encoder and drops the others, before anything else.",
        form: "keep layers [0, 2, 4]",
        operand: None,
        clauses: &[Setting::required("layers", Type::Indices, "The layers that stay, counted from 0.")],
        body: Body::None,
        places: &[Place::Recipe, Place::Stage],
        repeats: false,
    },
    Verb {
        name: "drop",
        doc: "Drops some layers of the encoder and keeps the others, before anything else.",
        form: "drop layers [1, 3, 5]",
        operand: None,
        clauses: &[Setting::required("layers", Type::Indices, "The layers that go, counted from 0.")],
        body: Body::None,
        places: &[Place::Recipe, Place::Stage],
        repeats: false,
    },
    Verb {
        name: "lr",
        doc: "The learning rate over the whole stage, piece by piece, without gap or overlap.",
        form: "lr { 0..2 epochs: 8e-5 -> 8e-6 linear }",
        operand: None,
        clauses: &[],
        body: Body::LrPieces,
        places: &[Place::Stage],
        repeats: false,
    },
    Verb {
        name: "prune",
        doc: "Removes the least important weights: at once, or more and more over a window.",
        form: "prune PARAMS over 2..26 epochs every 4 epochs { sparsity: 70% -> 90% cubic }",
        operand: Some(Setting::required("params", Type::Params, "The parameters to prune.")),
        clauses: &[
            Setting::optional(
                "over",
                Type::Span,
                "The first and last pruning instant; without it, once, at the start.",
            )
            .formerly(&["start_epoch", "end_epoch"]),
            Setting::optional("every", Type::Duration, "The time between pruning instants.")
                .formerly(&["update_frequency"]),
        ],
        body: Body::PruneSettings(&[
            Setting::required("by", Type::Choice(CRITERIA), "How a weight's importance is measured."),
            Setting::required("sparsity", Type::Sparsity, "The share of weights that are zero afterwards.")
                .formerly(&["init_sparsity", "final_sparsity", "inter_func"]),
            Setting::with_default(
                "pattern",
                Type::Choice(PATTERNS),
                "unstructured",
                "Which weights go together.",
            )
            .formerly(&["mask_type", "mask_structure"]),
            Setting::with_default(
                "rank",
                Type::Choice(RANKS),
                "global",
                "Among which weights the least important are sought.",
            )
            .formerly(&["global_sparsity"]),
        ]),
        places: &[Place::Stage],
        repeats: true,
    },
    Verb {
        name: "hold",
        doc: "Keeps every zero of the selected parameters zero.",
        form: "hold PARAMS over 0..8 epochs",
        operand: Some(Setting::required("params", Type::Params, "The parameters whose zeros stay.")),
        clauses: &[Setting::optional("over", Type::Span, "When; the whole stage if left out.")],
        body: Body::None,
        places: &[Place::Stage],
        repeats: true,
    },
    Verb {
        name: "freeze",
        doc: "Leaves the selected parameters as they are.",
        form: "freeze PARAMS over 0..2 epochs",
        operand: Some(Setting::required("params", Type::Params, "The parameters that are not trained.")),
        clauses: &[Setting::optional("over", Type::Span, "When; the whole stage if left out.")],
        body: Body::None,
        places: &[Place::Stage],
        repeats: true,
    },
    Verb {
        name: "quantize",
        doc: "Trains with weights and inputs rounded to few bits.",
        form: "quantize PARAMS over 0..10 epochs { weights: int8(symmetric, per: channel) }",
        operand: Some(Setting::required("params", Type::Params, "The weights whose layers are rounded.")),
        clauses: &[Setting::optional("over", Type::Span, "When; the whole stage if left out.")],
        body: Body::Settings(&[
            Setting::with_default("weights", Type::Choice(SCHEMES), "int8", "How weights are rounded.")
                .formerly(&["weight_bits"]),
            Setting::with_default(
                "activations",
                Type::Choice(SCHEMES),
                "uint8(asymmetric)",
                "How the layers' inputs are rounded.",
            )
            .formerly(&["input_activations", "activation_bits"]),
            Setting::optional(
                "freeze",
                Type::After,
                "When observed ranges are fixed, counted from the window's start.",
            )
            .formerly(&["disable_quantization_observer_epoch"]),
            Setting::with_default(
                "calibrate",
                Type::Whole,
                "0",
                "Batches that are observed before the window opens.",
            )
            .formerly(&["num_calibration_steps"]),
            Setting::with_default(
                "attention",
                Type::Bool,
                "true",
                "Whether the two products of attention are rounded.",
            ),
        ]),
        places: &[Place::Stage],
        repeats: true,
    },
    Verb {
        name: "distill",
        doc: "Learns from another model's outputs besides the labels.",
        form: "distill from teacher { hardness: 1.0, temperature: 2.0 }",
        operand: None,
        clauses: &[
            Setting::required("from", Type::Teacher, "Whom to learn from."),
            Setting::optional("over", Type::Span, "When; the whole stage if left out."),
        ],
        body: Body::Settings(&[
            Setting::with_default("hardness", Type::Ratio, "1.0", "The teacher's share of the loss."),
            Setting::with_default(
                "temperature",
                Type::Number,
                "2.0",
                "What both models' logits are divided by.",
            ),
            Setting::optional("match", Type::Names, "The outputs to match; all of the task's if left out.")
                .formerly(&["distill_output_keys"]),
            Setting::optional(
                "hidden",
                Type::Choice(HIDDEN),
                "Outputs inside the model to match besides; their error is added to the loss.",
            ),
        ]),
        places: &[Place::Stage],
        repeats: false,
    },
    Verb {
        name: "train",
        doc: "How the stage trains.",
        form: "train { weight_decay: 0.01, clip: 1.0 }",
        operand: None,
        clauses: &[],
        body: Body::Settings(&[
            Setting::with_default(
                "accumulate",
                Type::Count,
                "1",
                "Batches whose gradients are summed before a step.",
            )
            .formerly(&["gradient_accumulation_steps"]),
            Setting::with_default("weight_decay", Type::Number, "0.01", "AdamW's decoupled weight decay."),
            Setting::with_default("beta1", Type::Ratio, "0.9", "AdamW's decay of the first moment."),
            Setting::with_default("beta2", Type::Ratio, "0.999", "AdamW's decay of the second moment."),
            Setting::with_default("epsilon", Type::Rate, "1e-8", "AdamW's epsilon."),
            Setting::with_default(
                "clip",
                Type::Number,
                "1.0",
                "The largest global gradient norm; 0 for no clipping.",
            )
            .formerly(&["max_grad_norm"]),
            Setting::optional("dropout", Type::Ratio, "Dropout in place of the model's own."),
            Setting::with_default(
                "label_smoothing",
                Type::Ratio,
                "0%",
                "The share of a label that is spread over all choices.",
            )
            .formerly(&["label_smoothing_factor"]),
            Setting::with_default(
                "batches",
                Type::Choice(BATCHES),
                "shuffled",
                "Which examples make a batch.",
            )
            .formerly(&["group_by_length"]),
            Setting::with_default(
                "precision",
                Type::Choice(PRODUCTS),
                "f32",
                "In how many bits matrices are multiplied.",
            ),
        ]),
        places: &[Place::Recipe, Place::Stage],
        repeats: false,
    },
    Verb {
        name: "evaluate",
        doc: "Measures on held-out data while the stage trains; its end is always measured.",
        form: "evaluate every 1 epoch { keep: best(f1) }",
        operand: None,
        clauses: &[Setting::required("every", Type::Duration, "The time between measurements.")],
        body: Body::Settings(&[Setting::with_default(
            "keep",
            Type::Choice(KEPT),
            "last",
            "Which weights the stage ends with.",
        )
        .formerly(&["load_best_model_at_end", "metric_for_best_model"])]),
        places: &[Place::Stage],
        repeats: false,
    },
    Verb {
        name: "allow",
        doc: "Silences findings that are no errors, by code.",
        form: "allow OB0701",
        operand: Some(Setting::required("codes", Type::Names, "The codes.")),
        clauses: &[],
        body: Body::None,
        places: &[Place::Recipe, Place::Stage],
        repeats: true,
    },
    Verb {
        name: "expect",
        doc: "Ranges that metrics must reach, or the run fails in the end.",
        form: "expect { f1: 85.0 .. 100 }",
        operand: None,
        clauses: &[],
        body: Body::Metrics,
        places: &[Place::Recipe],
        repeats: false,
    },
];

/// The verb of a name.
pub fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|v| v.name == name)
}
