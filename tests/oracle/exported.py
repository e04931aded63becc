"""Compares exports, run by the programs that they are made for, with PyTorch's fake quantization of their source.

    python exported.py onnx MODEL.onnx SOURCE
    python exported.py compressed-tensors EXPORTED SOURCE

SOURCE is the model folder, with quantization.json if it has one. The reference is the model of transformers with
PyTorch's fake quantization. Its step is the largest change of a logit when one quantized value changes by one
quantization step: the maximum gradient of a logit with respect to a quantized value, times the value's scale. Prints the
differences as JSON, and fails if an export differs by more than one step in the mean, or two anywhere.
"""

import json
import pathlib
import sys

import numpy
import torch
from fake_quantized import FakeQuantized

mode, exported, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
scales = {"weights": {}, "activations": {}}
if (folder / "quantization.json").exists():
    scales = json.loads((folder / "quantization.json").read_text())
# The products of attention and the embeddings' rows have no place in compressed-tensors.
reference = FakeQuantized(folder, scales, products=mode == "onnx")
config, weights = reference.model.config, dict(reference.model.named_parameters())
QUERIES = ("query.weight", "q_lin.weight", "attn.q.weight", "attn.Wqkv.weight", "query_proj.weight")
is_answers = "qa_outputs.weight" in weights


torch.manual_seed(11)
first = config.pad_token_id + 1 if config.model_type.endswith(("roberta", "camembert", "mpnet")) else 0
longest = min(config.max_position_embeddings - first, 96)
lengths = [n for n in (9, longest, 16, 1) if n <= longest]
sequences = [torch.randint(5, config.vocab_size, (n,)) for n in lengths]
has_types = getattr(config, "type_vocab_size", 0) > 1
types = [(torch.arange(n) >= n // 2).long() * has_types for n in lengths]
expected, step = [], 0.0
for ids, kind in zip(sequences, types):
    reference.places.clear()
    values = reference.logits(ids, kind)
    expected.append(values.detach())
    # Of many logits some: the step found is then no larger, and what is allowed no more.
    for value in values.flatten()[:: max(1, values.numel() // 40)]:
        value.backward(retain_graph=True)
        for x, scale in reference.places:
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

    asked = [given.name for given in session.get_inputs()]
    assert asked == ["input_ids", "attention_mask"] + ["token_type_ids"] * has_types, asked

    def run(rows, kinds):
        feed = {"input_ids": padded(rows, 0) if len(rows) > 1 else rows[0].numpy()[None]}
        if has_types:
            feed["token_type_ids"] = padded(kinds, 0) if len(rows) > 1 else kinds[0].numpy()[None]
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
                same = torch.equal(found[name].detach(), weights[name].detach())
                assert same, f"{how}: {name} differs"

    plain = opened(quantization_config=transformers.CompressedTensorsConfig(dequantize=True))
    equal(plain, "dequantized while it is loaded")
    model = opened()
    stored = {p.dtype for n, p in model.named_parameters() if n.endswith(QUERIES)}
    assert stored == {torch.int8}, f"weights are {stored}, not compressed"

    def run(ids, kind):
        more = {"token_type_ids": kind[None]} if has_types else {}
        with torch.no_grad():
            out = model(input_ids=ids[None], **more)
        return torch.cat([out.start_logits, out.end_logits]) if is_answers else out.logits[0]

    got = [run(ids, kind) for ids, kind in zip(sequences, types)]
    equal(model, "decompressed at the first forward pass")
    report("transformers", got, **versions, weights="equal bit for bit")
