"""Loads a folder that obert saved in transformers: no key may be missing or unexpected. Prints logits of fixed tokens.

    python opens.py MODEL_DIR
"""

import json
import pathlib
import sys

import torch
import transformers

folder = pathlib.Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
model_class = getattr(transformers, config["architectures"][0])
model, report = model_class.from_pretrained(folder, output_loading_info=True)
wrong = {key: sorted(map(str, value)) for key, value in report.items() if value}
assert not wrong, wrong
if any((folder / name).exists() for name in ("tokenizer.json", "vocab.txt", "vocab.json")):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) <= config["vocab_size"]
ids = torch.tensor([[2, 7, 9, 11, 3]])
with torch.no_grad():
    output = model.eval()(input_ids=ids)
keys = [key for key in ("logits", "start_logits", "end_logits") if key in output]
print(json.dumps({key: output[key].flatten().tolist()[:24] for key in keys}))
