"""Compress transformer encoders from a recipe, and run them on CPUs.

>>> import obert
>>> model = obert.load("all-MiniLM-L6-v2.obert-engine")
>>> model.embed(["A man sleeps.", "A man is asleep."]).shape
(2, 384)
"""

from ._errors import ObertError, RecipeWarning
from ._model import Model, load
from ._obert import __version__
from ._recipe import check, plan

__all__ = ["Model", "ObertError", "RecipeWarning", "__version__", "check", "load", "plan"]
