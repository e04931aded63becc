"""Records accuracy and F1, of each class and their mean, of some predictions, as scikit-learn computes them."""

import json
import pathlib
import random

from sklearn.metrics import accuracy_score, f1_score

OUT = pathlib.Path(__file__).parent.parent / "golden" / "classification_metric"
generator = random.Random(3)
CASES = [
    ([0, 1, 1, 0], [0, 1, 0, 0], 2),
    ([0, 0, 0], [1, 1, 1], 2),
    ([0, 0, 0], [0, 0, 0], 2),
    ([2, 1, 0, 2], [0, 1, 2, 2], 3),
    ([0, 1, 1, 1], [0, 1, 0, 1], 3),
    # Always the majority.
    ([1] * 10, [0] + [1] * 9, 2),
]
for labels in (2, 3, 5):
    count = 40
    CASES.append(
        (
            [generator.randrange(labels) for _ in range(count)],
            [generator.randrange(labels) for _ in range(count)],
            labels,
        )
    )
recorded = []
for predicted, true, labels in CASES:
    case = {"predicted": predicted, "labels": true, "accuracy": 100 * accuracy_score(true, predicted)}
    if labels == 2:
        case["f1"] = 100 * f1_score(true, predicted, zero_division=0)
        case["f1_of_0"] = 100 * f1_score(true, predicted, pos_label=0, zero_division=0)
    each = f1_score(true, predicted, labels=list(range(labels)), average=None, zero_division=0)
    case["f1_of_each"] = [100 * float(value) for value in each]
    case["macro_f1"] = 100 * f1_score(true, predicted, average="macro", zero_division=0)
    recorded.append(case)
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(json.dumps(recorded) + "\n")
