"""Recipes: what ``obertc check`` and ``obertc plan`` say."""

from __future__ import annotations

import os
import warnings
from typing import Any, Iterable, Mapping

from . import _obert
from ._errors import RecipeWarning

Parameters = Mapping[str, object]


def check(
    text: str,
    *,
    name: str = "recipe.obert",
    model: str | os.PathLike[str] | None = None,
    set: Parameters | None = None,
) -> list[dict[str, Any]]:
    """Checks a recipe without running it and returns all findings, as ``obertc check --format json`` prints them.

    ``name`` is shown in them and selects the language: one that ends in ``.yaml`` is a SparseML recipe. ``model`` is a
    folder or a name on the hub, against whose parameters selectors are checked. ``set`` has values of the recipe's
    parameters.

    A recipe with mistakes is no exception; :class:`ObertError` is raised for a model that cannot be read.
    """
    return _obert.check(text, name, model, _assignments(set))


def plan(
    path: str | os.PathLike[str],
    *,
    steps_per_epoch: int | None = None,
    model: str | os.PathLike[str] | None = None,
    set: Parameters | None = None,
) -> dict[str, Any]:
    """Returns the schedule of a recipe's file, as ``obertc plan --format json`` prints it.

    Warnings about the recipe are issued as :class:`RecipeWarning`. A recipe with errors raises :class:`ObertError`.
    """
    document, found = _obert.plan(path, steps_per_epoch, model, _assignments(set))
    for one in found:
        warnings.warn(f"{one['code']}: {one['message']}", RecipeWarning, stacklevel=2)
    return document


def _assignments(parameters: Parameters | None) -> list[str]:
    items: Iterable[tuple[str, object]] = (parameters or {}).items()
    return [f"{name}={value}" for name, value in items]
