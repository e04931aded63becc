"""Compares exports, run by the programs that they are made for, with PyTorch's fake quantization of their source.

    python exported.py onnx MODEL.onnx SOURCE
    python exported.py compressed-tensors EXPORTED SOURCE

SOURCE is the model folder, with quantization.json if it has one. The reference below is written from the formulas,
not from obert's code. Its step is the largest change of a logit when one quantized value changes by one quantization
step: the maximum gradient of a logit with respect to a quantized value, times the value's scale. Prints the differences
as JSON, and fails if an export differs by more than one step in the mean, or two anywhere.
"""

import json
import pathlib
import sys

import numpy
import torch
from safetensors.torch import load_file

mode, exported, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
config = json.loads((folder / "config.json").read_text())
weights = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
scales = {"weights": {}, "activations": {}}
if (folder / "quantization.json").exists():
    scales = json.loads((folder / "quantization.json").read_text())
heads, hidden, epsilon = (config[k] for k in ("num_attention_heads", "hidden_size", "layer_norm_eps"))
is_answers = "qa_outputs.weight" in weights
# The products of attention and the embeddings' rows have no place in compressed-tensors.
has_products = mode == "onnx"
places = []


def bounds(entry):
    if entry["scheme"] == "symmetric":
        return 0, -(2 ** (entry["bits"] - 1)), 2 ** (entry["bits"] - 1) - 1
    return entry["zero_point"], 0, 2 ** entry["bits"] - 1


def rounded(name, x):
    entry = scales["activations"].get(name)
    if entry is None or (name.endswith(("_states", "probabilities")) and not has_products):
        return x
    zero, low, high = bounds(entry)
    x = torch.fake_quantize_per_tensor_affine(x, entry["scale"], zero, low, high)
    if x.requires_grad:
        x.retain_grad()
        places.append((x, entry["scale"]))
    return x


def weight(name):
    entry = scales["weights"].get(name)
    if entry is None:
        return weights[name]
    low, high = -(2 ** (entry["bits"] - 1)), 2 ** (entry["bits"] - 1) - 1
    each = torch.tensor(entry["scales"])
    if len(each) == 1:
        return torch.fake_quantize_per_tensor_affine(weights[name], float(each), 0, low, high)
    zero = torch.zeros_like(each, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weights[name], each, zero, 0, low, high)


def linear(name, x):
    return torch.nn.functional.linear(rounded(name + ".input", x), weight(name + ".weight"), weights[name + ".bias"])


def norm(name, x):
    parts = weights[name + ".weight"], weights[name + ".bias"]
    return torch.nn.functional.layer_norm(x, (hidden,), *parts, epsilon)


