"""Records hidden states of a real encoder, a few numbers of each token: python hidden_states.py MODEL_DIR."""

import json
import pathlib
import sys

import torch
from transformers import AutoTokenizer, BertModel

OUT = pathlib.Path(__file__).parent.parent / "golden" / "minilm"
TEXTS = [
    "The Optimal BERT Surgeon removes weights by second-order information.",
    "Who? Naïve café-goers, in 1999 -- 42% of them!",
    "pruning",
]
model = BertModel.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
with torch.no_grad():
    hidden = model(**batch).last_hidden_state
recorded = []
for text, ids, mask, states in zip(TEXTS, batch["input_ids"], batch["attention_mask"], hidden):
    count = int(mask.sum())
    recorded.append(
        {
            "text": text,
            "ids": ids[:count].tolist(),
            # Every 48th number of every token.
            "hidden": [[round(float(v), 6) for v in token[::48]] for token in states[:count]],
        }
    )
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "hidden_states.json").write_text(json.dumps(recorded, ensure_ascii=False) + "\n")
