"""Records tiny models for token classification: their folders, logits, and loss over some tokens."""

import json
import pathlib

import torch
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForTokenClassification,
    RobertaConfig,
    RobertaForTokenClassification,
)

OUT = pathlib.Path(__file__).parent.parent / "golden" / "token_classifier"
torch.manual_seed(12)
labels = ["O", "B-PER", "I-PER"]
names = dict(id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})
common = dict(vocab_size=20, **names)
MODELS = {
    "bert": BertForTokenClassification(
        BertConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
            max_position_embeddings=16, **common,
        )
    ),
    "roberta": RobertaForTokenClassification(
        RobertaConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
            max_position_embeddings=18, type_vocab_size=1, **common,
        )
    ),
    "distilbert": DistilBertForTokenClassification(
        DistilBertConfig(dim=8, n_layers=1, n_heads=2, hidden_dim=12, max_position_embeddings=16, **common)
    ),
}
lengths = [5, 9]
ids = torch.randint(5, 20, (2, max(lengths)))
mask = torch.tensor([[int(i < n) for i in range(max(lengths))] for n in lengths])
# Words begin at these tokens; the others have no label.
answers = torch.full_like(ids, -100)
for row, token, label in [(0, 1, 0), (0, 2, 1), (1, 1, 2), (1, 4, 0), (1, 7, 1)]:
    answers[row, token] = label
recorded = {"ids": [s[:n].tolist() for s, n in zip(ids, lengths)], "answers": answers.tolist()}
for name, model in MODELS.items():
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            # RoBERTa's padding token keeps its zero embedding.
            parameter.copy_(0.3 * torch.randn_like(parameter) + (1.0 if "orm.weight" in key else 0.0))
    model.eval()
    padding = model.config.pad_token_id
    with torch.no_grad():
        out = model(
            input_ids=torch.where(mask == 1, ids, torch.full_like(ids, padding)), attention_mask=mask, labels=answers
        )
    logits = [[float(v) for v in out.logits[r, t]] for r, t in (answers >= 0).nonzero().tolist()]
    recorded[name] = {"logits": logits, "loss": float(out.loss)}
    model.save_pretrained(OUT / name)
(OUT / "outputs.json").write_text(json.dumps(recorded) + "\n")
