"""ONNX Runtime and OpenVINO, measured by `obertc bench --against`.

    python rivals.py PROGRAM MODEL.onnx HEADS HIDDEN VOCABULARY LENGTH

Quantizes a copy of the float32 ONNX model to INT8 as the program's own guide recommends, writes a line about both, and
then answers lines of JSON: timings on standard output.
"""

import json
import logging
import os
import sys
import tempfile
import time

logging.disable(logging.WARNING)


class OnnxRuntime:
    """Both models fused by ONNX Runtime's transformer optimizer; weights quantized by `quantize_dynamic`."""

    def __init__(self, model, heads, hidden, vocabulary, length):
        import onnxruntime
        from onnx import TensorProto
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.transformers import optimizer

        self.runtime = onnxruntime
        self.scratch = tempfile.TemporaryDirectory()
        self.files = {kind: os.path.join(self.scratch.name, f"{kind}.onnx") for kind in ("f32", "int8")}
        fused = optimizer.optimize_model(model, model_type="bert", num_heads=heads, hidden_size=hidden)
        fused.save_model_to_file(self.files["f32"])
        counts = {kind: count for kind, count in fused.get_fused_operator_statistics().items() if count}
        # Fused operators have no types that ONNX could infer. The embeddings take no time.
        default = {"DefaultTensorType": TensorProto.FLOAT}
        products = ["MatMul", "Attention"]
        quantize_dynamic(
            self.files["f32"], self.files["int8"], products, weight_type=QuantType.QInt8, extra_options=default
        )
        self.version = onnxruntime.__version__
        self.note = "fused: " + (", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing")
        self.sessions, self.threads = {}, 0

    def prepare(self, kind, threads, shape):
        if threads != self.threads:
            # Threads that spin would take the time of others.
            self.sessions, self.threads = {}, threads
        if kind not in self.sessions:
            options = self.runtime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
            self.sessions[kind] = self.runtime.InferenceSession(
                self.files[kind], options, providers=["CPUExecutionProvider"]
            )
        session = self.sessions[kind]
        types = {given.name: "int32" if "int32" in given.type else "int64" for given in session.get_inputs()}
        names = [output.name for output in session.get_outputs()]
        return types, lambda feed: session.run(names, feed)


class OpenVino:
    """Compiled for the shape of each batch; INT8 by NNCF with its preset for transformers,
    calibrated on random tokens."""

    def __init__(self, model, heads, hidden, vocabulary, length):
        import nncf
        import numpy
        import openvino

        self.core = openvino.Core()
        read = lambda: self.core.read_model(model)
        inputs = [given.get_any_name() for given in read().inputs]
        draw = numpy.random.default_rng(1)
        ids = [draw.integers(0, vocabulary, (1, length)) for _ in range(16)]
        samples = nncf.Dataset([feed(rows, dict.fromkeys(inputs, "int64")) for rows in ids])
        quantized = nncf.quantize(
            read(), samples, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids)
        )
        self.models = {"f32": read(), "int8": quantized}
        self.version = openvino.__version__.split("-")[0]
        self.note = f"INT8 by NNCF {nncf.__version__}"
        self.compiled = {}

    def prepare(self, kind, threads, shape):
        key = (kind, threads, shape)
        if key not in self.compiled:
            # One shape at a time: the threads of others would take their time.
            self.compiled = {known: one for known, one in self.compiled.items() if known[1:] == key[1:]}
            model = self.models[kind].clone()
            model.reshape({given.get_any_name(): list(shape) for given in model.inputs})
            settings = {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",
            }
            self.compiled[key] = self.core.compile_model(model, "CPU", settings).create_infer_request()
        request = self.compiled[key]
        inputs = request.get_compiled_model().inputs
        types = {given.get_any_name(): "int64" for given in inputs}

        def run(fed):
            found = request.infer(fed, share_inputs=True)
            return [found[output] for output in request.get_compiled_model().outputs]

        return types, run


def feed(ids, types):
    """The inputs of a batch without padding."""
    import numpy

    ids = numpy.asarray(ids, numpy.int64)
    known = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
    return {name: known[name].astype(kind) for name, kind in types.items()}


def main():
    program, model, *sizes = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print there, too

    def say(value):
        print(json.dumps(value), file=out, flush=True)

    try:
        rival = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}[program](model, *map(int, sizes))
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({"version": rival.version, "note": rival.note})
    for line in sys.stdin:
        asked = json.loads(line)
        ids = asked["ids"]
        types, run = rival.prepare(asked["kind"], asked["threads"], (len(ids), len(ids[0])))
        fed, times, outputs = feed(ids, types), [], []
        end = time.perf_counter() + asked["seconds"]
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            outputs = run(fed)
            times.append(time.perf_counter() - start)
        first = [value for output in outputs for value in output[0].ravel().tolist()]
        say({"times": times, "outputs": first if asked["outputs"] else []})


main()
