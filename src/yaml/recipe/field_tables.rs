//! The fields of the pruning and quantization modifiers, which have many in common.

/// A field and whether it must be given.
pub(crate) type Field = (&'static str, bool);

pub(super) const YES: bool = true;
pub(super) const NO: bool = false;

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

pub(super) const MAGNITUDE: &[Field] = &with::<9>(&[("mask_type", NO)]);
pub(super) const GM: &[Field] =
    &with::<12>(&[("mask_type", NO), ("global_sparsity", NO), ("phased", NO), ("score_type", NO)]);
pub(super) const OBS: &[Field] = &with::<15>(&[
    ("global_sparsity", NO),
    ("mask_type", NO),
    ("num_grads", NO),
    ("damp", NO),
    ("fisher_block_size", NO),
    ("grad_sampler_kwargs", NO),
    ("num_recomputations", NO),
]);

/// [`GRADUAL`] and `more`, as one array.
const fn with<const N: usize>(more: &[Field]) -> [Field; N] {
    let mut all = [("", NO); N];
    let mut i = 0;
    while i < N {
        all[i] = if i < GRADUAL.len() { GRADUAL[i] } else { more[i - GRADUAL.len()] };
        i += 1;
    }
    all
}

/// Fields of SparseML's legacy quantizer only; a recipe that gives one of them selects it.
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

pub(super) const QUANTIZATION: &[Field] = &[
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

/// The fields of three classes of the same name: SparseML's newer and legacy quantizer, and llm-compressor's.
pub(super) const UNTAGGED_QUANTIZATION: &[Field] = &[
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

pub(super) const UNTAGGED_MAGNITUDE: &[Field] = &[
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_quantizers_fields_are_fields() {
        for field in LEGACY_QUANTIZATION {
            assert!(QUANTIZATION.iter().any(|(name, _)| name == field), "{field}");
        }
    }
}
