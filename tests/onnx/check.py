"""Checks `hrm export --format onnx` against onnxruntime.

    hrm export --checkpoint DIR --format onnx OUT
    hrm trace --checkpoint DIR --inputs inputs.safetensors --segments 4 --output trace.safetensors
    python check.py OUT/model.onnx inputs.safetensors trace.safetensors

Runs as many segments as the trace has through onnxruntime, from the initial
states in the graph's metadata, and compares logits, q and both states; a model
with feedback is given the last answer's probabilities. Fails if any differs by
more than 1e-4 of the largest value there is.

With `--make CELLS VOCABULARY BATCH FILE` it writes an inputs file instead.
Needs numpy and onnxruntime, nothing else.
"""

import json
import struct
import sys

import numpy as np

TYPES = {"F32": np.float32, "I32": np.int32}


def read(path):
    """Tensors of a safetensors file by name."""
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(
            data[8 + length + t["data_offsets"][0] : 8 + length + t["data_offsets"][1]],
            TYPES[t["dtype"]],
        ).reshape(t["shape"])
        for name, t in header.items()
    }


def make(cells, vocabulary, batch, path):
    """Random tokens, half of them blanks."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(2, vocabulary, (batch, cells))
    tokens[rng.random((batch, cells)) < 0.5] = 1
    body = tokens.astype(np.int32).tobytes()
    entry = {"dtype": "I32", "shape": [batch, cells], "data_offsets": [0, len(body)]}
    header = json.dumps({"inputs": entry}).encode()
    open(path, "wb").write(struct.pack("<Q", len(header)) + header + body)


def first_answer(tokens, symbols):
    """Certain in given cells, alike in blank ones; [batch, cells, symbols]."""
    given = tokens[..., None] == 2 + np.arange(symbols)
    blank = tokens[..., None] == 1
    return np.where(blank, 1 / symbols, given).astype(np.float32)


def softmax(logits):
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def main(model, inputs, trace):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    tokens = read(inputs)["inputs"].astype(np.int64)
    expected = read(trace)
    shape = expected["segment1.z_H"].shape
    state = {
        name: np.broadcast_to(np.float32(json.loads(metadata[f"{name}_init"])), shape).copy()
        for name in ["z_H", "z_L"]
    }
    wanted = [i.name for i in session.get_inputs()]
    feeds_back = "last" in wanted
    rows = {}
    if "puzzle_identifiers" in wanted:
        own = read(inputs).get("puzzle_identifiers", np.zeros(len(tokens)))
        rows = {"puzzle_identifiers": own.astype(np.int64).reshape(-1, 1)}
    symbols = expected["segment1.logits"].shape[-1]
    last = {"last": first_answer(tokens, symbols)} if feeds_back else {}
    worst = 0.0
    segment = 1
    while f"segment{segment}.logits" in expected:
        logits, q, z_h, z_l = session.run(
            ["logits", "q", "z_H_out", "z_L_out"], {"tokens": tokens, **rows, **state, **last}
        )
        state = {"z_H": z_h, "z_L": z_l}
        if feeds_back:
            last = {"last": softmax(logits)}
        found = {"logits": logits, "q_halt": q[:, 0], "z_H": z_h, "z_L": z_l}
        if q.shape[1] > 1:
            found["q_continue"] = q[:, 1]
        for name, value in found.items():
            want = expected[f"segment{segment}.{name}"]
            share = np.abs(value - want).max() / np.abs(want).max()
            worst = max(worst, share)
            print(f"segment {segment} {name:<10} {share:.1e}")
        segment += 1
    print(f"largest difference: {worst:.1e} of the largest value")
    return worst <= 1e-4


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(*map(int, sys.argv[2:5]), sys.argv[5])
    elif not main(*sys.argv[1:4]):
        sys.exit("NOT OK")
