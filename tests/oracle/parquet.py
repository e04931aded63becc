"""Records small Parquet files in the columns of `datasets`: SQuAD, classes with and without names, texts.

    pip install pyarrow
"""

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).parent.parent / "golden" / "parquet"
OUT.mkdir(parents=True, exist_ok=True)


def write(name, table, features=None, **how):
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, OUT / name, **how)


context = "Übung macht den Meister. The cat sat on the mat; the dog sat on the log."
questions = [
    ("q1", "What makes the master?", [("Übung", 0)]),
    ("q2", "Where did the cat sit?", [("on the mat", 37), ("the mat", 40)]),
    ("q3", "Where did the rat sit?", []),
    ("q4", "Who sat on the log?", [("the dog", 49)]),
]


def squad(rows):
    for _, _, answers in rows:
        assert all(context[at : at + len(text)] == text for text, at in answers), answers
    answers = [{"text": [t for t, _ in a], "answer_start": [at for _, at in a]} for _, _, a in rows]
    kind = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    return pa.table({
        "id": [q for q, *_ in rows],
        "title": ["Proverbs"] * len(rows),
        "context": [context] * len(rows),
        "question": [asked for _, asked, _ in rows],
        "answers": pa.array(answers, kind),
    })


# Two parts, the second with two row groups; without the question that has no answer, and with it.
write("squad-00000-of-00002.parquet", squad(questions[:1]), compression="snappy")
write("squad-00001-of-00002.parquet", squad([questions[1], questions[3]]), compression="zstd", row_group_size=1)
write("squad_v2.parquet", squad(questions), compression="none")
listed = pa.table({
    "id": pa.array([7], pa.int64()),
    "context": pa.array([context], pa.large_string()),
    "question": ["Who sat?"],
    "answers": pa.array(
        [[{"text": "the dog", "answer_start": 49}]],
        pa.list_(pa.struct([("text", pa.string()), ("answer_start", pa.int64())])),
    ),
})
write("squad_listed.parquet", listed)

names = ["entailment", "neutral", "contradiction"]
feature = {"label": {"names": names, "_type": "ClassLabel"}, "premise": {"dtype": "string", "_type": "Value"}}
pairs = pa.table({
    "premise": ["a cat sat", "a dog ran", "a rat hid", "nobody knows"],
    "hypothesis": ["it sat", "it sat", "it ran", "it is so"],
    "label": pa.array([0, 2, 1, -1], pa.int64()),
    "idx": pa.array([0, 1, 2, 3], pa.int32()),
})
write("mnli.parquet", pairs, feature, compression="zstd", use_dictionary=False)
write("numbers.parquet", pairs.slice(0, 3), compression="snappy")
write("texts.parquet", pa.table({"text": ["the cat sat on the mat", "", " the dog ran "]}))
write("null.parquet", pa.table({"text": ["the cat", None]}))
write("gzip.parquet", pa.table({"text": ["the cat"]}), compression="gzip")
write("vectors.parquet", pa.table({"text": pa.array([[1.0, 2.0]], pa.list_(pa.float32()))}))
write("empty.parquet", pa.table({"text": pa.array([], pa.string())}))
