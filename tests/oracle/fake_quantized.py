"""PyTorch's fake quantization in the forward pass of a model of transformers.

Weights are replaced by their fake-quantized values, inputs of linear layers are fake-quantized by hooks, and the operands
of attention's products in an attention function that is registered with transformers.
"""

import functools
import json
import pathlib
import re

import torch
import transformers


class FakeQuantized:
    """A model folder with the scales of `scales` (the content of quantization.json). `places` collects the fake-quantized
    activations of a forward pass with their scales. Without `products` the operands of attention stay float32."""

    def __init__(self, folder, scales, products=True):
        self.scales, self.products, self.places, self.ranges = scales, products, [], None
        folder = pathlib.Path(folder)
        kind = json.loads((folder / "config.json").read_text())["architectures"][0]
        transformers.AttentionInterface.register("fake_quantized", self.attention)
        transformers.AttentionMaskInterface.register("fake_quantized", transformers.masking_utils.eager_mask)
        model_class = getattr(transformers, kind)
        # The attention of MPNet and DeBERTa is no function that can be replaced.
        how = "eager" if kind.startswith(("MPNet", "Deberta")) else "fake_quantized"
        self.model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation=how)
        self.model.eval().requires_grad_(False)
        self.operands = {}
        for name, module in self.model.named_modules():
            layer = re.search(r"^.*\.layers?\.\d+", name)
            if layer:
                parts = ".attn." if ".layers." in name else ".attention.self."
                self.operands[module] = layer.group() + parts
            if type(module).__name__ == "MPNetSelfAttention":
                module.forward = functools.partial(self.mpnet, module)
            if type(module).__name__ == "DisentangledSelfAttention":
                module.forward = functools.partial(self.disentangled, module)
            if isinstance(module, torch.nn.Linear):
                module.register_forward_pre_hook(lambda _, x, name=name: (self.activation(name + ".input", x[0]),))
        self.quantize_weights()

    def quantize_weights(self):
        for name, entry in self.scales["weights"].items():
            parameter = self.model.get_parameter(name)
            low, high = -(2 ** (entry["bits"] - 1)), 2 ** (entry["bits"] - 1) - 1
            each = torch.tensor(entry["scales"])
            if len(each) == 1:
                value = torch.fake_quantize_per_tensor_affine(parameter, float(each), 0, low, high)
            else:
                zero = torch.zeros_like(each, dtype=torch.int32)
                value = torch.fake_quantize_per_channel_affine(parameter, each, zero, 0, low, high)
            parameter.data = value

    def activation(self, name, x):
        if self.ranges is not None:
            low, high = self.ranges.get(name, (0.0, 0.0))
            self.ranges[name] = (min(low, x.min().item()), max(high, x.max().item()))
            return x
        entry = self.scales["activations"].get(name)
        if entry is None or (name.endswith(("_states", "probabilities")) and not self.products):
            return x
        zero, low, high = bounds(entry)
        x = torch.fake_quantize_per_tensor_affine(x, entry["scale"], zero, low, high)
        if x.requires_grad:
            x.retain_grad()
            self.places.append((x, entry["scale"]))
        return x

    def attention(self, module, query, key, value, attention_mask, scaling=None, dropout=0.0, **_):
        at = self.operands[module]
        query = self.activation(at + "query_states", query)
        key = self.activation(at + "key_states", key)
        value = self.activation(at + "value_states", value)
        scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        if attention_mask is not None:
            scores = scores + attention_mask
        shares = self.activation(at + "probabilities", scores.softmax(-1))
        return (shares @ value).transpose(1, 2).contiguous(), shares

    def mpnet(self, module, x, attention_mask=None, position_bias=None, **_):
        apart = lambda y: y.view(*x.shape[:-1], -1, module.attention_head_size).transpose(1, 2)
        added = [term for term in (attention_mask, position_bias) if term is not None]
        context, _ = self.attention(module, apart(module.q(x)), apart(module.k(x)), apart(module.v(x)), sum(added))
        return (module.o(context.flatten(2)),)

    def disentangled(self, module, x, *_, relative_pos=None, rel_embeddings=None, **__):
        """The terms of distances take the fake-quantized queries and keys; the embeddings of distances are an input of the
        projections that they share with hidden states, which is not quantized."""
        at, heads = self.operands[module], module.num_attention_heads
        apart = lambda y: module.transpose_for_scores(y, heads)
        query = apart(self.activation(at + "query_states", module.query_proj(x)))
        key = apart(self.activation(at + "key_states", module.key_proj(x)))
        value = apart(self.activation(at + "value_states", module.value_proj(x)))
        terms = 1 + sum(term in module.pos_att_type for term in ("c2p", "p2c"))
        scores = query @ key.transpose(1, 2) / (query.shape[-1] * terms) ** 0.5
        if module.share_att_key:
            projections = module.query_proj, module.key_proj
            module.query_proj, module.key_proj = Unquantized(projections[0]), Unquantized(projections[1])
        scores = scores + module.disentangled_attention_bias(query, key, relative_pos, rel_embeddings, terms)
        if module.share_att_key:
            module.query_proj, module.key_proj = projections
        shares = self.activation(at + "probabilities", scores.softmax(-1))
        context = (shares @ value).view(len(x), heads, x.shape[1], -1)
        return context.transpose(1, 2).flatten(2), None

    def logits(self, ids, types):
        """The logits of one sequence, `[2, tokens]` or `[labels]`; gradients flow from the word embeddings on."""
        words = self.model.get_input_embeddings()(ids[None]).requires_grad_()
        feed = {"inputs_embeds": words}
        if getattr(self.model.config, "type_vocab_size", 0) > 1:
            feed["token_type_ids"] = types[None]
        out = self.model(**feed)
        return torch.cat([out.start_logits, out.end_logits]) if "start_logits" in out else out.logits[0]


class Unquantized(torch.nn.Module):
    """A linear layer without the hook that quantizes its input."""

    def __init__(self, layer):
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight, self.bias)


def bounds(entry):
    """Zero point, least and greatest integer of an activation."""
    if entry["scheme"] == "symmetric":
        return 0, -(2 ** (entry["bits"] - 1)), 2 ** (entry["bits"] - 1) - 1
    return entry["zero_point"], 0, 2 ** entry["bits"] - 1
