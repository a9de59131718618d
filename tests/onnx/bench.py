"""Milliseconds a segment of an exported model in onnxruntime, f32 and with
dynamically quantized int8 weights, alternating, one thread.

    hrm export --preset hrm --format onnx OUT
    python bench.py OUT/model.onnx [BATCH] [REPETITIONS]

Needs numpy, onnx and onnxruntime.
"""

import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def main(model, batch=1, repetitions=10):
    with tempfile.TemporaryDirectory() as folder:
        quantized = os.path.join(folder, "int8.onnx")
        quantize_dynamic(model, quantized, weight_type=QuantType.QInt8, per_channel=True)
        sessions = {"f32": open_session(model), "int8": open_session(quantized)}
    info = {i.name: i.shape for i in sessions["f32"].get_inputs()}
    rng = np.random.default_rng(0)
    feeds = {
        "tokens": np.ones((batch, info["tokens"][1]), np.int64),
        "z_H": rng.standard_normal((batch, *info["z_H"][1:]), np.float32),
        "z_L": rng.standard_normal((batch, *info["z_L"][1:]), np.float32),
    }
    if "last" in info:
        feeds["last"] = np.full((batch, *info["last"][1:]), 1 / info["last"][2], np.float32)
    times = {name: [] for name in sessions}
    for repetition in range(repetitions + 1):
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(None, feeds)
            if repetition:
                times[name].append(1e3 * (time.perf_counter() - start))
    for name, values in times.items():
        result = {
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "scheme": name,
            "batch": batch,
            "median_ms": statistics.median(values),
            "min_ms": min(values),
            "max_ms": max(values),
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
