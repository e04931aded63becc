"""Records what transformers computes from texts with the models of tests/golden/infer/heads and with a cross-encoder that it
saves there (`score`): embeddings, entities, labels and scores of pairs."""

import json
import pathlib

import torch
import transformers

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
SOURCE, HEADS = GOLDEN / "heads" / "classifier", GOLDEN / "infer" / "heads"
TEXTS = ["w1 w2 w3", "w9 w4 w22 w30 w11", "w7"]
torch.manual_seed(5)
score = transformers.BertForSequenceClassification.from_pretrained(
    SOURCE, num_labels=1, dtype=torch.float32, ignore_mismatched_sizes=True, id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0}
)
with torch.no_grad():
    score.classifier.weight.normal_()
score.half().save_pretrained(HEADS / "score")
(HEADS / "score" / "vocab.txt").write_text((SOURCE / "vocab.txt").read_text())

tokenizer = transformers.BertTokenizer(str(SOURCE / "vocab.txt"))
load = lambda kind, folder: getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32).eval()
encoder = load("BertModel", HEADS / "embedding")
cross = load("BertForSequenceClassification", HEADS / "score")
classifier = load("BertForSequenceClassification", SOURCE)
tokens = load("BertForTokenClassification", HEADS / "tokens")
encode = lambda *texts: tokenizer(*texts, return_tensors="pt")
with torch.no_grad():
    embeddings = [torch.nn.functional.normalize(encoder(**encode(t)).last_hidden_state.mean(1))[0] for t in TEXTS]
    scores = [float(cross(**encode(TEXTS[0], t)).logits) for t in TEXTS]
    labels = [classifier(**encode(t)).logits.softmax(-1)[0].tolist() for t in TEXTS]
pipeline = transformers.pipeline("token-classification", tokens, tokenizer=tokenizer, aggregation_strategy="first")
entities = [[{k: float(v) if k == "score" else v for k, v in e.items()} for e in pipeline(t)] for t in TEXTS]
recorded = {
    "texts": TEXTS,
    "embeddings": [e.tolist() for e in embeddings],
    "similarities": [float(embeddings[0] @ e) for e in embeddings],
    "scores": scores,
    "labels": labels,
    "entities": entities,
    "tokens": [len(encode(t)["input_ids"][0]) for t in TEXTS],
}
(GOLDEN / "infer" / "served.json").write_text(json.dumps(recorded) + "\n")
