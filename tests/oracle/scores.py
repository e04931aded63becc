"""Records metrics of scores (scipy) and of several labels (scikit-learn), and losses of both (PyTorch)."""

import json
import pathlib
import random

import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, ndcg_score

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
rankings = []
for queries, candidates in [(1, 4), (6, 15), (5, 3)]:
    number = [q for q in range(queries) for _ in range(candidates)]
    relevant = [int(generator.random() < 0.3) for _ in number]
    scores = generator.sample(range(1000), len(number))
    ndcg, mrr = [], []
    for q in range(queries):
        own = [i for i, n in enumerate(number) if n == q]
        if not 0 < sum(relevant[i] for i in own) < len(own):
            continue
        ndcg.append(ndcg_score([[relevant[i] for i in own]], [[scores[i] for i in own]], k=10))
        order = sorted(own, key=lambda i: -scores[i])[:10]
        mrr.append(next((1 / (r + 1) for r, i in enumerate(order) if relevant[i]), 0))
    mean = lambda values: 100 * sum(values) / max(len(values), 1)
    case = {"queries": number, "relevant": relevant, "scores": scores}
    rankings.append({**case, "ndcg_10": float(mean(ndcg)), "mrr_10": float(mean(mrr))})
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(
    json.dumps({"correlations": correlations, "labels": labels, "losses": losses, "rankings": rankings}) + "\n"
)