def logits(ids, types):
    at = "bert.embeddings."
    x = weight(at + "word_embeddings.weight")[ids] + weight(at + "token_type_embeddings.weight")[types]
    x = x + weight(at + "position_embeddings.weight")[: len(ids)]
    x = norm(at + "LayerNorm", x.requires_grad_())
    for i in range(config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{i}."
        split = lambda part: linear(at + "attention.self." + part, x).reshape(len(ids), heads, -1).transpose(0, 1)
        state = lambda part: rounded(f"{at}attention.self.{part}_states", split(part))
        query, key, value = state("query"), state("key"), state("value")
        scores = query @ key.transpose(1, 2) / (hidden // heads) ** 0.5
        shares = rounded(at + "attention.self.probabilities", scores.softmax(-1))
        context = (shares @ value).transpose(0, 1).reshape(len(ids), hidden)
        x = norm(at + "attention.output.LayerNorm", x + linear(at + "attention.output.dense", context))
        wide = torch.nn.functional.gelu(linear(at + "intermediate.dense", x))
        x = norm(at + "output.LayerNorm", x + linear(at + "output.dense", wide))
    if is_answers:
        return linear("qa_outputs", x).T
    return linear("classifier", linear("bert.pooler.dense", x[:1]).tanh())[0]


torch.manual_seed(11)
longest = min(config["max_position_embeddings"], 96)
lengths = [n for n in (9, longest, 16, 1) if n <= longest]
sequences = [torch.randint(0, config["vocab_size"], (n,)) for n in lengths]
types = [(torch.arange(n) >= n // 2).long() for n in lengths]
expected, step = [], 0.0
for ids, kind in zip(sequences, types):
    places.clear()
    values = logits(ids, kind)
    expected.append(values.detach())
    # Of many logits some: the step found is then no larger, and what is allowed no more.
    for value in values.flatten()[:: max(1, values.numel() // 40)]:
        value.backward(retain_graph=True)
        for x, scale in places:
            if x.grad is not None:
                step = max(step, float(x.grad.abs().max()) * scale)
                x.grad = None
is_rounded = bool(scales["activations"])
allowed = step if is_rounded else 1e-4


def padded(rows, fill):
    return numpy.stack([numpy.pad(r.numpy(), (0, max(lengths) - len(r)), constant_values=fill) for r in rows])


def report(name, got, **more):
    apart = torch.cat([(torch.as_tensor(g) - e).abs().flatten() for g, e in zip(got, expected)])
    found = {"what": name, "most": float(apart.max()), "mean": float(apart.mean()), "allowed": allowed, **more}
    found["size"] = float(torch.cat([e.abs().flatten() for e in expected]).max())
    print(json.dumps(found))
    # One value that is rounded the other way, where sums are of another order, makes others follow.
    most = 2 * allowed if is_rounded else allowed
    assert apart.max() <= most, f"{name}: logits are {apart.max()} apart, {most} is allowed"
    assert apart.mean() <= allowed, f"{name}: logits are {apart.mean()} apart in the mean, {allowed} is allowed"


if mode == "onnx":
    import onnx
    import onnxruntime

    model = onnx.load(str(exported))
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version >= 17
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert names == (["start_logits", "end_logits"] if is_answers else ["logits"]), names

    def run(rows, kinds):
        feed = {
            "input_ids": padded(rows, 0) if len(rows) > 1 else rows[0].numpy()[None],
            "token_type_ids": padded(kinds, 0) if len(rows) > 1 else kinds[0].numpy()[None],
        }
        keep = [torch.ones_like(r) for r in rows]
        feed["attention_mask"] = padded(keep, 0) if len(rows) > 1 else keep[0].numpy()[None]
        out = session.run(names, feed)
        if is_answers:
            return [numpy.stack([o[i][: len(r)] for o in out]) for i, r in enumerate(rows)]
        return [out[0][i] for i in range(len(rows))]

    alone = [run([ids], [kind])[0] for ids, kind in zip(sequences, types)]
    kinds = sorted({node.op_type for node in model.graph.node})
    version = onnxruntime.__version__
    report("one by one", alone, onnxruntime=version, onnx=onnx.__version__, operators=kinds)
    report("padded", run(sequences, types), onnxruntime=version)
else:
    import compressed_tensors
    import transformers

    versions = {"transformers": transformers.__version__, "compressed_tensors": compressed_tensors.__version__}
    model_class = getattr(transformers, json.loads((exported / "config.json").read_text())["architectures"][0])

    def opened(**kwargs):
        model, info = model_class.from_pretrained(exported, output_loading_info=True, **kwargs)
        # Weights that become floats while they are loaded leave the scales of inputs without a use.
        inputs = (".input_scale", ".input_zero_point") if kwargs else ()
        known = lambda key: key.endswith(inputs) if inputs else False
        wrong = {k: sorted(str(v) for v in value if not known(str(v))) for k, value in info.items()}
        wrong = {key: value for key, value in wrong.items() if value}
        assert not wrong, wrong
        return model.eval()

    def equal(model, how):
        found = dict(model.named_parameters())
        # A weight once rounded is its own rounding: obert's and the library's must agree bit for bit.
        for name in weights:
            if name in found:
                same = torch.equal(found[name].detach(), weight(name).detach())
                assert same, f"{how}: {name} differs"

    plain = opened(quantization_config=transformers.CompressedTensorsConfig(dequantize=True))
    equal(plain, "dequantized while it is loaded")
    model = opened()
    stored = {p.dtype for n, p in model.named_parameters() if n.endswith("query.weight")}
    assert stored == {torch.int8}, f"weights are {stored}, not compressed"

    def run(ids, kind):
        with torch.no_grad():
            out = model(input_ids=ids[None], token_type_ids=kind[None])
        return torch.cat([out.start_logits, out.end_logits]) if is_answers else out.logits[0]

    got = [run(ids, kind) for ids, kind in zip(sequences, types)]
    equal(model, "decompressed at the first forward pass")
    report("transformers", got, **versions, weights="equal bit for bit")
