"""ONNX Runtime, measured by `obertc bench --against onnxruntime`.

    python onnxruntime.py MODEL_DIR

Builds the ONNX graph of a BERT for question answering from config.json and model.safetensors, fuses it
with ONNX Runtime's own transformer optimizer where that is installed, quantizes a copy with
quantize_dynamic, and then answers lines of JSON: timings on standard output.
"""

import json
import logging
import os
import struct
import sys
import tempfile
import time

logging.disable(logging.WARNING)


def tensors(path):
    """The tensors of a safetensors file as float32."""
    import numpy as np

    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    types = {"F32": np.float32, "F16": np.float16}
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in types:
            start, end = entry["data_offsets"]
            array = np.frombuffer(data[start:end], types[entry["dtype"]]).reshape(entry["shape"])
            found[name] = array.astype(np.float32)
    return found


def graph(folder):
    """The ONNX model of the folder."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    config = json.load(open(os.path.join(folder, "config.json")))
    weights = tensors(os.path.join(folder, "model.safetensors"))
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    size, eps = hidden // heads, config.get("layer_norm_eps", 1e-12)
    nodes, constants, count = [], [], [0]

    def constant(array, name=None):
        count[0] += 1
        name = name or f"c{count[0]}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(kind, *inputs, **attributes):
        count[0] += 1
        name = f"{kind}{count[0]}"
        nodes.append(helper.make_node(kind, list(inputs), [name], name=name + "_node", **attributes))
        return name

    def parameter(name):
        return constant(weights[name], name)

    def linear(x, name):
        w = constant(weights[name + ".weight"].T.copy(), name + ".transposed")
        return op("Add", op("MatMul", x, w), parameter(name + ".bias"))

    def norm(x, name):
        return op(
            "LayerNormalization", x, parameter(name + ".weight"), parameter(name + ".bias"), axis=-1, epsilon=eps
        )

    at = "bert.embeddings."
    words = op("Gather", parameter(at + "word_embeddings.weight"), "ids")
    types = op("Gather", parameter(at + "token_type_embeddings.weight"), "types")
    places = op("Gather", parameter(at + "position_embeddings.weight"), "places")
    x = norm(op("Add", op("Add", words, types), places), at + "LayerNorm")
    split = constant(np.array([0, 0, heads, size], np.int64))
    joined = constant(np.array([0, 0, hidden], np.int64))
    root = constant(np.array(size**0.5, np.float32))
    two, one, half = (constant(np.array(v, np.float32)) for v in (2**0.5, 1.0, 0.5))
    for i in range(config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{i}."
        parts = []
        for name, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
            part = op("Reshape", linear(x, at + "attention.self." + name), split)
            parts.append(op("Transpose", part, perm=perm))
        scores = op("Div", op("MatMul", parts[0], parts[1]), root)
        context = op("MatMul", op("Softmax", scores, axis=-1), parts[2])
        context = op("Reshape", op("Transpose", context, perm=[0, 2, 1, 3]), joined)
        x = norm(op("Add", linear(context, at + "attention.output.dense"), x), at + "attention.output.LayerNorm")
        wide = linear(x, at + "intermediate.dense")
        erf = op("Add", op("Erf", op("Div", wide, two)), one)
        wide = op("Mul", op("Mul", wide, erf), half)
        x = norm(op("Add", linear(wide, at + "output.dense"), x), at + "output.LayerNorm")
    logits = linear(x, "qa_outputs")
    nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    ints = lambda name: helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length", 2])
    whole = helper.make_graph(nodes, "bert", [ints("ids"), ints("types"), ints("places")], [out], constants)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model, config


def prepared(folder, scratch):
    """The files of the float and the quantized model, and what was done to them."""
    import onnx
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model, config = graph(folder)
    plain = os.path.join(scratch, "f32.onnx")
    onnx.save(model, plain)
    fused = "fused by ONNX Runtime's graph optimizations"
    try:
        from onnxruntime.transformers import optimizer

        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        better = optimizer.optimize_model(plain, model_type="bert", num_heads=heads, hidden_size=hidden)
        better.save_model_to_file(plain)
        counts = {k: v for k, v in better.get_fused_operator_statistics().items() if v}
        fused = "fused by onnxruntime.transformers: " + ", ".join(f"{v} {k}" for k, v in counts.items())
    except Exception as error:  # the optimizer has dependencies of its own
        fused += f" ({type(error).__name__} in onnxruntime.transformers)"
    small = os.path.join(scratch, "int8.onnx")
    # Fused operators have no types that ONNX could infer. Of the embeddings, ONNX Runtime would make an
    # operator that it cannot run; they take no time.
    default = {"DefaultTensorType": TensorProto.FLOAT}
    products = ["MatMul", "Attention"]
    quantize_dynamic(plain, small, products, weight_type=QuantType.QInt8, extra_options=default)
    return {"f32": plain, "int8": small}, fused


def main():
    folder = sys.argv[1]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(value):
        print(json.dumps(value), file=out, flush=True)

    try:
        import numpy as np
        import onnxruntime as ort

        scratch = tempfile.TemporaryDirectory()
        files, fused = prepared(folder, scratch.name)

        def session(kind, threads):
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
            return ort.InferenceSession(files[kind], options, providers=["CPUExecutionProvider"])

        sessions, now = {kind: session(kind, 1) for kind in files}, 1
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({"version": ort.__version__, "fused": fused})

    for line in sys.stdin:
        asked = json.loads(line)
        if asked["threads"] != now:
            # Threads that spin would take the time of others.
            sessions, now = {}, asked["threads"]
            sessions = {kind: session(kind, now) for kind in files}
        ids = np.array(asked["ids"], np.int64)
        feed = {"ids": ids, "types": np.zeros_like(ids), "places": np.arange(ids.shape[1])[None].repeat(len(ids), 0)}
        one, times, logits = sessions[asked["kind"]], [], None
        # Fusion may take an input away, or change its type.
        kinds = {i.name: np.int32 if "int32" in i.type else np.int64 for i in one.get_inputs()}
        feed = {name: feed[name].astype(kind) for name, kind in kinds.items()}
        end = time.perf_counter() + asked["seconds"]
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            logits = one.run(None, feed)[0]
            times.append(time.perf_counter() - start)
        say({"times": times, "logits": logits[0].ravel().tolist() if asked.get("logits") else []})


main()
