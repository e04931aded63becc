"""Runs unmodified clients against `obertc serve`: `openai`, `huggingface_hub`'s InferenceClient, and schemathesis with the
OpenAPI document. Usage: python tests/oracle/clients.py OBERTC [EXAMPLES]"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import openai
from huggingface_hub import InferenceClient

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
HEADS = GOLDEN / "infer" / "heads"
OBERTC, EXAMPLES = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "100"
recorded = json.loads((GOLDEN / "infer" / "served.json").read_text())
TEXTS = recorded["texts"]


@contextlib.contextmanager
def serving(*models):
    command = [OBERTC, "serve", *map(str, models), "--port", "0", "--threads", "1", "--api-key", "secret"]
    process = subprocess.Popen([*command, "--log", "off"], stderr=subprocess.PIPE, text=True)
    try:
        yield process.stderr.readline().split()[-1]
    finally:
        process.terminate()
        assert process.wait(60) == 0


def near(got, expected):
    np.testing.assert_allclose(np.asarray(got, dtype=np.float32), np.asarray(expected, dtype=np.float32), atol=1e-4)


with serving(HEADS / "embedding") as url:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="secret", max_retries=0)
    assert [model.id for model in client.models.list()] == ["embedding"]
    # The client asks for base64 unless it is told otherwise.
    response = client.embeddings.create(model="embedding", input=TEXTS)
    near([e.embedding for e in response.data], recorded["embeddings"])
    assert response.usage.prompt_tokens == sum(recorded["tokens"])
    response = client.embeddings.create(model="embedding", input=TEXTS[0], encoding_format="float")
    near(response.data[0].embedding, recorded["embeddings"][0])
    assert len(client.embeddings.create(model="x", input="w1", dimensions=5).data[0].embedding) == 5
    for arguments, kind in [
        (dict(input=[]), openai.UnprocessableEntityError),
        (dict(input="w1", dimensions=99), openai.UnprocessableEntityError),
        (dict(input="w1 " * 50), openai.APIStatusError),
    ]:
        try:
            client.embeddings.create(model="x", **arguments)
            raise AssertionError(f"{arguments} was accepted")
        except kind as error:
            assert error.body["message"], error
    try:
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()
        raise AssertionError("a wrong key was accepted")
    except openai.AuthenticationError:
        pass
    client = InferenceClient(model=url, token="secret")
    near(client.feature_extraction(TEXTS[0]), recorded["embeddings"][:1])
    near(client.feature_extraction(TEXTS, normalize=True, truncate=True), recorded["embeddings"])
    near(client.sentence_similarity(TEXTS[0], TEXTS), recorded["similarities"])

with serving(GOLDEN / "heads" / "classifier") as url:
    client = InferenceClient(model=url, token="secret")
    found = client.text_classification(TEXTS[0], top_k=2)
    assert [e.label for e in found] == ["entailment", "neutral"], found
    near([e.score for e in found], recorded["labels"][0][:2])

with serving(HEADS / "tokens") as url:
    found = InferenceClient(model=url, token="secret").token_classification(TEXTS[1], aggregation_strategy="first")
    assert [(e.entity_group, e.word, e.start, e.end) for e in found] == [
        (e["entity_group"], e["word"], e["start"], e["end"]) for e in recorded["entities"][1]
    ], found
    near([e.score for e in found], [e["score"] for e in recorded["entities"][1]])

with serving(GOLDEN / "bert" / "tiny") as url:
    client = InferenceClient(model=url, token="secret")
    context = "w3 w4 w5 w6"
    best = client.question_answering(question="w1 w2", context=context)
    assert best.answer == context[best.start : best.end] and 0 < best.score <= 1, best
    several = client.question_answering(question="w1 w2", context=context, top_k=3, handle_impossible_answer=True)
    assert len(several) == 3 and sum(e.score for e in several) <= 1, several

print("openai and huggingface_hub: no fault")

# What is in agreement with a schema may still be refused, such as a text that is too long; the check says it may not.
for model in [HEADS / "embedding", HEADS / "score", HEADS / "tokens", GOLDEN / "heads" / "classifier", GOLDEN / "bert" / "tiny"]:
    with serving(model) as url:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", "all"]
        command += ["--exclude-checks", "positive_data_acceptance", "--max-examples", EXAMPLES, "--seed", "1"]
        # It writes its findings to the working folder.
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([*command, "--header", "Authorization: Bearer secret"], check=True, cwd=folder)
    print(f"schemathesis: no fault with {model.name}")
