"""Records tiny RoBERTas and DistilBERTs with each head: their folders, their outputs, and the tokens of RoBERTa's tokenizer
for texts and pairs of texts."""

import json
import pathlib
import shutil

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).parent.parent / "golden" / "families"
VOCABULARY = 90
torch.manual_seed(23)
labels = ["entailment", "neutral", "contradiction"]
names = dict(id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})
lengths = [9, 14]
places = [(0, 2, 17), (0, 8, 5), (1, 13, 39)]

roberta = dict(
    vocab_size=VOCABULARY,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=22,
    type_vocab_size=1,
    layer_norm_eps=1e-5,
)
distilbert = dict(vocab_size=VOCABULARY, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=20)


def prepared(model, folder):
    """Larger weights than at initialisation, so that every term matters; saved in half precision."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" in name or "layer_norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.25 * torch.randn_like(parameter))
    model.half().eval().save_pretrained(OUT / folder)
    return model.float()


def rows(tensor):
    return [[round(float(v), 7) for v in row] for row in tensor]


def record(family, config, pad):
    """Outputs of the three heads for two sequences of other lengths."""
    ids = torch.randint(5, VOCABULARY, (2, max(lengths)))
    mask = torch.tensor([[int(i < n) for i in range(max(lengths))] for n in lengths])
    ids = torch.where(mask == 1, ids, pad)
    kind = getattr(transformers, f"{family}Config")
    make = lambda head, **more: getattr(transformers, f"{family}For{head}")(kind(**config, **more))
    at = family.lower()
    answering = prepared(make("QuestionAnswering"), f"{at}_answering")
    classifier = prepared(make("SequenceClassification", **names), f"{at}_classifier")
    language = prepared(make("MaskedLM"), f"{at}_masked_lm")
    with torch.no_grad():
        spans = answering(input_ids=ids, attention_mask=mask)
        by_label = classifier(input_ids=ids, attention_mask=mask).logits
        by_token = language(input_ids=ids, attention_mask=mask).logits
    spans = torch.stack([spans.start_logits, spans.end_logits], -1)
    return {
        "ids": [s[:n].tolist() for s, n in zip(ids, lengths)],
        "answering": [rows(s[:n]) for s, n in zip(spans, lengths)],
        "classifier": rows(by_label),
        "masked_lm": {"places": places, "logits": rows(torch.stack([by_token[s, p] for s, p, _ in places]))},
    }


def tokens():
    """Byte-level BPE of a few sentences; what transformers makes of texts and pairs."""
    text = "the cat sat on the mat and the dog sat on the log while a rat ran to the cat"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator([text], trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special))
    folder = OUT / "roberta_answering"
    bpe.model.save(str(folder))
    tokenizer = transformers.RobertaTokenizer.from_pretrained(folder)
    cases = []
    for first, second in [
        ("the cat sat", None),
        ("who sat on the mat", "the cat sat on the mat"),
        ("the dog", " a log and  a rat"),
    ]:
        made = tokenizer(first, second, return_offsets_mapping=True)
        cases.append({
            "text": first,
            "pair": second,
            "ids": made["input_ids"],
            "offsets": made["offset_mapping"],
        })
    # The same tokenizer as one file.
    tokenizer.save_pretrained(OUT / "roberta_classifier")
    for path in (OUT / "roberta_classifier").iterdir():
        if path.name not in ("config.json", "model.safetensors", "tokenizer.json"):
            path.unlink()
    for other in ("roberta_masked_lm",):
        shutil.copy(OUT / "roberta_classifier" / "tokenizer.json", OUT / other)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(VOCABULARY - 5)]
    for head in ("answering", "classifier", "masked_lm"):
        (OUT / f"distilbert_{head}" / "vocab.txt").write_text("\n".join(words) + "\n")
    return cases


OUT.mkdir(parents=True, exist_ok=True)
recorded = {
    "roberta": record("Roberta", roberta, pad=1),
    "distilbert": record("DistilBert", distilbert, pad=0),
    "tokens": tokens(),
}
(OUT / "outputs.json").write_text(json.dumps(recorded) + "\n")
