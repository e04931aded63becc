"""Records tiny pruned models of other families than BERT under PyTorch's fake quantization: folders with
quantization.json in tests/golden/infer/families, and their logits.

    python tests/oracle/quantized_families.py [MODEL…]
"""

import json
import pathlib
import shutil
import sys

import torch
from fake_quantized import FakeQuantized
from safetensors.torch import load_file, save_file

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
OUT = GOLDEN / "infer" / "families"
MODELS = {
    "families": ["roberta_answering", "roberta_classifier", "distilbert_answering", "distilbert_classifier"],
    "encoders": ["electra_answering", "bert-silu_answering", "mpnet_answering", "modernbert_answering",
                 "modernbert_classifier", "deberta-v2_answering", "deberta-v2-unshared_classifier"],
}
LENGTHS = [9, 20, 16, 1]


def record(folder, name):
    source, out = GOLDEN / folder / name, OUT / name
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    for path in source.iterdir():
        shutil.copyfile(path, out / path.name)
    weights = {key: value.float() for key, value in load_file(source / "model.safetensors").items()}
    matrices = [key for key in weights if weights[key].dim() == 2]
    found = {"format": "obert.quantization", "version": 1, "weights": {}, "activations": {}}
    for key in matrices:
        each = weights[key].abs().amax(1)
        if ".layer" in key:
            # Of the blocks of four consecutive inputs, 70% become zero in the first layer, so that it is stored sparse.
            blocks = weights[key].reshape(weights[key].shape[0], -1, 4)
            if ".0." in key:
                blocks *= (torch.rand(blocks.shape[:2]) > 0.7).float()[..., None] * 1.6
            each = weights[key].abs().amax(1)
        elif "relative_attention_bias" in key:
            continue
        elif "word_embeddings" in key or "tok_embeddings" in key:
            each = weights[key].abs().max().reshape(1)
        elif "embeddings." in key:
            continue
        scales = [float(v) for v in (each / 127).clamp_min(1e-6)]
        found["weights"][key] = {"bits": 8, "scheme": "symmetric", "scales": scales}
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    sequences = [torch.randint(5, 90, (n,)) for n in LENGTHS]
    types = [torch.zeros(n, dtype=torch.long) for n in LENGTHS]
    plain = FakeQuantized(out, {"weights": {}, "activations": {}})
    plain.ranges = {}
    floats = [plain.logits(s, t) for s, t in zip(sequences, types)]
    for key, (low, high) in plain.ranges.items():
        scale = (high - low) / 255
        found["activations"][key] = {
            "bits": 8, "scheme": "asymmetric", "scale": scale, "zero_point": round(-low / scale)
        }
    (out / "quantization.json").write_text(json.dumps(found) + "\n")
    quantized = FakeQuantized(out, found)
    logits = [quantized.logits(s, t) for s, t in zip(sequences, types)]
    apart = max(float((a - b).abs().max()) for a, b in zip(logits, floats))
    print(name, "quantized and float logits are at most", apart, "apart")
    numbers = lambda tensors: [[round(float(v), 7) for v in one.flatten()] for one in tensors]
    return {"ids": [s.tolist() for s in sequences], "logits": numbers(logits), "float_logits": numbers(floats)}


known = json.loads((OUT / "outputs.json").read_text()) if sys.argv[1:] else {}
wanted = lambda name: name in sys.argv[1:] or not sys.argv[1:]
recorded = known | {name: record(folder, name) for folder, names in MODELS.items() for name in names if wanted(name)}
(OUT / "outputs.json").write_text(json.dumps(recorded) + "\n")
