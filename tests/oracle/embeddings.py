"""Records a tiny sentence-transformers model: its embeddings with each pooling, losses, and metrics of its evaluators."""

import json
import pathlib
import shutil

import torch
from sentence_transformers import SentenceTransformer, models
from sentence_transformers.losses import CoSENTLoss, CosineSimilarityLoss, MultipleNegativesRankingLoss
from sentence_transformers.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    TripletEvaluator,
)
from transformers import BertConfig, BertModel, BertTokenizer

OUT = pathlib.Path(__file__).parent.parent / "golden" / "embeddings"
torch.manual_seed(13)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(15)]
FOLDER = OUT / "model"
shutil.rmtree(FOLDER, ignore_errors=True)
FOLDER.mkdir(parents=True)
config = BertConfig(
    vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
    max_position_embeddings=16,
)
bert = BertModel(config, add_pooling_layer=False)
with torch.no_grad():
    for key, parameter in bert.named_parameters():
        parameter.copy_(0.4 * torch.randn_like(parameter) + (1.0 if "orm.weight" in key else 0.0))
bert.save_pretrained(FOLDER)
(FOLDER / "vocab.txt").write_text("\n".join(words) + "\n")
BertTokenizer(str(FOLDER / "vocab.txt"), model_max_length=16).save_pretrained(FOLDER)


def model(mode, normalize):
    encoder = models.Transformer(str(FOLDER), max_seq_length=16)
    pooling = models.Pooling(8, pooling_mode=mode)
    return SentenceTransformer(modules=[encoder, pooling] + ([models.Normalize()] if normalize else []), device="cpu")


def text(i):
    return " ".join(f"w{(i * k + k * k) % 15}" for k in range(1, 2 + i % 6))


texts = [text(i) for i in range(24)]
a, b, c = texts[:8], texts[8:16], texts[16:]
scores = [0.0, 1.0, 2.5, 5.0, 2.5, 3.2, 0.4, 4.8]
recorded = {"first": a, "second": b, "third": c, "scores": scores}
for mode in ("mean", "cls", "max", "lasttoken"):
    recorded[mode] = model(mode, False).encode(texts, convert_to_numpy=True).tolist()
own = model("mean", True)
recorded["normalized"] = own.encode(texts, convert_to_numpy=True).tolist()
embedded = [torch.tensor(own.encode(part, convert_to_numpy=True)) for part in (a, b, c)]
unit = [s / 5 for s in scores]
recorded["losses"] = {
    "in_batch": float(MultipleNegativesRankingLoss(own, scale=20.0).compute_loss_from_embeddings(embedded[:2], None)),
    "in_batch_triplets": float(
        MultipleNegativesRankingLoss(own, scale=20.0).compute_loss_from_embeddings(embedded, None)
    ),
    "cosent": float(CoSENTLoss(own, scale=20.0).compute_loss_from_embeddings(embedded[:2], torch.tensor(scores))),
    "cosine": float(CosineSimilarityLoss(own).compute_loss_from_embeddings(embedded[:2], torch.tensor(unit))),
}
similarity = EmbeddingSimilarityEvaluator(a, b, scores, write_csv=False)(own)
triplets = TripletEvaluator(a, b, c, write_csv=False)(own)
recorded["metrics"] = {
    "spearman": float(similarity["spearman_cosine"]),
    "pearson": float(similarity["pearson_cosine"]),
    "accuracy": 100 * float(triplets["cosine_accuracy"]),
}
# The first texts are queries, all others documents; two or three of them are relevant.
documents = {f"d{i}": text for i, text in enumerate(b + c)}
relevant = {f"q{i}": {f"d{(5 * i + k * k) % 16}" for k in range(1, 3 + i % 2)} for i in range(8)}
retrieval = InformationRetrievalEvaluator(
    {f"q{i}": text for i, text in enumerate(a)}, documents, relevant, precision_recall_at_k=[10, 100], write_csv=False
)(own)
recorded["relevant"] = [sorted(int(d[1:]) for d in relevant[f"q{i}"]) for i in range(8)]
recorded["retrieval"] = {
    "ndcg_10": 100 * float(retrieval["cosine_ndcg@10"]),
    "mrr_10": 100 * float(retrieval["cosine_mrr@10"]),
    "recall_10": 100 * float(retrieval["cosine_recall@10"]),
    "recall_100": 100 * float(retrieval["cosine_recall@100"]),
}
# Last, as the weights are mapped from the folder's file.
own.save(str(OUT / "saved"))
shutil.copytree(OUT / "saved", FOLDER, dirs_exist_ok=True)
shutil.rmtree(OUT / "saved")
(FOLDER / "README.md").unlink()
(OUT / "outputs.json").write_text(json.dumps(recorded) + "\n")
