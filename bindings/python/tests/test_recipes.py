"""Recipes, and the command."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig

import obert
import pytest

ROOT = pathlib.Path(__file__).parents[3]
RECIPE = """edition 2026
use std.bert.{encoder_linears}

recipe small for 2 epochs {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 64, dev: 16)
  lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
  prune encoder_linears over 0.5..1.5 epochs every 0.5 epochs {
    by: obs(gradients: 128)
    spars: 50% -> 80% cubic
  }
}
"""


def obertc(*arguments, **options):
    # The script that pip wrote beside the interpreter of this environment.
    script = pathlib.Path(sysconfig.get_path("scripts")) / ("obertc.exe" if os.name == "nt" else "obertc")
    return subprocess.run([script, *arguments], capture_output=True, text=True, encoding="utf-8", **options)


def test_check_gives_what_the_command_prints(tmp_path):
    found = obert.check(RECIPE)
    assert found[0]["code"] == "OB0203" and found[0]["help"] == "did you mean `sparsity`?"
    place = found[0]["labels"][0]
    assert RECIPE.encode()[place["start"] : place["end"]] == b"spars"
    path = tmp_path / "recipe.obert"
    path.write_text(RECIPE)
    printed = obertc("check", path.name, "--format", "json", cwd=tmp_path)
    assert printed.returncode == 1
    assert json.loads(printed.stdout) == found
    assert not [d for d in obert.check(RECIPE.replace("spars:", "sparsity:")) if d["severity"] == "error"]
    assert obert.check("- a\n", name="r.yaml")[0]["code"].startswith("OB")


def test_plan_gives_what_the_command_prints(tmp_path):
    path = tmp_path / "recipe.obert"
    path.write_text(RECIPE.replace("spars:", "sparsity:").replace("50% ->", "30% ->"))
    printed = obertc("plan", str(path), "--format", "json")
    assert json.loads(printed.stdout) == obert.plan(path)
    assert obert.plan(str(path), steps_per_epoch=10) != obert.plan(path)
    path.write_text(RECIPE)
    with pytest.raises(obert.ObertError) as raised:
        obert.plan(path)
    assert raised.value.code == "OB0203" and raised.value.diagnostics == obert.check(RECIPE, name=str(path))
    with pytest.raises(obert.ObertError, match="--set"):
        obert.check(RECIPE, set={"": 1})


def test_warnings_of_a_plan_are_issued(tmp_path):
    path = tmp_path / "recipe.obert"
    path.write_text(RECIPE.replace("{encoder_linears}", "{encoder_linears, embeddings}").replace("spars:", "sparsity:"))
    with pytest.warns(obert.RecipeWarning, match="OB0221"):
        obert.plan(path)


def test_the_package_has_the_command(golden, tmp_path, load):
    assert obertc("--version").stdout == f"obertc {obert.__version__}\n"
    module = subprocess.run([sys.executable, "-m", "obert", "--version"], capture_output=True, text=True)
    assert module.stdout == f"obertc {obert.__version__}\n"
    assert obertc("no-such-command").returncode == 2
    packed = tmp_path / "m.obert-engine"
    done = obertc("pack", str(golden / "embeddings/model"), "--as", "engine", "--out", str(packed))
    assert done.returncode == 0, done.stderr
    model = obert.load(packed)
    assert (model.embed("w1 w4") == load("embeddings/model").embed("w1 w4")).all()
    assert (model.max_length, sorted(model.prompts)) == (16, ["document", "query"])
    answers = obertc("predict", str(packed), input='{"text": "w1"}\n')
    assert len(json.loads(answers.stdout)["embedding"]) == 8
