"""Read by mypy: the types of the package. Not run."""

from typing import Any

import numpy as np
import numpy.typing as npt
import obert

model: obert.Model = obert.load("model", precision="int8", threads=2)
rows: npt.NDArray[np.float32] = model.embed(["a"])
one: dict[str, Any] = model.predict("a")
pair: dict[str, Any] = model.predict(("a", "b"))
many: list[dict[str, Any]] = model.predict(["a", ("b", "c")])
ranks: list[dict[str, Any]] = model.rerank("a", ["b"])
entities: list[dict[str, Any]] = model.entities("a")
lists: list[list[dict[str, Any]]] = model.entities(["a"])
answer: dict[str, Any] = model.answer("a", "b")
answers: list[dict[str, Any]] = model.answer(["a"], ["b"])
findings: list[dict[str, Any]] = obert.check("", set={"target": "90%"})
plan: dict[str, Any] = obert.plan("a.obert", steps_per_epoch=10)
version: str = obert.__version__
try:
    pass
except obert.ObertError as error:
    code: "str | None" = error.code
