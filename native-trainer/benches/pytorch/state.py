"""A run between two jobs: named tensors in parts small enough to be carried, and what else there is to know.

`state.json` names the parts with their sums and says where each tensor lies; it is replaced last, so that a job killed
at any moment leaves the previous state whole.
"""

import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor

INDEX = "state.json"
PART_MIB = 15.0


def save(folder: Path, tensors: dict[str, Tensor], facts: dict, part_mib: float = PART_MIB) -> None:
    """Writes tensors, in their order, and facts; no part is larger than `part_mib`."""
    size = int(part_mib * 2**20)
    folder.mkdir(parents=True, exist_ok=True)
    table, pieces, at = [], [], 0
    for name, tensor in tensors.items():
        data = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        table.append({"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)})
        table[-1] |= {"start": at, "end": at + len(data)}
        pieces.append(data)
        at += len(data)
    whole = b"".join(pieces)
    parts = []
    for i, start in enumerate(range(0, len(whole), size)):
        data = whole[start : start + size]
        digest = hashlib.sha256(data).hexdigest()
        name = f"state-{facts['step']:08}-{i:02}.part"
        (folder / name).write_bytes(data)
        parts.append({"name": name, "bytes": len(data), "sha256": digest})
    index = {"facts": facts, "parts": parts, "tensors": table}
    temporary = folder / (INDEX + ".tmp")
    temporary.write_text(json.dumps(index, indent=1))
    os.replace(temporary, folder / INDEX)
    kept = {part["name"] for part in parts}
    for old in folder.glob("state-*.part"):
        if old.name not in kept:
            old.unlink()


def exists(folder: Path | None) -> bool:
    """Whether a folder holds a state."""
    return folder is not None and (folder / INDEX).exists()


def parts(folder: Path) -> list[str]:
    """The names of a state's parts."""
    return [part["name"] for part in json.loads((folder / INDEX).read_text())["parts"]]


def load(folder: Path, wanted=lambda name: True) -> tuple[dict[str, Tensor], dict]:
    """The tensors whose name is `wanted`, and the facts. Parts that only hold others may be missing."""
    index = json.loads((folder / INDEX).read_text())
    chosen = [t for t in index["tensors"] if wanted(t["name"])]
    whole, at = {}, 0
    for part in index["parts"]:
        end = at + part["bytes"]
        if any(t["start"] < end and t["end"] > at for t in chosen):
            path = folder / part["name"]
            data = path.read_bytes() if path.exists() else b""
            if hashlib.sha256(data).hexdigest() != part["sha256"]:
                raise SystemExit(f"{path}: {'damaged' if data else 'missing'}")
            whole[at] = data
        at = end
    out = {}
    for t in chosen:
        data = b"".join(
            data[max(t["start"] - at, 0) : max(t["end"] - at, 0)] for at, data in sorted(whole.items())
        )
        values = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
        out[t["name"]] = values.view(getattr(torch, t["dtype"])).reshape(t["shape"])
    return out, index["facts"]
