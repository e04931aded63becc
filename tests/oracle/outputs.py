"""Records a classifier of tokens and a sentence encoder with the weights of tests/golden/heads/classifier: their folders in
tests/golden/infer/heads, logits of each token, and pooled hidden states."""

import json
import pathlib
import shutil

import torch
import transformers

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
SOURCE, OUT = GOLDEN / "heads" / "classifier", GOLDEN / "infer" / "heads"
recorded = json.loads((GOLDEN / "heads" / "outputs.json").read_text())
NAMES = ["O", "B-PER", "I-PER"]
names = dict(id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)})
tokens = transformers.BertForTokenClassification.from_pretrained(SOURCE, dtype=torch.float32, **names).eval()
encoder = transformers.BertModel.from_pretrained(SOURCE, dtype=torch.float32, add_pooling_layer=False).eval()
for model, folder in ((tokens, "tokens"), (encoder, "embedding")):
    model.half().save_pretrained(OUT / folder)
    model.float()
    shutil.copyfile(SOURCE / "vocab.txt", OUT / folder / "vocab.txt")
modules = ["Transformer", "1_Pooling", "2_Normalize"]
listed = [
    {"idx": i, "name": str(i), "path": name if i else "", "type": f"sentence_transformers.models.{name.split('_')[-1]}"}
    for i, name in enumerate(modules)
]
(OUT / "embedding" / "modules.json").write_text(json.dumps(listed) + "\n")
(OUT / "embedding" / "1_Pooling").mkdir(exist_ok=True)
(OUT / "embedding" / "1_Pooling" / "config.json").write_text(
    json.dumps({"word_embedding_dimension": 24, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}) + "\n"
)
rows = lambda tensor: [[round(float(v), 7) for v in row] for row in tensor]
found = {"ids": recorded["ids"], "types": recorded["types"]}
found |= {name: [] for name in ("tokens", "first", "last", "mean", "max", "normalized")}
with torch.no_grad():
    for ids, types in zip(recorded["ids"], recorded["types"]):
        feed = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([types[: len(ids)]])}
        found["tokens"].append(rows(tokens(**feed).logits[0].T))
        hidden = encoder(**feed).last_hidden_state[0]
        mean = hidden.mean(0)
        pooled = {"first": hidden[0], "last": hidden[-1], "mean": mean, "max": hidden.amax(0)}
        pooled["normalized"] = torch.nn.functional.normalize(mean, dim=0)
        for name, value in pooled.items():
            found[name].append(rows(value[None])[0])
(OUT / "outputs.json").write_text(json.dumps(found) + "\n")
