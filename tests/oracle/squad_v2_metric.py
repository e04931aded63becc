"""Records EM and F1 of SQuAD v2.0 with transformers 4's copy of the official script, given as a file:

    python squad_v2_metric.py transformers/data/metrics/squad_metrics.py
"""

import json
import pathlib
import random
import sys
import types

OUT = pathlib.Path(__file__).parent.parent / "golden" / "squad_v2_metric"
text = pathlib.Path(sys.argv[1]).read_text()
# What it imports of the package is not needed for scores.
text = text.replace("from ...models.bert import BasicTokenizer", "")
text = text.replace("from ...utils import logging", "import logging; logging.get_logger = logging.getLogger")
official = types.ModuleType("official")
exec(text, official.__dict__)

generator = random.Random(5)
words = ["the", "red", "blue", "1999", "Denver", "Broncos", "a", "tree"]


def phrase():
    return " ".join(generator.choice(words) for _ in range(generator.randrange(1, 4)))


class Example:
    def __init__(self, number, answers):
        self.qas_id, self.answers = str(number), [{"text": a} for a in answers]


recorded = []
for case in range(4):
    examples, predictions, scores = [], {}, {}
    for number in range(12):
        answers = [phrase() for _ in range(generator.randrange(0, 3))]
        if case == 3:
            answers = answers[:1] if number % 3 else []
        examples.append(Example(number, answers))
        said = phrase() if generator.random() < 0.6 or not answers else answers[0]
        predictions[str(number)] = "" if generator.random() < 0.15 else said
        scores[str(number)] = round(generator.uniform(-4, 4), 3)
    result = official.squad_evaluate(examples, predictions, scores, no_answer_probability_threshold=0.0)
    keys = {
        "em": "exact",
        "f1": "f1",
        "em_answered": "HasAns_exact",
        "f1_answered": "HasAns_f1",
        "em_unanswered": "NoAns_exact",
        "f1_unanswered": "NoAns_f1",
        "best_em": "best_exact",
        "best_f1": "best_f1",
    }
    recorded.append(
        {
            "questions": [
                {
                    "answers": [a["text"] for a in e.answers],
                    "text": predictions[e.qas_id],
                    "no_answer": scores[e.qas_id],
                }
                for e in examples
            ],
            "metrics": {ours: result[theirs] for ours, theirs in keys.items() if theirs in result},
        }
    )
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(json.dumps(recorded) + "\n")
