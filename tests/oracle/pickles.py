"""Writes the recorded classifier with torch.save, in every layout that a model folder may have.

Takes tests/golden/heads/classifier/model.safetensors, so that a test can compare value by value."""

import json
import pathlib
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import load_file

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
OUT = GOLDEN / "pickles"
OUT.mkdir(exist_ok=True)
state = OrderedDict(load_file(GOLDEN / "heads" / "classifier" / "model.safetensors"))
ids = "bert.embeddings.position_ids"


def save(value, name, **more):
    torch.save(value, OUT / name, **more)


# As an old `transformers` saved it: with a buffer of int64 and the metadata of `state_dict`.
plain = OrderedDict(state)
plain[ids] = torch.arange(20).expand(1, -1)
plain._metadata = OrderedDict([("", {"version": 1}), ("bert", {"version": 1})])
save(plain, "plain.bin")

# Parameters, views of one storage with strides and offsets, a deflated and a zip64 archive.
views = OrderedDict()
flat = torch.cat([v.flatten() for v in state.values()])
at = 0
for i, (name, value) in enumerate(state.items()):
    part = flat[at : at + value.numel()].view(value.shape)
    at += value.numel()
    if value.dim() == 2 and i % 2:
        part = value.t().contiguous().t()
    views[name] = torch.nn.Parameter(part) if i % 3 == 0 else part
save(views, "views.bin")
for name, how in [("deflated.bin", zipfile.ZIP_DEFLATED), ("zip64.bin", zipfile.ZIP_STORED)]:
    with zipfile.ZipFile(OUT / "plain.bin") as old, zipfile.ZipFile(OUT / name, "w", how) as new:
        for entry in old.namelist():
            info = zipfile.ZipInfo(entry)
            info.compress_type = how
            with new.open(info, "w", force_zip64=how == zipfile.ZIP_STORED) as file:
                file.write(old.read(entry))

# Half precision, and in two files.
for kind in [torch.float16, torch.bfloat16]:
    save(OrderedDict((n, v.to(kind)) for n, v in state.items()), f"{str(kind).split('.')[1]}.bin")
shards = OUT / "shards"
shards.mkdir(exist_ok=True)
names, index = list(state), {}
for i, part in enumerate([names[:20], names[20:]]):
    file = f"pytorch_model-{i + 1:05}-of-00002.bin"
    torch.save(OrderedDict((n, state[n]) for n in part), shards / file)
    index |= {n: file for n in part}
(shards / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=1))

# What is refused: written before PyTorch 1.6; a tensor that only a function of the file could rebuild.
small = OrderedDict(w=torch.zeros(3))
save(small, "legacy.bin", _use_new_zipfile_serialization=False)
save(OrderedDict(w=torch.eye(3).to_sparse()), "sparse.bin")
save(OrderedDict(w=torch.zeros(3, dtype=torch.complex64)), "complex.bin")


class Evil:
    """Would write a file when Python opened it."""

    def __init__(self, argument):
        self.argument = argument

    def __reduce__(self):
        return print, (self.argument,)


# A call of the builtin `print`, once beside the weights and once around them.
save(OrderedDict(w=torch.zeros(3), step=Evil("code of a file was run")), "call_beside.bin")
save(OrderedDict(w=Evil(torch.zeros(3))), "call_around.bin")
