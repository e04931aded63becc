"""The exception of the package."""

from __future__ import annotations

from typing import Any


class ObertError(Exception):
    """A model, a recipe or an input that is refused.

    ``code`` is the diagnostic's code, such as ``OB0969``, which ``obertc explain`` explains; ``help`` says what to do.
    ``diagnostics`` has all findings, with the fields of ``obertc check --format json``. ``index`` is that of the input
    that was refused, from 0.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        help: str | None = None,
        diagnostics: list[dict[str, Any]] | None = None,
        index: int | None = None,
    ) -> None:
        super().__init__(message, code, help, diagnostics, index)
        self.message = message
        self.index = index
        self.code = code
        self.help = help
        self.diagnostics = diagnostics or []

    def __str__(self) -> str:
        place = "" if self.index is None else f"input {self.index}: "
        help = "" if self.help is None else f"\nhelp: {self.help}"
        return f"{place}{self.message}{help}"


class RecipeWarning(UserWarning):
    """A warning about a recipe."""
