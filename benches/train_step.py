"""The PyTorch process of benches/train_step.rs: reads a number of steps, prints milliseconds per step."""

import sys
import time

import torch
import transformers
from transformers import BertConfig, BertForQuestionAnswering

batch, length, hidden, layers = map(int, sys.argv[1:5])
torch.manual_seed(1)
config = BertConfig(
    vocab_size=30522,
    hidden_size=hidden,
    num_hidden_layers=layers,
    num_attention_heads=12,
    intermediate_size=4 * hidden,
)
model = BertForQuestionAnswering(config)
model.train()
decay = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
rest = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=1e-5, eps=1e-8
)
ids = torch.tensor([[(i * 977 + t * 131) % 30000 + 100 for t in range(length)] for i in range(batch)])
inputs = {
    "input_ids": ids,
    "attention_mask": torch.ones_like(ids),
    "token_type_ids": (torch.arange(length) > 20).long().expand(batch, length),
    "start_positions": torch.arange(batch) + 30,
    "end_positions": torch.arange(batch) + 32,
}


def step():
    optimizer.zero_grad()
    loss = model(**inputs).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


for _ in range(3):
    step()
print(f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads", flush=True)
for line in sys.stdin:
    count = int(line)
    start = time.perf_counter()
    for _ in range(count):
        step()
    print((time.perf_counter() - start) / count * 1e3, flush=True)
