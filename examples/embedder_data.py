#!/usr/bin/env python3
"""Makes the data of stdlib_recipes/results/minilm_embeddings.obert.

    python3 examples/embedder_data.py SHARED OUT

SHARED holds nli/train.tsv, squad/{train,dev}.json, sts/{train,dev}.tsv and wikitext-2/valid.txt (docs/results.md says
where they come from). OUT gets

- train.txt: a text in each line, without labels: the premises and hypotheses of NLI, the questions, sentences and
  paragraphs of SQuAD, the sentences of wikitext, the sentences of STS;
- dev.tsv: the scored pairs of STS's dev set;
- retrieval/: SQuAD's dev questions and paragraphs in the layout of BEIR. The paragraph of a question is relevant to it.
"""
import csv
import json
import re
import sys
from pathlib import Path


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def sentences(text):
    """The sentences of a text, by punctuation: enough for texts that need no labels."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", text)


def wikitext(path):
    """Wikitext's lines without headings, with ordinary spacing in place of its tokenization."""
    for line in open(path, encoding="utf-8"):
        line = line.strip()
        if not line or line.startswith("="):
            continue
        line = re.sub(r" @(.)@ ", r"\1", line)
        line = re.sub(r" ([.,;:!?)'])", r"\1", line).replace("( ", "(")
        yield line


def main(shared, out):
    squad = {split: json.load(open(shared / f"squad/{split}.json", encoding="utf-8"))["data"] for split in ("train", "dev")}
    texts = {}  # keeps the order of first occurrences

    def add(text, words):
        text = " ".join(text.split())
        if words <= len(text.split()) and "<unk>" not in text:
            texts.setdefault(text)

    for row in rows(shared / "nli/train.tsv"):
        add(row["sentence1"], 3)
        add(row["sentence2"], 3)
    for row in rows(shared / "sts/train.tsv"):
        add(row["sentence1"], 3)
        add(row["sentence2"], 3)
    for article in squad["train"]:
        for paragraph in article["paragraphs"]:
            add(paragraph["context"], 3)
            for sentence in sentences(paragraph["context"]):
                add(sentence, 4)
            for question in paragraph["qas"]:
                add(question["question"], 3)
    for line in wikitext(shared / "wikitext-2/valid.txt"):
        for sentence in sentences(line):
            add(sentence, 4)

    out.mkdir(parents=True, exist_ok=True)
    (out / "train.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    (out / "dev.tsv").write_text((shared / "sts/dev.tsv").read_text(encoding="utf-8"), encoding="utf-8")

    retrieval = out / "retrieval"
    (retrieval / "qrels").mkdir(parents=True, exist_ok=True)
    with (
        open(retrieval / "corpus.jsonl", "w", encoding="utf-8") as corpus,
        open(retrieval / "queries.jsonl", "w", encoding="utf-8") as queries,
        open(retrieval / "qrels/dev.tsv", "w", encoding="utf-8") as qrels,
    ):
        print("query-id\tcorpus-id\tscore", file=qrels)
        for a, article in enumerate(squad["dev"]):
            for p, paragraph in enumerate(article["paragraphs"]):
                document = f"d{a}-{p}"
                print(json.dumps({"_id": document, "title": "", "text": paragraph["context"]}), file=corpus)
                for question in paragraph["qas"]:
                    print(json.dumps({"_id": question["id"], "text": question["question"]}), file=queries)
                    print(f"{question['id']}\t{document}\t1", file=qrels)
    print(f"{len(texts)} texts in {out / 'train.txt'}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: embedder_data.py SHARED OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
