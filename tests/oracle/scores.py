"""Records metrics of scores (scipy) and of several labels (scikit-learn), and losses of both (PyTorch)."""

import json
import pathlib
import random

import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score

OUT = pathlib.Path(__file__).parent.parent / "golden" / "scores"
generator = random.Random(7)
correlations = []
for count, levels in [(5, 100), (40, 6), (40, 2), (200, 1000)]:
    true = [generator.randrange(levels) / 4 for _ in range(count)]
    predicted = [t + generator.gauss(0, levels / 4) for t in true]
    # Equal values share the mean of their ranks, in both lists.
    predicted = [round(p, 0 if levels < 100 else 3) for p in predicted]
    correlations.append(
        {
            "predicted": predicted,
            "true": true,
            "pearson": float(pearsonr(predicted, true)[0]),
            "spearman": float(spearmanr(predicted, true)[0]),
        }
    )
labels = []
for texts, count, share in [(6, 3, 0.5), (40, 5, 0.3), (40, 4, 0.05), (8, 2, 0.0)]:
    draw = lambda: [[int(generator.random() < share) for _ in range(count)] for _ in range(texts)]
    true, predicted = draw(), draw()
    f1 = lambda average: 100 * f1_score(true, predicted, average=average, zero_division=0)
    labels.append(
        {
            "predicted": predicted,
            "true": true,
            "micro_f1": float(f1("micro")),
            "macro_f1": float(f1("macro")),
            "each": [float(v) for v in f1(None)],
            "accuracy": 100 * float(accuracy_score(true, predicted)),
        }
    )
torch.manual_seed(3)
logits, targets = 3 * torch.randn(4, 3), torch.randint(0, 2, (4, 3)).float()
logits[0, 0] = 60.0
losses = {
    "logits": logits.tolist(),
    "targets": targets.tolist(),
    "bce": float(torch.nn.BCEWithLogitsLoss()(logits, targets)),
    "mse": float(torch.nn.MSELoss()(logits[:, 1], targets[:, 1])),
}
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(
    json.dumps({"correlations": correlations, "labels": labels, "losses": losses}) + "\n"
)
