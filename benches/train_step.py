"""The PyTorch process of benches/train_step.rs: reads a number of steps, prints milliseconds per step."""

import json
import sys
import time

import torch
import transformers

batch, length = map(int, sys.argv[1:3])
torch.manual_seed(1)
config = json.loads(sys.argv[3])
config = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
model = transformers.AutoModelForQuestionAnswering.from_config(config)
model.train()
decay = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "norm" in n.lower())]
rest = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=1e-5, eps=1e-8
)
ids = torch.tensor([[(i * 977 + t * 131) % 30000 + 100 for t in range(length)] for i in range(batch)])
inputs = {
    "input_ids": ids,
    "attention_mask": torch.ones_like(ids),
    "start_positions": torch.arange(batch) + 30,
    "end_positions": torch.arange(batch) + 32,
}
if config.model_type == "bert":
    inputs["token_type_ids"] = (torch.arange(length) > 20).long().expand(batch, length)


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
