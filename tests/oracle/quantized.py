"""Records a tiny pruned BERT under PyTorch's fake quantization: its folder with quantization.json, and logits."""

import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
SOURCE, OUT = GOLDEN / "bert" / "tiny", GOLDEN / "infer" / "quantized"
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(5)
config = json.loads((SOURCE / "config.json").read_text())
heads, hidden = config["num_attention_heads"], config["hidden_size"]
weights = {name: value.float() for name, value in load_file(SOURCE / "model.safetensors").items()}
for name in weights:
    if ".encoder." in name and weights[name].dim() == 2:
        # Of the blocks of four consecutive inputs, 70% become zero; one matrix stays dense.
        blocks = weights[name].reshape(weights[name].shape[0], -1, 4)
        if "layer.1.intermediate" not in name:
            blocks *= (torch.rand(blocks.shape[:2]) > 0.7).float()[..., None] * 1.6
ranges, scales = {}, None


def rounded(name, x):
    """An activation as the quantized model sees it; while calibrating, its range is kept."""
    if scales is None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = (min(low, float(x.min())), max(high, float(x.max())))
        return x
    a = scales["activations"][name]
    if a["scheme"] == "symmetric":
        return torch.fake_quantize_per_tensor_affine(x, a["scale"], 0, -127, 127)
    return torch.fake_quantize_per_tensor_affine(x, a["scale"], a["zero_point"], 0, 2 ** a["bits"] - 1)


def weight(name):
    if scales is None or name not in scales["weights"]:
        return weights[name]
    each = torch.tensor(scales["weights"][name]["scales"])
    zero = torch.zeros_like(each, dtype=torch.int32)
    most = 2 ** (scales["weights"][name]["bits"] - 1) - 1
    if len(each) == 1:
        return torch.fake_quantize_per_tensor_affine(weights[name], float(each), 0, -most, most)
    return torch.fake_quantize_per_channel_affine(weights[name], each, zero, 0, -most, most)


def linear(name, x):
    x = rounded(name + ".input", x) if name != "qa_outputs" else x
    return torch.nn.functional.linear(x, weight(name + ".weight"), weights[name + ".bias"])


def norm(name, x):
    return torch.nn.functional.layer_norm(x, (hidden,), weights[name + ".weight"], weights[name + ".bias"], 1e-12)


def forward(ids, types):
    at = "bert.embeddings."
    x = weight(at + "word_embeddings.weight")[ids] + weight(at + "token_type_embeddings.weight")[types]
    x = norm(at + "LayerNorm", x + weight(at + "position_embeddings.weight")[: len(ids)])
    for i in range(config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{i}."
        split = lambda part: linear(at + "attention.self." + part, x).reshape(len(ids), heads, -1).transpose(0, 1)
        query, key, value = split("query"), split("key"), split("value")
        query = rounded(at + "attention.self.query_states", query)
        key = rounded(at + "attention.self.key_states", key)
        value = rounded(at + "attention.self.value_states", value)
        scores = query @ key.transpose(1, 2) / (hidden // heads) ** 0.5
        shares = rounded(at + "attention.self.probabilities", scores.softmax(-1))
        context = (shares @ value).transpose(0, 1).reshape(len(ids), hidden)
        x = norm(at + "attention.output.LayerNorm", x + linear(at + "attention.output.dense", context))
        wide = torch.nn.functional.gelu(linear(at + "intermediate.dense", x))
        x = norm(at + "output.LayerNorm", x + linear(at + "output.dense", wide))
    return linear("qa_outputs", x)


lengths = [9, 20, 16, 1]
sequences = [torch.randint(5, 40, (n,)) for n in lengths]
types = [(torch.arange(n) >= 4).long() for n in lengths]
float_logits = [forward(s, t) for s, t in zip(sequences, types)]
found = {"format": "obert.quantization", "version": 1, "weights": {}, "activations": {}}
for name, value in weights.items():
    if ".encoder." in name and value.dim() == 2:
        # Query weights have one scale, the others one for each row.
        size = value.abs().max().reshape(1) if "query" in name else value.abs().amax(1)
        # One matrix has few steps, so that rounding is seen in the logits.
        bits = 4 if "layer.0.output" in name else 8
        each = (size / (2 ** (bits - 1) - 1)).clamp_min(1e-6)
        found["weights"][name] = {"bits": bits, "scheme": "symmetric", "scales": [float(v) for v in each]}
name = "bert.embeddings.word_embeddings.weight"
found["weights"][name] = {"bits": 8, "scheme": "symmetric", "scales": [float(weights[name].abs().max() / 127)]}
for name, (low, high) in ranges.items():
    if "output.dense.input" in name and "attention" in name:
        # A symmetric one among the others.
        size = max(-low, high)
        found["activations"][name] = {"bits": 8, "scheme": "symmetric", "scale": size / 127, "zero_point": 0}
    else:
        bits = 5 if "intermediate" in name else 8
        scale = (high - low) / (2**bits - 1)
        zero = round(-low / scale)
        found["activations"][name] = {"bits": bits, "scheme": "asymmetric", "scale": scale, "zero_point": zero}
scales = found
logits = [forward(s, t) for s, t in zip(sequences, types)]
for name in ("config.json", "vocab.txt"):
    shutil.copyfile(SOURCE / name, OUT / name)
save_file(weights, OUT / "model.safetensors", {"format": "pt"})
(OUT / "quantization.json").write_text(json.dumps(found) + "\n")
numbers = lambda all_: [[[round(float(v), 7) for v in row] for row in one] for one in all_]
recorded = {
    "ids": [s.tolist() for s in sequences],
    "types": [t.tolist() for t in types],
    "logits": numbers(logits),
    "float_logits": numbers(float_logits),
}
(OUT.parent / "quantized_outputs.json").write_text(json.dumps(recorded) + "\n")
apart = max(float((a - b).abs().max()) for a, b in zip(logits, float_logits))
print("quantized and float logits are at most", apart, "apart")
