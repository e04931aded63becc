//! Table of all modifiers of SparseML and llm-compressor: their fields, or what to use instead.
//!
//! The fields are those of SparseML 1.8's constructors and of llm-compressor's models. `log_types`
//! is accepted everywhere and does nothing.

use super::field_tables::{
    Field, GM, MAGNITUDE, NO, OBS, QUANTIZATION, UNTAGGED_MAGNITUDE, UNTAGGED_QUANTIZATION, YES,
};

/// A modifier of SparseML or llm-compressor.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// Fields of the tagged form.
    pub(crate) fields: &'static [Field],
    /// Fields of the form without tags, where it has one.
    pub(crate) untagged: &'static [Field],
}

/// How a modifier is translated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Family {
    EpochRange,
    LrFunction,
    LrClass,
    SetLr,
    WeightDecay,
    Trainable,
    /// Magnitude pruning; `global` if all parameters are ranked together.
    Magnitude {
        global: bool,
    },
    /// `GMPruningModifier`: magnitude pruning with the fields of older versions.
    Gm,
    Movement,
    Obs,
    Constant,
    Distillation,
    PerLayerDistillation,
    OutputDistillation,
    Quantization,
    LayerPruning,
    /// Left out, with an advice.
    Logging,
    /// Refused, with what to use instead.
    Refused(&'static str),
}

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

/// All modifiers.
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
    refused(
        "GradualParamModifier",
        "obert does not schedule the value of a single parameter; train it, or `freeze` it",
    ),
    refused(
        "StructuredPruningModifier",
        "prune whole rows or columns with `prune … { by: magnitude, pattern: rows }`; `filter` is `rows`, `channel` is `columns`",
    ),
    refused(
        "MFACPruningModifier",
        "use OBSPruningModifier, which inverts the same empirical Fisher matrix in diagonal blocks: `prune … { by: obs(block: 50) }`",
    ),
    refused(
        "ACDCPruningModifier",
        "pruned weights are never restored here; use OBSPruningModifier or GlobalMagnitudePruningModifier",
    ),
    refused(
        "RigLPruningModifier",
        "pruned weights are never restored here; use OBSPruningModifier or MovementPruningModifier",
    ),
    refused(
        "TopKASTPruningModifier",
        "pruned weights are never restored here; use OBSPruningModifier or MovementPruningModifier",
    ),
    refused("PowerpropagationModifier", "weights are not reparameterised here; use OBSPruningModifier"),
    refused(
        "LayerThinningModifier",
        "`keep layers` and `drop layers` remove whole layers; rows and columns are masked, not cut out",
    ),
    refused(
        "SparseGPTModifier",
        "use `prune … { by: obs(…) }`, which approximates the change of the loss instead of each layer's output error",
    ),
    refused(
        "WandaPruningModifier",
        "use `prune … { by: magnitude, rank: layer }`, or `by: obs(…)` for a better accuracy",
    ),
    refused(
        "WandaModifier",
        "use `prune … { by: magnitude, rank: layer }`, or `by: obs(…)` for a better accuracy",
    ),
    refused(
        "GPTQModifier",
        "use QuantizationModifier, or `quantize … { weights: int8(symmetric, per: channel) }` for quantization-aware training",
    ),
    refused(
        "SmoothQuantModifier",
        "leave it out: quantization-aware training adapts the weights to the activation ranges instead",
    ),
    refused(
        "LogarithmicEqualizationModifier",
        "leave it out: quantization-aware training adapts the weights to the activation ranges instead",
    ),
    refused(
        "AWQModifier",
        "use QuantizationModifier, or `quantize … { weights: int4(symmetric, per: channel) }` for quantization-aware training",
    ),
    refused(
        "AutoRoundModifier",
        "use QuantizationModifier, or `quantize … { … }` for quantization-aware training",
    ),
    refused("SpinQuantModifier", "obert does not rotate weights; use QuantizationModifier"),
    refused("QuIPModifier", "obert does not rotate weights; use QuantizationModifier"),
    refused("REAPModifier", "obert has no mixture-of-experts models"),
    refused("REAPPruningModifier", "obert has no mixture-of-experts models"),
];

/// The conventional name of the group that a modifier belongs to.
pub(crate) fn group_of(modifier: &str) -> &'static str {
    let groups = [
        ("Distillation", "distillation_modifiers"),
        ("Quantization", "quantization_modifiers"),
        ("Pruning", "pruning_modifiers"),
    ];
    groups.iter().find(|(word, _)| modifier.contains(word)).map_or("training_modifiers", |(_, group)| group)
}

/// Finds a modifier by its class name.
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
}
