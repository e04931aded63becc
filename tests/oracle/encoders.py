"""Records tiny models of further families with each head: folders, hidden states, logits and gradients of the loss.

    python tests/oracle/encoders.py [FAMILY…]    # tests/golden/encoders
"""

import json
import pathlib
import sys

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).parent.parent / "golden" / "encoders"
VOCABULARY = 90
LENGTHS = [9, 14]
PLACES = [(0, 2, 17), (0, 8, 5), (1, 13, 39)]
LABELS = [2, 0]
NAMES = ["entailment", "neutral", "contradiction"]
# The first values of a gradient that are compared.
SHOWN = 256

body = dict(
    vocab_size=VOCABULARY,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=22,
)
layer = "encoder.layer.1."
tensors = [
    "embeddings.word_embeddings.weight",
    layer + "attention.self.query.weight",
    layer + "attention.self.key.bias",
    layer + "attention.output.dense.weight",
    layer + "attention.output.LayerNorm.weight",
    layer + "intermediate.dense.weight",
]
roberta = dict(body, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)
bert = dict(body, max_position_embeddings=20)
# Family: class prefix, first part of the encoder's names, configuration, tensors whose gradients are recorded.
FAMILIES = {
    "xlm-roberta": ("XLMRoberta", "roberta", roberta, tensors),
    "camembert": ("Camembert", "roberta", dict(roberta, hidden_act="relu"), tensors),
    "electra": (
        "Electra",
        "electra",
        dict(bert, embedding_size=16),
        tensors[:5] + ["embeddings_project.weight"],
    ),
    "mpnet": (
        "MPNet",
        "mpnet",
        body,
        ["embeddings.word_embeddings.weight", "encoder.relative_attention_bias.weight"]
        + [layer + f"attention.attn.{name}.weight" for name in "qko"]
        + [layer + "attention.LayerNorm.weight", layer + "intermediate.dense.weight"],
    ),
    # Windows that are narrower than the sequences: layers 0 and 3 attend to all tokens.
    "modernbert": (
        "ModernBert",
        "model",
        dict(body, num_hidden_layers=4, local_attention=8, pad_token_id=0, cls_token_id=2, sep_token_id=3,
             bos_token_id=2, eos_token_id=3, rope_parameters=dict(
                 full_attention=dict(rope_type="default", rope_theta=160.0),
                 sliding_attention=dict(rope_type="default", rope_theta=10.0))),
        ["embeddings.tok_embeddings.weight", "embeddings.norm.weight", "head.norm.weight", "final_norm.weight"]
        + [f"layers.1.{name}.weight" for name in ("attn_norm", "attn.Wqkv", "attn.Wo", "mlp_norm", "mlp.Wi", "mlp.Wo")],
    ),
    # Four layers in two groups.
    "albert": (
        "Albert",
        "albert",
        dict(bert, num_hidden_layers=4, num_hidden_groups=2, embedding_size=16, attention_probs_dropout_prob=0.0),
        ["embeddings.word_embeddings.weight", "encoder.embedding_hidden_mapping_in.weight", "pooler.weight"]
        + [
            f"encoder.albert_layer_groups.1.albert_layers.0.{name}"
            for name in ("attention.query.weight", "attention.dense.weight", "ffn.weight", "full_layer_layer_norm.bias")
        ],
    ),
    # DeBERTa-v3's settings, with fewer buckets than distances.
    "deberta-v2": (
        "DebertaV2",
        "deberta",
        dict(body, relative_attention=True, position_buckets=8, max_relative_positions=-1, norm_rel_ebd="layer_norm",
             share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False),
        ["embeddings.word_embeddings.weight", "encoder.rel_embeddings.weight", "encoder.LayerNorm.weight"]
        + [layer + f"attention.self.{name}_proj.weight" for name in ("query", "key", "value")]
        + [layer + "attention.self.query_proj.bias", layer + "intermediate.dense.weight"],
    ),
    # DeBERTa-v2's other settings: a row for each distance, projections of its own, one term, absolute positions.
    "deberta-v2-unshared": (
        "DebertaV2",
        "deberta",
        dict(body, relative_attention=True, max_relative_positions=6, pos_att_type=["c2p"], pooler_hidden_act="tanh",
             position_biased_input=True, cls_dropout=0.2),
        ["embeddings.position_embeddings.weight", "encoder.rel_embeddings.weight", "pooler.dense.bias"]
        + [layer + f"attention.self.{name}_proj.weight" for name in ("query", "key", "pos_key")],
    ),
    # The mean of the tokens, biases everywhere, another activation.
    "modernbert-biased": (
        "ModernBert",
        "model",
        dict(body, num_hidden_layers=2, local_attention=6, pad_token_id=0, classifier_pooling="mean", norm_bias=True,
             attention_bias=True, mlp_bias=True, classifier_bias=True, hidden_activation="silu",
             classifier_activation="relu", cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3),
        ["embeddings.norm.bias", "head.dense.bias", "classifier.weight"]
        + [f"layers.1.{name}.bias" for name in ("attn_norm", "attn.Wqkv", "attn.Wo", "mlp.Wi")],
    ),
    # BERT with each other activation.
    "bert-gelu_new": ("Bert", "bert", dict(bert, hidden_act="gelu_new"), tensors),
    "bert-relu": ("Bert", "bert", dict(bert, hidden_act="relu"), tensors),
    "bert-silu": ("Bert", "bert", dict(bert, hidden_act="silu"), tensors),
    "bert-tanh": ("Bert", "bert", dict(bert, hidden_act="tanh"), tensors),
}


