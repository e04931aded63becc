"""Records tiny tokenizers of each kind with the tokens that transformers computes, or prints the tokens of the same texts by
the tokenizer of a folder.

    python tests/oracle/tokenizers_of.py             # tests/golden/tokenizers
    python tests/oracle/tokenizers_of.py FOLDER…     # one line of JSON for each folder
"""

import json
import pathlib
import shutil
import sys

import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).parent.parent / "golden" / "tokenizers"
TEXT = (
    "The Quick brown fox, résumé Ärger ÜBER straße! 今天天气很好 日本語 東京タワー [MASK] <new1> mid<new1>dle "
    "NewWord newword 😀👍🏽 naïve Café İstanbul\tfoo\u00a0bar\u200bbaz ½ don't  UNaffable <mask> e\u0301"
)
PAIR = "Über die Straße: 天气 <new2> [SEP] fox"
# 1,200 words.
LONG = ("they saw Über Märkte " * 300).strip()
SAMPLE = [
    "The quick brown fox saw the market and they saw it too, don't they?",
    "the unaffable résumé of a naïve café in istanbul; Ärger über die Straße, Märkte und Bären",
    "arger uber die strasse markte e resume cafe naive",
    "今天天气很好 日本語 東京 天 气",
    "The Quick Brown FOX Über ÜBER Café foo bar baz ½ 😀",
] * 3
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def made(tokenizer, folder=None):
    """Token ids of a text, of a pair and of 1,200 words, and what decides how long a text may be."""
    single, pair = tokenizer(TEXT), tokenizer(TEXT, PAIR)
    long = tokenizer(LONG, truncation=True)["input_ids"]
    return {
        "single": single["input_ids"],
        "pair": pair["input_ids"],
        "types": pair.get("token_type_ids"),
        "long": long,
        "longest": tokenizer.model_max_length,
    }


def words(lowercase, strip=None, chinese=True):
    """A WordPiece vocabulary of the sample, in order."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=strip, handle_chinese_chars=chinese
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(SAMPLE, trainers.WordPieceTrainer(vocab_size=260, special_tokens=BERT))
    return sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)


def folder(name, model_type="bert", **config):
    path = OUT / name
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"model_type": model_type}) + "\n")
    if config:
        (path / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    return path


def bert(name, lowercase, strip=None, chinese=True, model_type="bert", **config):
    path = folder(name, model_type, **config)
    (path / "vocab.txt").write_text("\n".join(words(lowercase, strip, chinese)) + "\n")
    return path


def as_json(name, of):
    """The same tokenizer as transformers saves it."""
    path = folder(name, json.loads((OUT / of / "config.json").read_text())["model_type"])
    transformers.AutoTokenizer.from_pretrained(OUT / of).save_pretrained(path)


def special(content, **more):
    return dict(content=content, lstrip=False, rstrip=False, single_word=False, **more)


def record():
    shutil.rmtree(OUT, ignore_errors=True)
    bert("bert_uncased", True, tokenizer_class="BertTokenizer", do_lower_case=True, model_max_length=512)
    bert("bert_uncased_alone", True)
    bert("bert_cased", False, tokenizer_class="BertTokenizer", do_lower_case=False, model_max_length=512)
    bert("bert_german", True, False, do_lower_case=True, strip_accents=False, model_max_length=256)
    bert("bert_chinese", False, do_lower_case=False, model_max_length=512, tokenizer_class="BertTokenizer")
    bert("bert_no_chinese", False, None, False, do_lower_case=False, tokenize_chinese_chars=False)
    bert("distilbert", False, model_type="distilbert", do_lower_case=False, tokenizer_class="DistilBertTokenizer")
    for of in ("bert_uncased", "bert_cased", "bert_german", "bert_no_chinese"):
        as_json(of + "_json", of)

    # Added tokens beside a vocabulary: the older files, and the newer key.
    path = bert("bert_added", True, do_lower_case=True)
    size = len(words(True))
    added = {"<new1>": size, "<new2>": size + 1, "NewWord": size + 2}
    (path / "added_tokens.json").write_text(json.dumps(added) + "\n")
    named = dict(cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
    map = named | {"additional_special_tokens": ["<new1>", "<new2>"]}
    (path / "special_tokens_map.json").write_text(json.dumps(map) + "\n")
    decoder = {str(i): special(t, normalized=False, special=True) for i, t in enumerate(BERT)}
    decoder[str(size)] = special("<new1>", normalized=False, special=True)
    decoder[str(size + 1)] = special("<new2>", normalized=True, special=False) | {"lstrip": True}
    decoder[str(size + 2)] = special("NewWord", normalized=True, special=False)
    bert("bert_decoder", True, do_lower_case=True, added_tokens_decoder=decoder)

    # The settings win over what tokenizer.json says.
    as_json("bert_contradicts", "bert_cased")
    path = OUT / "bert_contradicts" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_lower_case": True}) + "\n")

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        SAMPLE, trainers.BpeTrainer(vocab_size=340, special_tokens=ROBERTA, initial_alphabet=alphabet)
    )
    mask = {"mask_token": special("<mask>", normalized=False) | {"lstrip": True}}
    for name, config in [
        ("roberta", {"model_max_length": 512, "add_prefix_space": False}),
        ("roberta_prefix", {"model_max_length": 512, "add_prefix_space": True}),
    ]:
        path = folder(name, "roberta", tokenizer_class="RobertaTokenizer", **config)
        (path / "special_tokens_map.json").write_text(json.dumps(mask) + "\n")
        bpe.model.save(str(path))
        as_json(name + "_json", name)

    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.NFKC()
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.train_from_iterator(
        SAMPLE, trainers.UnigramTrainer(vocab_size=200, special_tokens=ROBERTA, unk_token="<unk>")
    )
    vocab = [tuple(entry) for entry in json.loads(unigram.to_str())["model"]["vocab"]]
    path = folder("xlm_roberta", "bert")
    xlm = transformers.XLMRobertaTokenizer(vocab=vocab, model_max_length=512)
    xlm.save_pretrained(path)

    recorded = {}
    for path in sorted(OUT.iterdir()):
        recorded[path.name] = made(transformers.AutoTokenizer.from_pretrained(path))
    texts = {"single": TEXT, "pair": PAIR, "long": LONG}
    (OUT / "ids.json").write_text(json.dumps({"texts": texts, "tokenizers": recorded}, ensure_ascii=False) + "\n")
    for name, ids in recorded.items():
        unknown = ids["single"].count(1 if name.startswith(("bert", "dist")) else 3)
        print(f"{name}: {len(ids['single'])} tokens, {unknown} unknown, {len(ids['long'])} of the long text")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        record()
    for path in sys.argv[1:]:
        print(json.dumps(made(transformers.AutoTokenizer.from_pretrained(path))))
