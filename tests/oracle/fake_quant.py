"""Records torch's fake quantization, its gradients, and torch.ao.quantization's moving-average observers."""

import json
import pathlib

import torch
from torch.ao.quantization import MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver

OUT = pathlib.Path(__file__).parent.parent / "golden" / "fake_quant"
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(11)
bits_of = lambda t: [int(v) for v in t.detach().contiguous().view(torch.int32).flatten()]


def grid(bits, symmetric):
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if symmetric else (0, 2**bits - 1)


def observer(bits, symmetric, per_channel):
    low, high = grid(bits, symmetric)
    scheme = {
        (True, False): torch.per_tensor_symmetric,
        (False, False): torch.per_tensor_affine,
        (True, True): torch.per_channel_symmetric,
    }[symmetric, per_channel]
    kind = MovingAveragePerChannelMinMaxObserver if per_channel else MovingAverageMinMaxObserver
    more = {"ch_axis": 0} if per_channel else {}
    dtype = torch.qint8 if symmetric else torch.quint8
    return kind(averaging_constant=0.01, dtype=dtype, qscheme=scheme, quant_min=low, quant_max=high, **more)


def batches(name):
    """Four batches of 5 rows of 8; the cases are named."""
    base = [torch.randn(5, 8) * (1 + 0.4 * i) + 0.3 for i in range(4)]
    return {
        "normal": base,
        "positive": [b.abs() + 0.5 for b in base],
        "negative": [-b.abs() - 0.5 for b in base],
        "zero": [torch.zeros(5, 8) for _ in base],
        "tiny": [b * 1e-9 for b in base],
        "large": [b * 1e6 for b in base],
        "one_sided_rows": [torch.cat([b[:2].abs(), -b[2:4].abs(), torch.zeros(1, 8)]) for b in base],
    }[name]


cases = []
for bits, symmetric, per_channel in [(8, True, False), (8, False, False), (8, True, True), (4, True, True), (4, True, False), (5, False, False)]:
    for name in ["normal", "positive", "negative", "zero", "tiny", "large", "one_sided_rows"]:
        low, high = grid(bits, symmetric)
        observed = observer(bits, symmetric, per_channel)
        list_ = batches(name)
        steps = []
        for batch in list_:
            observed(batch)
            scale, zero = observed.calculate_qparams()
            steps.append({"scale": bits_of(scale.float()), "zero": [int(z) for z in zero]})
        # Values inside, outside and halfway between two steps.
        x = list_[-1].clone() * 1.3
        each = scale.reshape(-1, 1) if per_channel else scale
        x[:, 0] = (torch.arange(5) + 0.5) * each.flatten()[: 5 if per_channel else 1]
        x[:, 1] = (high - int(zero[0]) + 0.5) * each.flatten()[: 5 if per_channel else 1]
        x[:, 2] = (low - int(zero[0]) - 0.5) * each.flatten()[: 5 if per_channel else 1]
        x[:, 3] = -0.0
        x.requires_grad_(True)
        if per_channel:
            y = torch.fake_quantize_per_channel_affine(x, scale.float(), zero.int(), 0, low, high)
        else:
            y = torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero), low, high)
        upstream = torch.randn(5, 8)
        y.backward(upstream)
        cases.append(
            {
                "name": name,
                "bits": bits,
                "symmetric": symmetric,
                "per_channel": per_channel,
                "batches": [bits_of(b) for b in list_],
                "observed": steps,
                "x": bits_of(x),
                "y": bits_of(y),
                "upstream": bits_of(upstream),
                "gradient": bits_of(x.grad),
            }
        )
(OUT / "cases.json").write_text(json.dumps({"rows": 5, "columns": 8, "torch": torch.__version__, "cases": cases}, separators=(",", ":")) + "\n")
print(len(cases), "cases")
