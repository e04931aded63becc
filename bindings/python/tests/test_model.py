"""Each method against transformers and sentence-transformers."""

import numpy as np
import obert
import pytest


def near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)


def test_embed_gives_an_array(load, recorded):
    model = load("embeddings/model")
    rows = model.embed(recorded["sentences"], truncate=True)
    assert rows.dtype == np.float32 and rows.shape == (4, 8) and rows.flags["C_CONTIGUOUS"]
    near(rows, recorded["embeddings"])
    assert np.array_equal(model.embed(recorded["sentences"], truncate=True, batch_size=1), rows)
    assert np.array_equal(model.embed("w2 w6"), rows[1]), "a single text gives one dimension"
    assert model.embed([]).shape == (0, 8)
    assert (model.dimension, model.max_length, model.method) == (8, 16, "embed")


def test_encode_takes_the_arguments_of_sentence_transformers(load, recorded):
    model = load("embeddings/model")
    sentences = recorded["sentences"]
    near(model.encode(sentences), recorded["embeddings"])
    near(model.encode(tuple(sentences), batch_size=2, show_progress_bar=True), recorded["embeddings"])
    near(model.encode(np.array(sentences)), recorded["embeddings"])
    near(model.encode(sentences[0], convert_to_numpy=True, device="cpu"), recorded["embeddings"][0])
    near(model.encode(sentences[:3], prompt="w3 w4 "), recorded["prompted"])
    near(model.encode(sentences[:3], "query"), recorded["embeddings"][:3])
    near(model.encode_query(sentences[:3]), recorded["embeddings"][:3])
    near(model.encode_document(sentences[:3], prompt="w3 w4 "), recorded["prompted"])
    cut = model.encode(sentences, truncate_dim=3, normalize_embeddings=True)
    expected = np.array(recorded["embeddings"])[:, :3]
    near(cut, expected / np.linalg.norm(expected, axis=1, keepdims=True))
    assert cut.dtype == np.float32
    with pytest.raises(ValueError, match="'document', 'query'"):
        model.encode("w1", prompt_name="passage")
    for wrong in ({"precision": "binary"}, {"output_value": "token_embeddings"}, {"device": "cuda"}):
        with pytest.raises(ValueError, match="obert supports"):
            model.encode("w1", **wrong)


def test_predict_gives_labels_of_texts_and_pairs(load, recorded):
    model = load("heads/classifier")
    found = model.predict(recorded["texts"] + recorded["pairs"], batch_size=4)
    assert len(found) == 6
    for one, expected in zip(found, recorded["labels"]):
        assert set(one["labels"]) == set(expected)
        for name, probability in expected.items():
            near(one["labels"][name], probability)
        assert one["label"] == max(expected, key=expected.get)
        assert one["score"] == one["labels"][one["label"]]
    assert model.predict(recorded["texts"][0]) == found[0]
    assert model.predict(tuple(recorded["pairs"][0])) == found[4]
    assert model.predict([]) == []
    assert model.labels == ["entailment", "neutral", "contradiction"]


def test_rerank_sorts_documents_by_their_scores(load, recorded):
    model = load("pipelines/reranker")
    ranks = model.rerank(recorded["query"], recorded["documents"], batch_size=3)
    scores = [rank["score"] for rank in ranks]
    assert scores == sorted(scores, reverse=True)
    near([rank["score"] for rank in sorted(ranks, key=lambda r: r["index"])], recorded["rerank"])
    raw = model.rerank(recorded["query"], recorded["documents"], raw_scores=True)
    near([rank["score"] for rank in sorted(raw, key=lambda r: r["index"])], recorded["rerank_raw"])
    pair = (recorded["query"], recorded["documents"][1])
    near(model.predict(pair)["score"], recorded["rerank_raw"][1])


def test_entities_are_those_of_the_pipeline_of_transformers(load, recorded):
    model = load("infer/heads/tokens")
    all = model.entities(recorded["texts"])
    for text, found, expected in zip(recorded["texts"], all, recorded["entities"]):
        assert [(e["label"], e["start"], e["end"]) for e in found] == [
            (e["label"], e["start"], e["end"]) for e in expected
        ]
        near([e["score"] for e in found], [e["score"] for e in expected])
        assert all_texts(text, found)
    assert model.entities(recorded["texts"][2]) == all[2]


def all_texts(text, entities):
    return all(text[e["start"] : e["end"]] == e["text"] for e in entities)


def test_offsets_count_characters(load):
    text = "\U0001f600 é w30 w14"
    found = load("infer/heads/tokens").entities(text)
    assert found and all_texts(text, found)


def test_answer_gives_spans(load, recorded):
    model = load("bert/tiny")
    question, context = recorded["question"], recorded["context"]
    best = model.answer(question, context, top=3)
    spans = [best, *best["others"]]
    assert [span["answer"] for span in spans] == [e["answer"] for e in recorded["answers"]]
    near([span["score"] for span in spans], [e["score"] for e in recorded["answers"]])
    near(best["no_answer"], recorded["no_answer"])
    assert context[best["start"] : best["end"]] == best["answer"]
    many = model.answer([question] * 3, [context] * 3, batch_size=2)
    assert many == [model.answer(question, context)] * 3 and "others" not in many[0]
    with pytest.raises(ValueError, match="2 questions and 1 contexts"):
        model.answer([question] * 2, [context])


def test_int8_is_close_to_float32(golden, load):
    model = obert.load(golden / "embeddings/model", precision="int8", threads=1, batch=1)
    exact = load("embeddings/model").embed(["w1 w2"])
    difference = np.abs(model.embed(["w1 w2"]) - exact).max()
    assert 0 < difference < 0.1
