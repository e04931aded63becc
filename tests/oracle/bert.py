"""Records a tiny BERT for question answering: its folder, its outputs, and five training steps."""

import json
import pathlib

import torch
from transformers import BertConfig, BertForQuestionAnswering

OUT = pathlib.Path(__file__).parent.parent / "golden" / "bert"
torch.manual_seed(7)
config = BertConfig(
    vocab_size=40,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=20,
    type_vocab_size=2,
    layer_norm_eps=1e-12,
)
model = BertForQuestionAnswering(config)
with torch.no_grad():
    # Larger weights than at initialisation, so that every term matters.
    for name, parameter in model.named_parameters():
        if "LayerNorm" in name:
            parameter.add_(0.3 * torch.randn_like(parameter))
        else:
            parameter.copy_(0.25 * torch.randn_like(parameter))
model.eval()
model.save_pretrained(OUT / "tiny")
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(35)]
(OUT / "tiny" / "vocab.txt").write_text("\n".join(words) + "\n")

lengths = [9, 14]
ids = torch.randint(5, 40, (2, max(lengths)))
types = (torch.arange(max(lengths)) >= 4).long().expand(2, -1)
mask = torch.tensor([[int(i < n) for i in range(max(lengths))] for n in lengths])
ids = ids * mask
with torch.no_grad():
    hidden = model.bert(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
    output = model(input_ids=ids, attention_mask=mask, token_type_ids=types)


def rows(tensor):
    """Each sequence without its padding."""
    return [[[round(float(v), 7) for v in t] for t in s[:n]] for s, n in zip(tensor, lengths)]


logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
recorded = {
    "ids": [s[:n].tolist() for s, n in zip(ids, lengths)],
    "types": [s[:n].tolist() for s, n in zip(types, lengths)],
    "hidden": rows(hidden),
    "logits": rows(logits),
}

# Five steps of AdamW without dropout: clipping, decoupled weight decay, none on biases and norms.
# Padding is left out of the softmax, as obert does it.
answers = [(5, 7), (6, 12)]
decay = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
rest = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
    lr=3e-3,
    betas=(0.9, 0.99),
    eps=1e-8,
)
steps = []
for _ in range(5):
    optimizer.zero_grad()
    output = model(input_ids=ids, attention_mask=mask, token_type_ids=types)
    hidden_out = (1 - mask).bool()
    start = output.start_logits.masked_fill(hidden_out, -1e9)
    end = output.end_logits.masked_fill(hidden_out, -1e9)
    target = torch.tensor(answers)
    loss = (
        torch.nn.functional.cross_entropy(start, target[:, 0])
        + torch.nn.functional.cross_entropy(end, target[:, 1])
    ) / 2
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    steps.append({"loss": float(loss), "gradient_norm": float(norm)})
recorded["training"] = {
    "answers": answers,
    "lr": 3e-3,
    "weight_decay": 0.1,
    "beta2": 0.99,
    "clip": 1.0,
    "steps": steps,
    "query_after": [round(float(v), 7) for v in model.bert.encoder.layer[1].attention.self.query.weight[3]],
}
(OUT / "tiny_outputs.json").write_text(json.dumps(recorded) + "\n")
