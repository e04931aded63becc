"""Records cross-entropies with label smoothing (PyTorch), and losses and perplexities of predictions (scikit-learn)."""

import json
import math
import pathlib

import torch
from sklearn.metrics import log_loss

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
torch.manual_seed(8)


def numbers(tensor):
    return [[round(float(v), 7) for v in row] for row in tensor]


smoothed = []
for rows, choices, smoothing in [(1, 2, 0.1), (4, 3, 0.1), (4, 3, 0.0), (6, 40, 0.25), (3, 5, 1.0)]:
    logits = (3 * torch.randn(rows, choices)).requires_grad_()
    right = torch.randint(0, choices, (rows,))
    loss = torch.nn.functional.cross_entropy(logits, right, label_smoothing=smoothing)
    loss.backward()
    smoothed.append(
        {
            "logits": numbers(logits.detach()),
            "right": right.tolist(),
            "smoothing": smoothing,
            "loss": loss.item(),
            "gradient": numbers(logits.grad),
        }
    )
measured = []
for rows, choices in [(1, 3), (5, 4), (30, 60)]:
    logits = torch.tensor(numbers(4 * torch.randn(rows, choices)), dtype=torch.float64)
    right = torch.randint(0, choices, (rows,)).tolist()
    loss = log_loss(right, torch.softmax(logits, -1).numpy(), labels=list(range(choices)))
    measured.append(
        {"logits": logits.tolist(), "right": right, "loss": loss, "perplexity": math.exp(loss)}
    )
OUT = GOLDEN / "losses"
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(json.dumps({"smoothed": smoothed, "measured": measured}) + "\n")
