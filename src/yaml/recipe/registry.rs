//! Every modifier by name: its fields, or what to use instead.
//!
//! The fields are those of SparseML 1.8's constructors and of llm-compressor's models. `log_types`
//! is accepted everywhere and does nothing.

/// A modifier that SparseML or llm-compressor knows.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// Fields of the tagged form.
    pub(crate) fields: &'static [Field],
    /// Fields of the form without tags, where it has one.
    pub(crate) untagged: &'static [Field],
}

/// A field and whether it must be given.
pub(crate) type Field = (&'static str, bool);

/// How a modifier is translated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Family {
    EpochRange,
    LrFunction,
    LrClass,
    SetLr,
    WeightDecay,
    Trainable,
    /// Pruning by magnitude; whether all parameters are ranked together.
    Magnitude {
        global: bool,
    },
    /// The same with more fields of old.
    Gm,
    Movement,
    Obs,
    Constant,
    Distillation,
    PerLayerDistillation,
    OutputDistillation,
    Quantization,
    LayerPruning,
    /// Left out with a note.
    Logging,
    /// Refused, with what to use instead.
    Refused(&'static str),
}

const YES: bool = true;
const NO: bool = false;

/// Fields of every gradual pruner.
const GRADUAL: [Field; 8] = [
    ("init_sparsity", YES),
    ("final_sparsity", YES),
    ("start_epoch", YES),
    ("end_epoch", YES),
    ("update_frequency", YES),
    ("params", YES),
    ("leave_enabled", NO),
    ("inter_func", NO),
];

const MAGNITUDE: &[Field] = &with::<9>(&[("mask_type", NO)]);
const GM: &[Field] =
    &with::<12>(&[("mask_type", NO), ("global_sparsity", NO), ("phased", NO), ("score_type", NO)]);
const OBS: &[Field] = &with::<15>(&[
    ("global_sparsity", NO),
    ("mask_type", NO),
    ("num_grads", NO),
    ("damp", NO),
    ("fisher_block_size", NO),
    ("grad_sampler_kwargs", NO),
    ("num_recomputations", NO),
]);

/// The gradual pruners' fields and some more.
const fn with<const N: usize>(more: &[Field]) -> [Field; N] {
    let mut all = [("", NO); N];
    let mut i = 0;
    while i < N {
        all[i] = if i < GRADUAL.len() { GRADUAL[i] } else { more[i - GRADUAL.len()] };
        i += 1;
    }
    all
}

/// Fields that only the older quantizer has; one of them selects it.
pub(crate) const LEGACY_QUANTIZATION: &[&str] = &[
    "activation_bits",
    "activation_qconfig_kwargs",
    "custom_quantizable_module_types",
    "exclude_batchnorm",
    "exclude_module_types",
    "quantize_conv_activations",
    "quantize_embedding_activations",
    "quantize_embeddings",
    "quantize_linear_activations",
    "reduce_range",
    "submodules",
    "tensorrt",
    "weight_bits",
    "weight_qconfig_kwargs",
];

const QUANTIZATION: &[Field] = &[
    ("start_epoch", NO),
    ("end_epoch", NO),
    ("scheme", NO),
    ("scheme_overrides", NO),
    ("ignore", NO),
    ("disable_quantization_observer_epoch", NO),
    ("freeze_bn_stats_epoch", NO),
    ("model_fuse_fn_name", NO),
    ("model_fuse_fn_kwargs", NO),
    ("num_calibration_steps", NO),
    ("strict", NO),
    ("activation_bits", NO),
    ("activation_qconfig_kwargs", NO),
    ("custom_quantizable_module_types", NO),
    ("exclude_batchnorm", NO),
    ("exclude_module_types", NO),
    ("quantize_conv_activations", NO),
    ("quantize_embedding_activations", NO),
    ("quantize_embeddings", NO),
    ("quantize_linear_activations", NO),
    ("reduce_range", NO),
    ("submodules", NO),
    ("tensorrt", NO),
    ("weight_bits", NO),
    ("weight_qconfig_kwargs", NO),
];

/// The fields of three classes: SparseML's two quantizers and llm-compressor's, which share a name.
const UNTAGGED_QUANTIZATION: &[Field] = &[
    ("start", NO),
    ("end", NO),
    ("update", NO),
    ("config_groups", NO),
    ("scheme", NO),
    ("scheme_overrides", NO),
    ("targets", NO),
    ("ignore", NO),
    ("disable_quantization_observer_epoch", NO),
    ("freeze_bn_stats_epoch", NO),
    ("model_fuse_fn_name", NO),
    ("model_fuse_fn_kwargs", NO),
    ("num_calibration_steps", NO),
    ("post_oneshot_calibration", NO),
    ("strict", NO),
    ("kv_cache_scheme", NO),
    ("weight_observer", NO),
    ("input_observer", NO),
    ("output_observer", NO),
    ("observer", NO),
    ("bypass_divisibility_checks", NO),
];

const UNTAGGED_MAGNITUDE: &[Field] = &[
    ("targets", YES),
    ("init_sparsity", YES),
    ("final_sparsity", YES),
    ("start", YES),
    ("end", YES),
    ("update", NO),
    ("update_scheduler", NO),
    ("scheduler_args", NO),
    ("mask_structure", NO),
    ("leave_enabled", NO),
    ("apply_globally", NO),
];

const fn known(
    name: &'static str,
    family: Family,
    fields: &'static [Field],
    untagged: &'static [Field],
) -> Known {
    Known { name, family, fields, untagged }
}

const fn refused(name: &'static str, instead: &'static str) -> Known {
    known(name, Family::Refused(instead), &[], &[])
}

/// Every modifier.
pub(crate) const MODIFIERS: &[Known] = &[
    known("EpochRangeModifier", Family::EpochRange, &[("start_epoch", YES), ("end_epoch", YES)], &[]),
    known(
        "LearningRateFunctionModifier",
        Family::LrFunction,
        &[
            ("lr_func", YES),
            ("init_lr", YES),
            ("final_lr", YES),
            ("start_epoch", YES),
            ("end_epoch", YES),
            ("cycle_epochs", NO),
            ("param_groups", NO),
            ("update_frequency", NO),
        ],
        &[],
    ),
    known(
        "LearningRateModifier",
        Family::LrClass,
        &[
            ("lr_class", YES),
            ("lr_kwargs", YES),
            ("init_lr", YES),
            ("start_epoch", YES),
            ("end_epoch", NO),
            ("update_frequency", NO),
            ("constant_logging", NO),
        ],
        &[],
    ),
    known(
        "SetLearningRateModifier",
        Family::SetLr,
        &[
            ("learning_rate", YES),
            ("param_groups", NO),
            ("start_epoch", NO),
            ("end_epoch", NO),
            ("constant_logging", NO),
        ],
        &[],
    ),
    known(
        "SetWeightDecayModifier",
        Family::WeightDecay,
        &[
            ("weight_decay", YES),
            ("start_epoch", NO),
            ("end_epoch", NO),
            ("param_groups", NO),
            ("constant_logging", NO),
        ],
        &[],
    ),
    known(
        "TrainableParamsModifier",
        Family::Trainable,
        &[("params", YES), ("trainable", YES), ("params_strict", NO), ("start_epoch", NO), ("end_epoch", NO)],
        &[],
    ),
    known("MagnitudePruningModifier", Family::Magnitude { global: false }, MAGNITUDE, UNTAGGED_MAGNITUDE),
    known("GlobalMagnitudePruningModifier", Family::Magnitude { global: true }, MAGNITUDE, &[]),
    known("GMPruningModifier", Family::Gm, GM, &[]),
    known("MovementPruningModifier", Family::Movement, MAGNITUDE, &[]),
    known("OBSPruningModifier", Family::Obs, OBS, &[]),
    known(
        "ConstantPruningModifier",
        Family::Constant,
        &[("params", YES), ("start_epoch", NO), ("end_epoch", NO), ("update_frequency", NO)],
        &[("targets", YES), ("start", NO), ("end", NO), ("update", NO)],
    ),
    known(
        "DistillationModifier",
        Family::Distillation,
        &[
            ("start_epoch", NO),
            ("end_epoch", NO),
            ("distill_output_keys", NO),
            ("teacher_input_keys", NO),
            ("update_frequency", NO),
            ("hardness", NO),
            ("temperature", NO),
        ],
        &[],
    ),
    known(
        "PerLayerDistillationModifier",
        Family::PerLayerDistillation,
        &[
            ("gain", NO),
            ("start_epoch", NO),
            ("end_epoch", NO),
            ("update_frequency", NO),
            ("normalize", NO),
            ("student_layer_names", NO),
            ("teacher_layer_names", NO),
            ("project_features", NO),
            ("epsilon", NO),
        ],
        &[],
    ),
    known(
        "OutputDistillationModifier",
        Family::OutputDistillation,
        &[],
        &[
            ("targets", YES),
            ("projection", NO),
            ("projection_args", NO),
            ("projection_from", NO),
            ("transforms", NO),
            ("transforms_args", NO),
            ("comparison", NO),
            ("comparison_args", NO),
            ("orig_scale", NO),
            ("distill_scale", NO),
            ("start", NO),
            ("end", NO),
            ("update", NO),
        ],
    ),
    known("QuantizationModifier", Family::Quantization, QUANTIZATION, UNTAGGED_QUANTIZATION),
    known("LegacyQuantizationModifier", Family::Quantization, &[], UNTAGGED_QUANTIZATION),
    known(
        "LayerPruningModifier",
        Family::LayerPruning,
        &[("layers", YES), ("start_epoch", NO), ("end_epoch", NO), ("update_frequency", NO)],
        &[],
    ),
    known(
        "SparsificationLoggingModifier",
        Family::Logging,
        &[("start_epoch", NO), ("end_epoch", NO), ("update_frequency", NO)],
        &[],
    ),
    refused("SetParamModifier", "set the parameter in the model before the run"),
    refused("GradualParamModifier", "obert does not move single parameters; train them, or `freeze` them"),
    refused(
        "StructuredPruningModifier",
        "prune whole rows or columns with `prune … { by: magnitude, pattern: rows }`; `filter` is `rows`, `channel` is `columns`",
    ),
    refused(
        "MFACPruningModifier",
        "use OBSPruningModifier: the same estimate with exact blocks, `prune … { by: obs(block: 50) }`",
    ),
    refused(
        "ACDCPruningModifier",
        "masks only grow here; use OBSPruningModifier or GlobalMagnitudePruningModifier",
    ),
    refused("RigLPruningModifier", "masks only grow here; use OBSPruningModifier or MovementPruningModifier"),
    refused(
        "TopKASTPruningModifier",
        "masks only grow here; use OBSPruningModifier or MovementPruningModifier",
    ),
    refused("PowerpropagationModifier", "weights are trained as they are; use OBSPruningModifier"),
    refused(
        "LayerThinningModifier",
        "`keep layers` and `drop layers` remove whole layers; rows and columns are not cut out",
    ),
    refused(
        "SparseGPTModifier",
        "use `prune … { by: obs(…) }`, which measures the loss itself instead of each layer's output",
    ),
    refused(
        "WandaPruningModifier",
        "use `prune … { by: magnitude, rank: layer }`, or `by: obs(…)` for better",
    ),
    refused("WandaModifier", "use `prune … { by: magnitude, rank: layer }`, or `by: obs(…)` for better"),
    refused(
        "GPTQModifier",
        "use QuantizationModifier, or `quantize … { weights: int8(symmetric, per: channel) }`, which trains",
    ),
    refused(
        "SmoothQuantModifier",
        "ranges are learned in training here: leave it out, and quantize with training",
    ),
    refused(
        "LogarithmicEqualizationModifier",
        "ranges are learned in training here: leave it out, and quantize with training",
    ),
    refused(
        "AWQModifier",
        "use QuantizationModifier, or `quantize … { weights: int4(symmetric, per: channel) }`, which trains",
    ),
    refused("AutoRoundModifier", "use QuantizationModifier, or `quantize … { … }`, which trains"),
    refused(
        "SpinQuantModifier",
        "rotations of a model are not part of a recipe here; use QuantizationModifier",
    ),
    refused("QuIPModifier", "rotations of a model are not part of a recipe here; use QuantizationModifier"),
    refused("REAPModifier", "there are no mixtures of experts here"),
    refused("REAPPruningModifier", "there are no mixtures of experts here"),
];

/// A usual name for the group of a modifier.
pub(crate) fn group_of(modifier: &str) -> &'static str {
    let groups = [
        ("Distillation", "distillation_modifiers"),
        ("Quantization", "quantization_modifiers"),
        ("Pruning", "pruning_modifiers"),
    ];
    groups.iter().find(|(word, _)| modifier.contains(word)).map_or("training_modifiers", |(_, group)| group)
}

