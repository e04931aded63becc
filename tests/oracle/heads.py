"""Records tiny BERTs for classification and masked-language modelling: their folders and outputs."""

import json
import pathlib

import torch
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

OUT = pathlib.Path(__file__).parent.parent / "golden" / "heads"
torch.manual_seed(11)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(35)]
sizes = dict(
    vocab_size=40,
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=20,
)
labels = ["entailment", "neutral", "contradiction"]
names = dict(id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})
lengths = [9, 14]
ids = torch.randint(5, 40, (2, max(lengths)))
mask = torch.tensor([[int(i < n) for i in range(max(lengths))] for n in lengths])
ids = ids * mask
types = (torch.arange(max(lengths)) >= 4).long().expand(2, -1)


def prepared(model, folder):
    """Larger weights than at initialisation, so that every term matters; saved."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.25 * torch.randn_like(parameter))
    model.eval()
    model.save_pretrained(OUT / folder)
    (OUT / folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return model


def numbers(tensor):
    return [[round(float(v), 7) for v in row] for row in tensor]


def nll(logits, answers):
    return float(torch.nn.functional.cross_entropy(logits, torch.tensor(answers)))


classifier = prepared(BertForSequenceClassification(BertConfig(**sizes, **names)), "classifier")
with torch.no_grad():
    by_label = classifier(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
    layers = classifier.bert.encoder.layer
    classifier.bert.encoder.layer = torch.nn.ModuleList([layers[0], layers[2]])
    classifier.config.num_hidden_layers = 2
    shallow = classifier(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
model = prepared(BertForMaskedLM(BertConfig(**sizes)), "masked_lm")
with torch.no_grad():
    by_token = model(input_ids=ids, attention_mask=mask).logits
places = [(0, 2, 17), (0, 8, 5), (1, 13, 39)]
recorded = {
    "ids": [s[:n].tolist() for s, n in zip(ids, lengths)],
    "types": [s[:n].tolist() for s, n in zip(types, lengths)],
    "classifier": {"logits": numbers(by_label), "loss": nll(by_label, [2, 0])},
    "layers_0_and_2": {"logits": numbers(shallow)},
    "masked_lm": {
        "places": places,
        "logits": numbers(torch.stack([by_token[s, p] for s, p, _ in places])),
        "loss": nll(torch.stack([by_token[s, p] for s, p, _ in places]), [a for *_, a in places]),
    },
}
(OUT / "outputs.json").write_text(json.dumps(recorded) + "\n")
