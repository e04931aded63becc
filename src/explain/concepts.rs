//! Terms of machine learning that are not words of the language, each with how a recipe expresses it.

use super::text::Text;

/// A concept: its names, an explanation, an example, and related words.
pub(crate) struct Concept {
    /// The names, the first as a heading; compared without case, spaces, hyphens and underscores.
    pub(crate) names: &'static [&'static str],
    text: &'static str,
    example: &'static str,
    see: &'static [&'static str],
}

/// The concept with this name.
pub(crate) fn concept(name: &str) -> Option<&'static Concept> {
    let plain = plain(name);
    CONCEPTS.iter().find(|c| c.names.iter().any(|n| self::plain(n) == plain))
}

fn plain(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Writes a concept's page.
pub(crate) fn describe(text: &mut Text, concept: &Concept) {
    text.heading(concept.names[0]);
    text.prose(concept.text);
    if !concept.example.is_empty() {
        text.code(concept.example);
    }
    let see: Vec<String> = concept.see.iter().map(|word| format!("`obertc explain {word}`")).collect();
    if !see.is_empty() {
        text.prose(&format!("See {}.", see.join(", ")));
    }
}

const fn about(
    names: &'static [&'static str],
    text: &'static str,
    example: &'static str,
    see: &'static [&'static str],
) -> Concept {
    Concept { names, text, example, see }
}

