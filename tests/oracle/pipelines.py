"""Records what transformers and sentence-transformers give for texts: tests/golden/pipelines, with a tiny cross-encoder.

The other models are those of tests/golden/heads, infer/heads, bert and embeddings; the cross-encoder has the
encoder of tests/golden/heads/classifier and a random head."""

import json
import pathlib
import shutil

import torch
import transformers
from sentence_transformers import CrossEncoder, SentenceTransformer

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
CLASSIFIER, OUT = GOLDEN / "heads" / "classifier", GOLDEN / "pipelines"
RERANKER = OUT / "reranker"
torch.manual_seed(7)
names = dict(num_labels=1, id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0})
scorer = transformers.BertForSequenceClassification.from_pretrained(
    CLASSIFIER, dtype=torch.float32, ignore_mismatched_sizes=True, **names
).eval()
torch.nn.init.normal_(scorer.classifier.weight, std=0.8)
torch.nn.init.normal_(scorer.classifier.bias, std=0.8)
scorer.half().save_pretrained(RERANKER)
shutil.copyfile(CLASSIFIER / "vocab.txt", RERANKER / "vocab.txt")


def tokenizer(folder):
    return transformers.BertTokenizer(str(folder / "vocab.txt"))


def model(kind, folder):
    return getattr(transformers, f"AutoModelFor{kind}").from_pretrained(folder, dtype=torch.float32).eval()


near = lambda value: round(float(value), 6)
TEXTS = ["w1 w2", "w3", "w30 w14 w7 w22 w9", "w8 w8 w8 unknown w21 w5 w2 w17"]
PAIRS = [["w1 w2", "w3"], ["w9 w4", "w28 w13 w2"]]
classify = lambda kind, folder, inputs: [
    torch.softmax(model(kind, folder)(**tokenizer(folder)(*one, return_tensors="pt")).logits[0], -1) for one in inputs
]
found = {"texts": TEXTS, "pairs": PAIRS}
with torch.no_grad():
    labels = list(model("SequenceClassification", CLASSIFIER).config.id2label.values())
    inputs = [[text] for text in TEXTS] + PAIRS
    found["labels"] = [
        {name: near(p) for name, p in zip(labels, one)}
        for one in classify("SequenceClassification", CLASSIFIER, inputs)
    ]
    tokens = GOLDEN / "infer" / "heads" / "tokens"
    entities = transformers.pipeline(
        "token-classification", model=model("TokenClassification", tokens), tokenizer=tokenizer(tokens),
        aggregation_strategy="first", device=-1,
    )
    found["entities"] = [
        [
            {"label": e["entity_group"], "score": near(e["score"]), "start": e["start"], "end": e["end"]}
            for e in entities(text)
        ]
        for text in TEXTS
    ]
    encoder = CrossEncoder(str(RERANKER), device="cpu", model_kwargs={"dtype": torch.float32})
    found["query"], found["documents"] = "w1 w2", TEXTS
    pairs = [("w1 w2", text) for text in TEXTS]
    found["rerank"] = [near(s) for s in encoder.predict(pairs)]
    found["rerank_raw"] = [near(s) for s in encoder.predict(pairs, activation_fn=torch.nn.Identity())]
    reader = GOLDEN / "bert" / "tiny"
    question, context = "w1 w2", "w3 w4 w5 w6 w7"
    asked = tokenizer(reader)(question, context, return_tensors="pt")
    logits = model("QuestionAnswering", reader)(**asked)
    start, end = logits.start_logits[0], logits.end_logits[0]
    spans = [(start[i] + end[j], i, j) for i in range(4, 9) for j in range(i, 9)]  # behind [CLS] w1 w2 [SEP]
    spans.sort(reverse=True)
    words = context.split()
    answers = [{"answer": " ".join(words[i - 4 : j - 3]), "score": near(s)} for s, i, j in spans[:3]]
    found |= {"question": question, "context": context, "answers": answers, "no_answer": near(start[0] + end[0])}
    sentences = SentenceTransformer(str(GOLDEN / "embeddings" / "model"), device="cpu")
    # The last one has more than the maximum length of 16 tokens.
    found["sentences"] = ["w1", "w2 w6", "w5 w12 w6 w2 w0", "w1 w2 w3 w4 w5 " * 5]
    found["embeddings"] = [[near(v) for v in row] for row in sentences.encode(found["sentences"])]
    found["prompted"] = [[near(v) for v in row] for row in sentences.encode(found["sentences"][:3], prompt="w3 w4 ")]
OUT.mkdir(exist_ok=True)
(OUT / "outputs.json").write_text(json.dumps(found) + "\n")
