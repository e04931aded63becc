"""Tiny models of the repository, and what transformers and sentence-transformers gave for them."""

import json
import pathlib

import pytest

GOLDEN = pathlib.Path(__file__).parents[3] / "tests" / "golden"


@pytest.fixture(scope="session")
def golden():
    return GOLDEN


@pytest.fixture(scope="session")
def recorded():
    """Written by tests/oracle/pipelines.py."""
    return json.loads((GOLDEN / "pipelines" / "outputs.json").read_text())


@pytest.fixture(scope="session")
def load():
    import obert

    opened = {}

    def load(folder):
        if folder not in opened:
            opened[folder] = obert.load(GOLDEN / folder, threads=2)
        return opened[folder]

    return load
