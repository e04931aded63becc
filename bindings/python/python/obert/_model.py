"""Models for inference."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterator, Literal, Sequence, TypeVar, Union, overload

import numpy as np
import numpy.typing as npt

from . import _obert
from ._errors import ObertError

Floats = npt.NDArray[np.float32]
Pair = Union["tuple[str, str]", "list[str]"]
Input = Union[str, Pair]
Result = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")


def load(
    path: str | os.PathLike[str],
    *,
    precision: Literal["f32", "int8"] | None = None,
    threads: int | None = None,
    batch: int = 16,
    max_length: int | None = None,
    doc_stride: int | None = None,
    max_answer_length: int | None = None,
    offline: bool = False,
) -> Model:
    """Opens a model: a folder of Hugging Face or sentence-transformers, a name on the hub, or a file that
    ``obertc pack --as engine`` wrote.

    ``precision`` of a folder is INT8 by default if it was trained with quantization, else float32. ``threads`` is the
    number of cores by default. ``batch`` is the number of sequences of the maximum length for which memory is
    allocated. The other settings are those of ``obertc predict``, in place of those saved with the model.
    """
    for name, value, least in (("threads", threads, 1), ("batch", batch, 1), ("max_length", max_length, 8)):
        if value is not None and value < least:
            raise ValueError(f"{name} is {value}; it is at least {least}")
    pipeline = _obert.Pipeline(
        path,
        precision=precision,
        threads=threads,
        batch=batch,
        max_length=max_length,
        doc_stride=doc_stride,
        max_answer_length=max_answer_length,
        offline=offline,
    )
    return Model(pipeline, str(path))


class Model:
    """A model with its tokenizer, made by :func:`load`.

    Which method computes something depends on the model's head; the others raise :class:`ObertError`, whose ``help``
    names the right one. Each method takes one input, and returns one result, or a list, and returns a list (an array
    of embeddings). Texts of more than ``max_length`` tokens are refused unless ``truncate``; only :meth:`encode`
    truncates without being told, as sentence-transformers does.

    Threads may share a model: the GIL is released while it computes, and calls take turns. After a fork it must be
    loaded again.
    """

    def __init__(self, pipeline: _obert.Pipeline, path: str) -> None:
        self._pipeline = pipeline
        self._path = path
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"<obert.Model {self._path!r}: {self.method}>"

    @property
    def method(self) -> str:
        """The name of the method that computes what the model's head gives."""
        return self._pipeline.method.replace("`", "")

    @property
    def dimension(self) -> int:
        """The hidden size of the encoder, which is the number of values of an embedding."""
        return self._pipeline.dimension

    @property
    def max_length(self) -> int:
        """The maximum sequence length in tokens, special tokens included."""
        return self._pipeline.max_length

    @property
    def labels(self) -> list[str]:
        """The labels of a classifier of texts or tokens, in the order of the model's outputs."""
        return self._pipeline.labels

    @property
    def prompts(self) -> dict[str, str]:
        """The prompts of a sentence-transformers model by their names."""
        return self._pipeline.prompts

    def embed(self, texts: str | Sequence[str], *, truncate: bool = False, batch_size: int = 32) -> Floats:
        """Computes embeddings, float32 ``[n, dimension]``, or ``[dimension]`` for a single text. They are pooled and
        normalized as the folder's modules say.
        """
        one = isinstance(texts, str)
        all = [texts] if isinstance(texts, str) else _texts(texts)
        rows = self._rows(all, truncate, batch_size, progress=False)
        return rows[0] if one else rows

    @overload
    def predict(self, inputs: str | tuple[str, str], *, truncate: bool = ..., batch_size: int = ...) -> Result: ...
    @overload
    def predict(self, inputs: Sequence[Input], *, truncate: bool = ..., batch_size: int = ...) -> list[Result]: ...
    def predict(
        self, inputs: str | tuple[str, str] | Sequence[Input], *, truncate: bool = False, batch_size: int = 32
    ) -> Result | list[Result]:
        """Classifies texts or pairs ``(text, second text)``, or computes their scores.

        Returns ``{"label", "score", "labels"}`` with the most probable label, its probability, and all probabilities;
        ``{"labels"}`` if a text may have any number of labels; ``{"score"}`` of regression.
        """
        one = isinstance(inputs, (str, tuple))
        all = [_pair(i) for i in ([inputs] if one else inputs)]  # type: ignore[list-item]
        return self._each(all, batch_size, lambda part: self._pipeline.predict(part, truncate), one)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        raw_scores: bool = False,
        truncate: bool = False,
        batch_size: int = 32,
    ) -> list[Result]:
        """Ranks documents for a query with a cross-encoder: ``{"index", "score"}`` by falling score.

        Scores are in 0..1, the logistic function of the model's outputs, or these themselves if ``raw_scores``.
        """
        compute = lambda part: self._pipeline.rerank(query, part, raw_scores, truncate)  # noqa: E731
        scores: list[float] = self._each(_texts(documents), batch_size, compute, False)
        ranks = [{"index": index, "score": score} for index, score in enumerate(scores)]
        return sorted(ranks, key=lambda rank: -rank["score"])

    @overload
    def entities(self, texts: str, *, truncate: bool = ..., batch_size: int = ...) -> list[Result]: ...
    @overload
    def entities(
        self, texts: Sequence[str], *, truncate: bool = ..., batch_size: int = ...
    ) -> list[list[Result]]: ...
    def entities(
        self, texts: str | Sequence[str], *, truncate: bool = False, batch_size: int = 32
    ) -> list[Result] | list[list[Result]]:
        """Finds the entities of texts: for each ``{"label", "text", "score", "start", "end"}``, with offsets in
        characters, as the token classification pipeline of transformers with ``aggregation_strategy="first"``.
        """
        one = isinstance(texts, str)
        all = [texts] if isinstance(texts, str) else _texts(texts)
        return self._each(all, batch_size, lambda part: self._pipeline.entities(part, truncate), one)

    @overload
    def answer(self, question: str, context: str, *, top: int = ..., batch_size: int = ...) -> Result: ...
    @overload
    def answer(
        self, question: Sequence[str], context: Sequence[str], *, top: int = ..., batch_size: int = ...
    ) -> list[Result]: ...
    def answer(
        self, question: str | Sequence[str], context: str | Sequence[str], *, top: int = 1, batch_size: int = 32
    ) -> Result | list[Result]:
        """Answers questions with spans of their contexts, which may have any length.

        Returns ``{"answer", "score", "start", "end", "no_answer"}``: the score is the sum of the start and end logits,
        offsets are in characters, and ``no_answer`` is the score of the empty answer. With ``top`` above 1,
        ``others`` has the next answers.
        """
        if top < 1:
            raise ValueError(f"top is {top}; it is at least 1")
        one = isinstance(question, str) and isinstance(context, str)
        questions = [question] if isinstance(question, str) else _texts(question)
        contexts = [context] if isinstance(context, str) else _texts(context)
        if len(questions) != len(contexts):
            raise ValueError(f"there are {len(questions)} questions and {len(contexts)} contexts")
        all = list(zip(questions, contexts))
        return self._each(all, batch_size, lambda part: self._pipeline.answer(part, top), one)

    def encode(
        self,
        sentences: str | Sequence[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: Literal["sentence_embedding"] = "sentence_embedding",
        precision: Literal["float32"] = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Any:
        """Computes embeddings with the arguments of ``SentenceTransformer.encode``: an array ``[n, dimension]``, or
        ``[dimension]`` for a single text; tensors of PyTorch if ``convert_to_tensor`` or not ``convert_to_numpy``.

        Texts are truncated to ``max_length`` tokens. ``prompt`` is put before each, or the model's prompt of the name
        ``prompt_name``. The progress bar needs ``tqdm``. Arguments that obert does not compute raise ``ValueError``.
        """
        for name, value, supported in (
            ("output_value", output_value, ("sentence_embedding",)),
            ("precision", precision, ("float32", None)),
            ("device", device, ("cpu", None)),
        ):
            if value not in supported:
                raise ValueError(f"{name} is {value!r}; obert supports {supported[0]!r}")
        one = isinstance(sentences, str)
        all = [sentences] if isinstance(sentences, str) else _texts(sentences)
        before = self._prompt(prompt_name, prompt)
        rows = self._rows([before + text for text in all], True, batch_size, bool(show_progress_bar))
        if truncate_dim is not None:
            rows = np.ascontiguousarray(rows[:, :truncate_dim])
        if normalize_embeddings:
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.maximum(norms, np.finfo(np.float32).tiny)
        result = rows[0] if one else rows
        if convert_to_numpy and not convert_to_tensor:
            return result
        import torch

        if convert_to_tensor or one:
            return torch.from_numpy(result)
        return [torch.from_numpy(row) for row in rows]

    def encode_query(self, sentences: str | Sequence[str], prompt_name: str | None = None, **options: Any) -> Any:
        """:meth:`encode` with the model's prompt ``query``, if it has one."""
        return self.encode(sentences, self._first_prompt(prompt_name, options, ("query",)), **options)

    def encode_document(self, sentences: str | Sequence[str], prompt_name: str | None = None, **options: Any) -> Any:
        """:meth:`encode` with the first of the model's prompts ``document``, ``passage`` and ``corpus``, if any."""
        names = ("document", "passage", "corpus")
        return self.encode(sentences, self._first_prompt(prompt_name, options, names), **options)

    def _first_prompt(self, given: str | None, options: dict[str, Any], names: Sequence[str]) -> str | None:
        if given is not None or options.get("prompt") is not None:
            return given
        return next((name for name in names if name in self.prompts), None)

    def _prompt(self, name: str | None, prompt: str | None) -> str:
        if prompt is not None or name is None:
            return prompt or ""
        prompts = self.prompts
        if name not in prompts:
            raise ValueError(f"prompt_name is {name!r}; the model has the prompts {sorted(prompts)}")
        return prompts[name]

    def _rows(self, texts: list[str], truncate: bool, batch_size: int, progress: bool) -> Floats:
        compute = lambda part: [self._pipeline.embed(part, truncate)]  # noqa: E731
        # Without texts as well, so that a model without embeddings raises.
        parts: list[Floats] = self._each(texts, batch_size, compute, False, progress) or compute(texts)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _each(
        self,
        inputs: list[T],
        batch_size: int,
        compute: Callable[[list[T]], list[R]],
        one: bool,
        progress: bool = False,
    ) -> Any:
        """Computes in batches, between which an interrupt is noticed."""
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it is at least 1")
        if os.getpid() != self._process:
            raise RuntimeError("the model was loaded before a fork, which its threads did not survive; load it again")
        results: list[R] = [] if inputs else compute(inputs)
        for first in _shown(range(0, len(inputs), batch_size), progress):
            try:
                results += compute(inputs[first : first + batch_size])
            except ObertError as error:
                if error.index is not None:
                    error.index += first
                raise
        return results[0] if one else results


def _texts(texts: Sequence[str]) -> list[str]:
    """A list of texts, from a list, a tuple, an array or a column of a table."""
    all = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
    for index, text in enumerate(all):
        if not isinstance(text, str):
            raise TypeError(f"input {index} is {type(text).__name__}, not str")
    return all


def _pair(value: Input) -> tuple[str, str | None]:
    if isinstance(value, str):
        return value, None
    if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str):
        return value[0], value[1]
    raise TypeError("an input is a str, or a pair of two")


def _shown(steps: range, progress: bool) -> Iterator[int]:
    if not progress:
        return iter(steps)
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return iter(steps)
    return iter(tqdm(steps, desc="Batches"))
