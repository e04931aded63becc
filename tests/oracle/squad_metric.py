"""Records SQuAD's EM and F1 of some answers, as torchmetrics computes them.

Answers that normalisation empties are not recorded: torchmetrics counts two of them as a match, as SQuAD v2.0's script
does; v1.1's gives them an F1 of 0.
"""

import json
import pathlib

from torchmetrics.text import SQuAD

OUT = pathlib.Path(__file__).parent.parent / "golden" / "squad_metric"
CASES = [
    ("Denver Broncos", ["Denver Broncos", "The Denver Broncos"]),
    ("the denver broncos!", ["Denver Broncos"]),
    ("Santa Clara, California", ["Santa Clara", "Levi's Stadium in Santa Clara, California"]),
    ("", ["nothing"]),
    ("nothing", [""]),
    ("10th and 11th centuries", ["in the 10th and 11th centuries"]),
    ("an apple a day", ["apple day"]),
    ("Élan vital", ["élan  vital"]),
    ("U.S.", ["US", "United States"]),
    ("twenty-four", ["twenty four"]),
    ("red red blue", ["red blue blue"]),
    ("theatre", ["the atre"]),
    ("$1.2 billion", ["1.2 billion dollars", "12 billion"]),
    ("\u2018quoted\u2019", ["quoted"]),
    ("A", ["a b"]),
    ("STRASSE", ["Straße"]),
    ("one\ttwo\nthree", ["one two three four"]),
    ("Beyoncé Giselle Knowles-Carter", ["Beyoncé", "Knowles Carter"]),
]
recorded = []
for number, (prediction, references) in enumerate(CASES):
    metric = SQuAD()
    score = metric(
        [{"prediction_text": prediction, "id": str(number)}],
        [{"answers": {"answer_start": [0] * len(references), "text": references}, "id": str(number)}],
    )
    recorded.append(
        {
            "prediction": prediction,
            "references": references,
            "em": float(score["exact_match"]),
            "f1": float(score["f1"]),
        }
    )
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n")