def prepared(model, folder):
    """Larger weights than at initialisation, so that every term matters; saved in half precision."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name.lower():
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.25 * torch.randn_like(parameter))
    model.half().save_pretrained(OUT / folder)
    # Read again: `half` also rounds buffers that are not saved, such as the frequencies of rotary positions.
    return type(model).from_pretrained(OUT / folder, dtype=torch.float32).eval()


def rows(tensor):
    return [[round(float(v), 7) for v in row] for row in tensor]


def tokenizer(family):
    """A tokenizer.json of the family's kind, whose special tokens have the family's ids."""
    text = ["the cat sat on the mat and the dog sat on the log while a rat ran to the cat"]
    if family in ("xlm-roberta", "camembert"):
        special = ["<s>", "<pad>", "</s>", "<unk>"]
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.train_from_iterator(
            text, trainers.UnigramTrainer(vocab_size=60, special_tokens=special + ["<mask>"], unk_token="<unk>")
        )
        made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False)
        return made
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(text, trainers.WordPieceTrainer(vocab_size=60, special_tokens=special))
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def record(family):
    """Outputs of the three heads for two sequences of other lengths; gradients of the classifier's loss."""
    torch.manual_seed(31)
    prefix, base, config, gradients = FAMILIES[family]
    kind = getattr(transformers, f"{prefix}Config")
    pad = kind(**config).pad_token_id
    ids = torch.randint(5, VOCABULARY, (2, max(LENGTHS)))
    mask = torch.tensor([[int(i < n) for i in range(max(LENGTHS))] for n in LENGTHS])
    ids = torch.where(mask == 1, ids, pad)
    call = dict(input_ids=ids, attention_mask=mask)
    if prefix in ("Bert", "Electra", "Albert"):
        call["token_type_ids"] = torch.tensor([[int(2 * i > n) for i in range(max(LENGTHS))] for n in LENGTHS]) * mask
    make = lambda head, **more: getattr(transformers, f"{prefix}For{head}")(kind(**config, **more))
    names = dict(id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)})
    answering = prepared(make("QuestionAnswering"), f"{family}_answering")
    classifier = prepared(make("SequenceClassification", **names), f"{family}_classifier")
    language = prepared(make("MaskedLM"), f"{family}_masked_lm")
    with torch.no_grad():
        spans = answering(**call)
        by_label = classifier(**call).logits
        by_token = language(**call).logits
        hidden = getattr(classifier, base)(**call).last_hidden_state
    spans = torch.stack([spans.start_logits, spans.end_logits], -1)
    loss = torch.nn.functional.cross_entropy(classifier(**call).logits, torch.tensor(LABELS))
    loss.backward()
    parameters = dict(classifier.named_parameters())
    named = [f"{base}.{name}" if f"{base}.{name}" in parameters else name for name in gradients]
    if "-" not in family or family in ("xlm-roberta", "deberta-v2"):
        tokenizer(family).save(str(OUT / f"{family}_classifier" / "tokenizer.json"))
    return {
        "ids": [s[:n].tolist() for s, n in zip(ids, LENGTHS)],
        "hidden": [rows(s[:n]) for s, n in zip(hidden, LENGTHS)],
        "answering": [rows(s[:n]) for s, n in zip(spans, LENGTHS)],
        "classifier": rows(by_label),
        "masked_lm": {"places": PLACES, "logits": rows(torch.stack([by_token[s, p] for s, p, _ in PLACES]))},
        "labels": LABELS,
        "loss": loss.item(),
        "gradients": {name: [float(f"{v:.7g}") for v in parameters[name].grad.flatten()[:SHOWN]] for name in named},
    }


OUT.mkdir(parents=True, exist_ok=True)
for family in sys.argv[1:] or FAMILIES:
    (OUT / f"{family}.json").write_text(json.dumps(record(family)) + "\n")