/// All concepts.
pub(crate) const CONCEPTS: &[Concept] = &[
    about(
        &["warmup", "learning rate warmup", "warmup steps", "warmup ratio"],
        "The learning rate rises from 0 to its peak over the first steps. It is the first piece of `lr`.",
        "lr {\n  0..10% of run: 0 -> 5e-5 linear\n  10%..100% of run: 5e-5 -> 0 linear\n}",
        &["lr", "shapes"],
    ),
    about(
        &["learning rate", "learning rate schedule", "lr scheduler", "scheduler", "schedule"],
        "The step size of AdamW, given piece by piece over the whole stage; pieces may ramp and repeat.",
        "lr { 0..100% of run: 5e-5 -> 0 cosine }",
        &["lr", "shapes", "factor"],
    ),
    about(
        &["weight decay", "L2", "L2 regularization", "regularization", "decoupled weight decay"],
        "AdamW's decoupled weight decay (PyTorch's `weight_decay`). Biases and layer normalizations have none.",
        "train { weight_decay: 0.01 }",
        &["train.weight_decay"],
    ),
    about(
        &["AdamW", "Adam", "optimizer", "SGD"],
        "AdamW is the only optimizer. Its β₁, β₂, ε and weight decay are settings of `train`.",
        "train { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }",
        &["train"],
    ),
    about(
        &["gradient accumulation", "gradient accumulation steps", "accumulation"],
        "The gradients of several batches are summed before a step of the optimizer: a larger batch in the \
         same memory.",
        "train { accumulate: 4 }",
        &["train.accumulate", "batch"],
    ),
    about(
        &["gradient clipping", "clip grad norm", "max grad norm", "clipping"],
        "Gradients are scaled down to a largest global norm (PyTorch's `clip_grad_norm_`).",
        "train { clip: 1.0 }",
        &["train.clip"],
    ),
    about(
        &["batch size", "minibatch", "per device train batch size"],
        "Examples in a training step, for the recipe or one stage. Gradients for `obs` have a batch of their own.",
        "batch: 16",
        &["batch", "obs", "accumulate"],
    ),
    about(
        &["mixed precision", "AMP", "fp16", "half precision", "bfloat16", "autocast"],
        "Matrix products in bfloat16 where the device has it; weights and sums stay in float32. There is no \
         float16.",
        "train { precision: bf16 }",
        &["train.precision", "obs.precision"],
    ),
    about(
        &["early stopping", "best model", "load best model at end", "best checkpoint"],
        "A stage always trains for its whole length; it can end with the weights of its best evaluation.",
        "evaluate every 1 epoch { keep: best(f1) }",
        &["evaluate", "best"],
    ),
    about(
        &["checkpoint", "checkpoints", "resume", "save steps"],
        "A run saves checkpoints by itself, and `obertc run … --resume` continues from the last one, with the \
         same result as a run without interruption. No setting of a recipe is needed.",
        "",
        &["evaluate"],
    ),
    about(
        &["LoRA", "QLoRA", "adapter", "adapters", "PEFT", "low rank adaptation"],
        "Adapters are not supported: every parameter that is not frozen is trained. To train a part of the \
         model, freeze the rest.",
        "freeze params(\"bert.embeddings.**\")",
        &["freeze", "factor"],
    ),
    about(
        &["fine-tuning", "finetune", "transfer learning", "sparse transfer"],
        "A stage with `lr` and a length fine-tunes the model. For sparse transfer, `hold` keeps the zeros of a \
         pruned model while it learns another task.",
        "lr { 0..100% of run: 5e-5 -> 0 linear }\nhold encoder_linears",
        &["stage", "hold", "lr"],
    ),
    about(
        &["pruning", "weight pruning", "sparsification", "unstructured pruning", "mask", "pruning mask"],
        "The least important weights become zero and stay zero; a mask holds them. `by` chooses how importance \
         is computed, `pattern` which weights go together.",
        "prune encoder_linears over 2..26 epochs every 4 epochs {\n  by: magnitude\n  sparsity: 30% -> 80% cubic\n}",
        &["prune", "prune.by", "prune.pattern"],
    ),
    about(
        &["magnitude pruning", "gradual magnitude pruning", "GMP", "global pruning", "layerwise pruning"],
        "Weights are ranked by their absolute value, over all selected parameters (`rank: global`) or within \
         each (`rank: layer`).",
        "prune encoder_linears over 2..26 epochs every 4 epochs {\n  by: magnitude, sparsity: 30% -> 80% cubic, rank: global\n}",
        &["magnitude", "prune.rank"],
    ),
    about(
        &["gradual pruning", "cubic schedule", "cubic sparsity", "sparsity schedule"],
        "Sparsity rises over several pruning events with training between them; `cubic` prunes fast first and \
         gently at the end (Zhu and Gupta, arXiv 1710.01878).",
        "prune encoder_linears over 2..26 epochs every 4 epochs {\n  by: magnitude, sparsity: 30% -> 80% cubic\n}",
        &["prune.sparsity", "cubic", "every"],
    ),
    about(
        &["one-shot", "one-shot pruning", "post-training pruning"],
        "Pruning in one event without training: a `prune` without `over`. `obertc oneshot` tries several \
         sparsities and criteria.",
        "branch at_once from start {\n  prune encoder_linears { by: obs, sparsity: 70% }\n}",
        &["prune", "branch"],
    ),
    about(
        &[
            "OBS",
            "Optimal Brain Surgeon",
            "oBERT",
            "Optimal BERT Surgeon",
            "second-order pruning",
            "saliency",
        ],
        "Weights are ranked by the rise of the loss to second order, ρ = ½ w_Qᵀ([F⁻¹]_QQ)⁻¹w_Q, and the \
         remaining weights are updated (Kurtic et al., arXiv 2203.07259).",
        "by: obs(gradients: 1024, block: 50, damp: 1e-7)",
        &["obs", "update", "damp"],
    ),
    about(
        &[
            "Fisher",
            "Fisher matrix",
            "empirical Fisher",
            "Fisher information",
            "inverse Fisher",
            "Hessian",
            "Fisher block",
        ],
        "The empirical Fisher matrix F = λI + (1/m)Σ gᵢgᵢᵀ stands for the Hessian. It is kept as blocks of \
         `block` consecutive weights, from `gradients` gradients of batches of `batch` examples.",
        "by: obs(gradients: 1024, block: 50, batch: 8)",
        &["obs.gradients", "obs.block", "obs.damp"],
    ),
    about(
        &["damping", "dampening", "dampening frac", "lambda", "ridge"],
        "λ, added to the diagonal of the Fisher matrix so that its blocks can be inverted. The paper uses 1e-7; \
         `or raise` multiplies it by ten where a block cannot be factored.",
        "by: obs(damp: 1e-7 or raise)",
        &["damp", "OB0703"],
    ),
    about(
        &["movement", "movement pruning", "soft movement pruning", "movement score"],
        "Weights that move toward zero during training are pruned first (Sanh et al., arXiv 2005.07683); it needs \
         training before the first event.",
        "by: movement",
        &["prune.by.movement"],
    ),
    about(
        &["structured pruning", "row pruning", "column pruning", "neuron pruning", "head pruning"],
        "Whole outputs or inputs of a matrix are pruned with `pattern: rows` or `columns`; whole layers go with \
         `drop layers`. Attention heads cannot be pruned as such.",
        "prune encoder_linears { by: magnitude, sparsity: 30%, pattern: rows }",
        &["rows", "columns", "drop"],
    ),
    about(
        &["N:M", "N:M sparsity", "2:4", "2:4 sparsity", "semi-structured sparsity", "sparse tensor cores"],
        "Of every M consecutive inputs N weights remain, as NVIDIA's sparse tensor cores need it.",
        "prune encoder_linears { by: obs(block: 48), sparsity: 50%, pattern: n_of_m(2, 4) }",
        &["n_of_m", "prune.pattern"],
    ),
    about(
        &["block sparsity", "block pruning", "4block", "block4"],
        "Runs of consecutive inputs of one output are pruned together.",
        "pattern: blocks(1, 4)",
        &["blocks", "prune.pattern"],
    ),
    about(
        &["layer dropping", "layer dropout", "layer thinning", "drop layers", "keep layers"],
        "Encoder layers are removed before anything else, as in SparseML's `LayerThinningModifier`.",
        "keep layers [0, 2, 4, 6, 8, 10]",
        &["keep", "drop"],
    ),
    about(
        &["distillation", "knowledge distillation", "KD", "student", "soft labels", "soft targets"],
        "The loss is (1 − h)·CE(labels) + h·T²·KL(teacher ‖ student), with logits divided by the temperature T \
         and the hardness h (Hinton et al., arXiv 1503.02531).",
        "distill from teacher { hardness: 1.0, temperature: 2.0 }",
        &["distill", "hardness", "temperature"],
    ),
    about(
        &["distillation loss weight", "loss weight", "KD weight"],
        "The teacher's share of the loss is called `hardness`, from 0 to 1.",
        "distill from teacher { hardness: 0.5 }",
        &["distill.hardness"],
    ),
    about(
        &["self-distillation", "born again"],
        "The teacher is the model as it was when the stage began.",
        "distill from self { hardness: 1.0 }",
        &["distill", "self"],
    ),
    about(
        &[
            "hidden states",
            "intermediate layers",
            "feature distillation",
            "layer distillation",
            "attention distillation",
        ],
        "Outputs inside the model are matched with the teacher's by their mean squared error, added to the loss.",
        "distill from teacher { hidden: states(of: \"bert.encoder.layer.*\") }",
        &["states", "hidden"],
    ),
    about(
        &["quantization", "INT8", "INT4", "8-bit", "4-bit", "low precision"],
        "Weights, and the inputs of their layers, are quantized to integers. The type says the bits: `int8`, \
         `uint8` or `int4`.",
        "quantize encoder_linears { weights: int8(symmetric, per: channel), activations: uint8(asymmetric) }",
        &["quantize", "int8", "zero", "per"],
    ),
    about(
        &["QAT", "quantization-aware training", "fake quantization", "fake quant"],
        "A `quantize` in a stage that trains: values are quantized and dequantized in the forward pass, and \
         gradients pass through unchanged (straight-through estimator).",
        "quantize encoder_linears over 20..30 epochs { freeze: after 3 epochs }",
        &["quantize", "STE", "observer"],
    ),
    about(
        &["PTQ", "post-training quantization", "calibration", "calibration set", "calibration steps"],
        "A `quantize` in a stage without a length: activation ranges come from `calibrate` batches, and nothing \
         is trained.",
        "stage int8 {\n  quantize encoder_linears { calibrate: 128 }\n}",
        &["calibrate", "QAT"],
    ),
    about(
        &["STE", "straight-through estimator", "straight through"],
        "In the backward pass rounding counts as the identity inside the range, and as zero outside of it \
         (Bengio et al., arXiv 1308.3432). `quantize` always trains so; there is no setting.",
        "",
        &["quantize", "QAT"],
    ),
    about(
        &["observer", "observers", "min max observer", "activation range", "moving average observer"],
        "The range of a layer's inputs is observed while it trains or is calibrated, and fixed by `freeze`.",
        "quantize encoder_linears { freeze: after 3 epochs, calibrate: 128 }",
        &["quantize.freeze", "calibrate"],
    ),
    about(
        &["zero point", "symmetric quantization", "asymmetric quantization", "affine quantization"],
        "q = round(x / scale) + zero point. `symmetric` has the zero point in the middle of the range, \
         `asymmetric` uses the whole range; weights must be symmetric.",
        "activations: uint8(asymmetric)",
        &["zero", "symmetric", "asymmetric"],
    ),
    about(
        &[
            "scale",
            "quantization scale",
            "per-channel",
            "per-tensor",
            "per channel quantization",
            "granularity",
        ],
        "The step between two integers, for all values together (`per: tensor`) or for the weights of each \
         output (`per: channel`).",
        "weights: int8(symmetric, per: channel)",
        &["per", "channel"],
    ),
    about(
        &["label smoothing"],
        "A share of each label is spread over all classes (PyTorch's `label_smoothing`).",
        "train { label_smoothing: 10% }",
        &["label_smoothing"],
    ),
    about(
        &[
            "sequence length",
            "max length",
            "max seq length",
            "maximum sequence length",
            "truncation",
            "doc stride",
        ],
        "The longest sequence, in tokens, is an argument of the data.",
        "data: squad(max_length: 384, doc_stride: 128)",
        &["data", "max_length", "doc_stride"],
    ),
    about(
        &["dataset", "GLUE", "SST-2", "IMDB", "custom data"],
        "`data` names the kind of data; its files are given by `--data`. Tables with labelled texts are \
         `classify`, with the names of their columns.",
        "data: classify(text: \"sentence\", label: \"label\")",
        &["data", "classify", "squad"],
    ),
    about(
        &["model", "backbone", "pretrained model", "Hugging Face"],
        "A folder with `config.json`, weights and tokenizer, or a name on the hub; `bert(…)` makes a new one.",
        "model: \"bert-base-uncased\"",
        &["recipe.model", "bert"],
    ),
    about(
        &["metric", "metrics", "accuracy", "F1", "exact match", "EM", "perplexity", "evaluation"],
        "The model is evaluated at the end of every stage, and more often with `evaluate`. `expect` makes a run \
         fail whose metrics miss a range.",
        "evaluate every 1 epoch\nexpect { f1: 85.0 .. 100 }",
        &["evaluate", "expect"],
    ),
    about(
        &["ONNX", "export", "deployment", "compressed-tensors"],
        "`obertc pack DIR --as onnx` and `--as compressed-tensors` write a finished model for other programs.",
        "",
        &["quantize"],
    ),
    about(
        &["iteration", "global step", "training step", "max steps"],
        "A step of the optimizer. Times are given in steps or in epochs.",
        "stage warm for 500 steps { lr { 0..500 steps: 5e-5 } }",
        &["steps", "epochs", "accumulate"],
    ),
    about(
        &["random seed", "reproducibility", "determinism"],
        "Everything random in a run comes from one seed.",
        "seed: 42",
        &["seed"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_belongs_to_two_concepts() {
        let mut names: Vec<String> = CONCEPTS.iter().flat_map(|c| c.names).map(|n| plain(n)).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
