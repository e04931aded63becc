"""The Python process of benches/features.rs: for each line that it reads, runs `prepare_train_features` of the
question-answering example of transformers on all questions, in batches of 1000 as `datasets.map` does. Prints seconds,
the number of tokens, and the sums of their ids and of the answers' positions."""

import json
import os
import sys
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import transformers
from transformers import BertTokenizerFast

file, folder, max_length, doc_stride = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tokenizer = BertTokenizerFast.from_pretrained(folder)
questions, contexts, answers = [], [], []
for article in json.load(open(file))["data"]:
    for paragraph in article["paragraphs"]:
        for question in paragraph["qas"]:
            questions.append(question["question"].lstrip())
            contexts.append(paragraph["context"])
            found = question["answers"]
            answers.append({"answer_start": [a["answer_start"] for a in found], "text": [a["text"] for a in found]})


def prepare_train_features(questions, contexts, all_answers):
    examples = tokenizer(
        questions,
        contexts,
        truncation="only_second",
        max_length=max_length,
        stride=doc_stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=False,
    )
    sample_mapping = examples.pop("overflow_to_sample_mapping")
    offset_mapping = examples.pop("offset_mapping")
    examples["start_positions"] = []
    examples["end_positions"] = []
    for i, offsets in enumerate(offset_mapping):
        input_ids = examples["input_ids"][i]
        cls_index = input_ids.index(tokenizer.cls_token_id)
        sequence_ids = examples.sequence_ids(i)
        answers = all_answers[sample_mapping[i]]
        if len(answers["answer_start"]) == 0:
            examples["start_positions"].append(cls_index)
            examples["end_positions"].append(cls_index)
            continue
        start_char = answers["answer_start"][0]
        end_char = start_char + len(answers["text"][0])
        token_start_index = 0
        while sequence_ids[token_start_index] != 1:
            token_start_index += 1
        token_end_index = len(input_ids) - 1
        while sequence_ids[token_end_index] != 1:
            token_end_index -= 1
        if not (offsets[token_start_index][0] <= start_char and offsets[token_end_index][1] >= end_char):
            examples["start_positions"].append(cls_index)
            examples["end_positions"].append(cls_index)
        else:
            while token_start_index < len(offsets) and offsets[token_start_index][0] <= start_char:
                token_start_index += 1
            examples["start_positions"].append(token_start_index - 1)
            while offsets[token_end_index][1] >= end_char:
                token_end_index -= 1
            examples["end_positions"].append(token_end_index + 1)
    return examples


def once():
    made = []
    for first in range(0, len(questions), 1000):
        part = slice(first, first + 1000)
        made.append(prepare_train_features(questions[part], contexts[part], answers[part]))
    return made


print(f"transformers {transformers.__version__}", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    made = once()
    seconds = time.perf_counter() - start
    tokens = sum(len(ids) for part in made for ids in part["input_ids"])
    entries = sum(sum(ids) for part in made for ids in part["input_ids"])
    places = sum(sum(part["start_positions"]) + sum(part["end_positions"]) for part in made)
    print(seconds, tokens, entries, places, flush=True)
    del made
