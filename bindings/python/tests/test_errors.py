"""Bad input raises, with a code and a help."""

import pickle

import numpy as np
import obert
import pytest


def test_a_method_of_another_head_names_the_right_one(load):
    calls = {
        "embed": lambda model: model.embed("w1"),
        "encode": lambda model: model.encode([]),
        "predict": lambda model: model.predict("w1"),
        "rerank": lambda model: model.rerank("w1", ["w2"]),
        "entities": lambda model: model.entities("w1"),
        "answer": lambda model: model.answer("w1", "w2"),
    }
    models = {
        "embeddings/model": (["embed", "encode"], "call `embed`"),
        "heads/classifier": (["predict"], "call `predict`"),
        "pipelines/reranker": (["predict", "rerank"], "call `predict` or `rerank`"),
        "infer/heads/tokens": (["entities"], "call `entities`"),
        "bert/tiny": (["answer"], "call `answer`"),
    }
    for folder, (right, help) in models.items():
        for name, call in calls.items():
            if name in right:
                call(load(folder))
                continue
            with pytest.raises(obert.ObertError) as raised:
                call(load(folder))
            assert (raised.value.code, raised.value.help) == ("OB0969", help)


def test_a_refused_text_is_named_by_its_index_in_the_list(load):
    texts = ["w1"] * 40
    texts[37] = "w1 " * 40
    with pytest.raises(obert.ObertError) as raised:
        load("embeddings/model").embed(texts, batch_size=8)
    error = raised.value
    assert (error.code, error.index) == ("OB0968", 37)
    assert str(error).startswith("input 37: OB0968: the text has more than 16 tokens") and "truncat" in error.help
    assert error.diagnostics[0]["message"] in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code, again.index) == (str(error), error.code, 37)
    with pytest.raises(obert.ObertError, match="the question is empty"):
        load("bert/tiny").answer("", "w1")


def test_a_model_that_cannot_be_opened_says_why(tmp_path):
    with pytest.raises(obert.ObertError) as raised:
        obert.load(tmp_path)
    assert raised.value.code.startswith("OB") and raised.value.help
    damaged = tmp_path / "m.obert-engine"
    damaged.write_bytes(b"OBERTENG" + bytes(100))
    with pytest.raises(obert.ObertError) as raised:
        obert.load(str(damaged))
    assert raised.value.code == "OB0960", "the version is 0"
    with pytest.raises(obert.ObertError) as raised:
        obert.load(tmp_path / "no/such/model", offline=True)
    assert raised.value.help


def test_wrong_types_and_values_are_pythons_errors(golden, load):
    model = load("embeddings/model")
    for wrong in (1, [1], ["w1", None], [["w1"]], b"w1", [b"w1"]):
        with pytest.raises(TypeError):
            model.embed(wrong)
    for wrong in (["w1", ("a", "b", "c")], [("a", 1)], [7], ("a", "b", "c")):
        with pytest.raises(TypeError):
            load("heads/classifier").predict(wrong)
    with pytest.raises(UnicodeEncodeError):
        model.embed("\ud800")
    for options in ({"threads": 0}, {"batch": 0}, {"max_length": 1}, {"precision": "int4"}):
        with pytest.raises(ValueError):
            obert.load(golden / "embeddings/model", **options)
    with pytest.raises(ValueError, match="batch_size is 0"):
        model.embed(["w1"], batch_size=0)
    assert model.embed(["", "\0", "w1\0w2"]).shape == (3, 8)


def test_hostile_texts_are_computed_or_refused(load):
    models = [load(name) for name in ("embeddings/model", "heads/classifier", "infer/heads/tokens")]
    random = np.random.default_rng(7)
    for _ in range(200):
        points = random.integers(0, 0x11000, size=random.integers(0, 40))
        text = "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)
        rows = models[0].embed([text, "w1"], truncate=True)
        assert np.isfinite(rows).all()
        assert abs(sum(models[1].predict(text, truncate=True)["labels"].values()) - 1) < 1e-4
        for entity in models[2].entities(text, truncate=True):
            assert text[entity["start"] : entity["end"]] == entity["text"]
