"""Records distillation losses: KL divergences, hidden-state errors, and both for a training step.

The definitions are those of SparseML's `kldiv_loss` and `PerLayerDistillationModifier`, on rows without padding.
"""

import json
import pathlib

import torch
from transformers import BertForSequenceClassification

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
torch.manual_seed(5)


def numbers(tensor):
    return [[round(float(v), 7) for v in row] for row in tensor]


def divergence(student, teacher, temperature):
    log_q = torch.nn.functional.log_softmax(student / temperature, -1)
    p = torch.nn.functional.softmax(teacher / temperature, -1)
    return torch.nn.functional.kl_div(log_q, p, reduction="sum") * temperature**2 / student.shape[0]


def error(student, teacher, epsilon):
    value = torch.nn.functional.mse_loss(student, teacher)
    return value if epsilon is None else value / (teacher.square().mean() + epsilon)


def case(loss, student, teacher, **settings):
    student.requires_grad_()
    value = loss(student, teacher, *settings.values())
    value.backward()
    sides = {"student": numbers(student.detach()), "teacher": numbers(teacher)}
    return {**sides, **settings, "loss": value.item(), "gradient": numbers(student.grad)}


logits = [
    case(divergence, torch.randn(rows, 5), 2 * torch.randn(rows, 5), temperature=t)
    for rows, t in [(1, 1.0), (3, 2.0), (7, 5.5)]
]
states = [
    case(error, torch.randn(rows, width), scale * torch.randn(rows, width), epsilon=epsilon)
    for rows, width, scale, epsilon in [(1, 4, 1.0, 1e-6), (9, 24, 3.0, 1e-6), (5, 8, 0.01, 1e-3), (5, 8, 1.0, None)]
]

# A student of the layers 0 and 2 learns from all three: its last layer from the last, its first from the first.
recorded = json.loads((GOLDEN / "heads" / "outputs.json").read_text())
longest = max(map(len, recorded["ids"]))
padded = lambda rows: torch.tensor([row + [0] * (longest - len(row)) for row in rows])
mask = padded([[1] * len(row) for row in recorded["ids"]])
inputs = dict(
    input_ids=padded(recorded["ids"]), token_type_ids=padded(recorded["types"]), attention_mask=mask
)


def computed(kept):
    model = BertForSequenceClassification.from_pretrained(GOLDEN / "heads" / "classifier").eval()
    layers = model.bert.encoder.layer
    model.bert.encoder.layer = torch.nn.ModuleList([layers[i] for i in kept])
    model.config.num_hidden_layers = len(kept)
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
    return out.logits, [state[mask.bool()] for state in out.hidden_states]


(logits_of_student, own), (logits_of_teacher, others) = computed([0, 2]), computed([0, 1, 2])
pairs = [(own[1], others[1]), (own[2], others[3])]
step = {
    "gain": 1.5,
    "hidden": 1.5 * sum(error(s, t, 1e-6).item() for s, t in pairs),
    "divergence": divergence(logits_of_student, logits_of_teacher, 2.0).item(),
    "task": torch.nn.functional.cross_entropy(logits_of_student, torch.tensor([2, 0])).item(),
}
OUT = GOLDEN / "distillation"
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cases.json").write_text(json.dumps({"logits": logits, "states": states, "step": step}) + "\n")
