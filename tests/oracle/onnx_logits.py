"""The logits that ONNX Runtime computes from a file of `obertc pack --as onnx`.

    python onnx_logits.py MODEL.onnx SEQUENCES.json

SEQUENCES is a list of [ids, types]. Prints the version and the logits of each sequence, one output after the other: run
alone, and in one padded batch.
"""

import json
import sys

import numpy
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
sequences = json.load(open(sys.argv[2]))


def run(batch):
    longest = max(len(ids) for ids, _ in batch)
    pad = lambda rows: numpy.array([row + [0] * (longest - len(row)) for row in rows], numpy.int64)
    feed = {
        "input_ids": pad([ids for ids, _ in batch]),
        "token_type_ids": pad([types for _, types in batch]),
        "attention_mask": pad([[1] * len(ids) for ids, _ in batch]),
    }
    asked = [given.name for given in session.get_inputs()]
    outputs = session.run(None, {name: feed[name] for name in asked})
    # Outputs for each token `[batch, length]` or `[batch, length, labels]`, label by label; or for each sequence.
    def of(i, out):
        if out.ndim == 3:
            return out[i, : len(batch[i][0])].T.ravel()
        return out[i, : len(batch[i][0])] if len(outputs) == 2 else out[i]

    return [[float(v) for out in outputs for v in of(i, out)] for i in range(len(batch))]


alone = [run([sequence])[0] for sequence in sequences]
print(json.dumps({"onnxruntime": onnxruntime.__version__, "alone": alone, "padded": run(sequences)}))
