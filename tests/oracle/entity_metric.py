"""Records precision, recall and F1 of entities in strict mode, of all and of each type, as seqeval computes them."""

import json
import pathlib
import random

from seqeval.metrics import classification_report
from seqeval.scheme import BILOU, IOB2, IOBES

OUT = pathlib.Path(__file__).parent.parent / "golden" / "entity_metric"
generator = random.Random(5)
SCHEMES = {"BI": IOB2, "BIES": IOBES, "BILU": BILOU}
KINDS = ["PER", "LOC", "ORG"]


def labels_of(prefixes, kinds):
    return ["O"] + [f"{prefix}-{kind}" for kind in kinds for prefix in prefixes]


def entity(prefixes, kind, length):
    """The tags of an entity of so many words."""
    last, single = prefixes[2:3], prefixes[3:4]
    if not last:
        return [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
    if length == 1:
        return [f"{single}-{kind}"]
    return [f"B-{kind}"] + [f"I-{kind}"] * (length - 2) + [f"{last}-{kind}"]


def sentence(prefixes, words):
    tags = []
    while len(tags) < words:
        if generator.random() < 0.5:
            tags.append("O")
        else:
            tags += entity(prefixes, generator.choice(KINDS), generator.randint(1, 3))
    return tags


recorded = []
for prefixes, scheme in SCHEMES.items():
    labels = labels_of(prefixes, KINDS)
    for noise in (0.0, 0.15, 0.5, 1.0):
        gold, predicted = [], []
        for _ in range(12):
            true = sentence(prefixes, generator.randint(1, 9))
            gold.append(true)
            # Any tag may follow any other in a prediction.
            predicted.append([generator.choice(labels) if generator.random() < noise else tag for tag in true])
        report = classification_report(
            gold, predicted, mode="strict", scheme=scheme, output_dict=True, zero_division=0
        )
        index = {label: i for i, label in enumerate(labels)}
        numbers = {}
        for name, row in report.items():
            if name in KINDS or name == "micro avg":
                suffix = "" if name == "micro avg" else f"_{name}"
                for metric, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                    numbers[metric + suffix] = 100 * float(row[key])
        recorded.append(
            {
                "labels": labels,
                "gold": [[index[t] for t in s] for s in gold],
                "predicted": [[index[t] for t in s] for s in predicted],
                "metrics": numbers,
            }
        )
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(json.dumps(recorded) + "\n")