/// The modifier of a name.
pub(crate) fn find(name: &str) -> Option<&'static Known> {
    MODIFIERS.iter().find(|m| m.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_26_modifiers_of_the_first_dialect_are_known_by_name() {
        let names = [
            "EpochRange",
            "LearningRateFunction",
            "LearningRate",
            "SetLearningRate",
            "SetWeightDecay",
            "TrainableParams",
            "SetParam",
            "GradualParam",
            "GMPruning",
            "MagnitudePruning",
            "GlobalMagnitudePruning",
            "MovementPruning",
            "StructuredPruning",
            "OBSPruning",
            "MFACPruning",
            "ACDCPruning",
            "ConstantPruning",
            "RigLPruning",
            "TopKASTPruning",
            "Powerpropagation",
            "LayerPruning",
            "LayerThinning",
            "Distillation",
            "PerLayerDistillation",
            "Quantization",
            "SparsificationLogging",
        ];
        assert_eq!(names.len(), 26);
        for name in names {
            assert!(find(&format!("{name}Modifier")).is_some(), "{name}");
        }
    }

    #[test]
    fn the_older_quantizers_fields_are_fields() {
        for field in LEGACY_QUANTIZATION {
            assert!(QUANTIZATION.iter().any(|(name, _)| name == field), "{field}");
        }
    }
}
