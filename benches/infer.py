"""The PyTorch process of benches/infer.rs: seconds of dense float32 products on one thread."""

import statistics
import time

import torch

torch.set_num_threads(1)
with torch.no_grad():
    for inputs, outputs in [(768, 3072), (3072, 768), (768, 768)]:
        for tokens in [128, 384]:
            x, w = torch.randn(tokens, inputs), torch.randn(outputs, inputs)
            times, begin = [], time.perf_counter()
            while time.perf_counter() - begin < 0.5 or len(times) < 10:
                start = time.perf_counter()
                torch.nn.functional.linear(x, w)
                times.append(time.perf_counter() - start)
            print(statistics.median(times))
