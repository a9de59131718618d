"""Copies a state, or a slice of it, to where a job's results are collected from.

    carry.py STATE OUT [--slice I/N]   parts I of N, so that a large state comes back over N jobs
    carry.py STATE OUT --average       the averaged weights alone, in bf16: a state that evaluates and exports
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch

import state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--slice", default="0/1")
    parser.add_argument("--average", action="store_true")
    args = parser.parse_args()
    if args.average:
        tensors, facts = state.load(args.state, lambda name: name.startswith("average."))
        state.save(args.out, {name: t.to(torch.bfloat16) for name, t in tensors.items()}, facts)
        return
    index, count = map(int, args.slice.split("/"))
    if not 0 <= index < count:
        sys.exit(f"--slice {args.slice}: must be I/N with I from 0 to N - 1")
    parts = state.parts(args.state)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in [*parts[len(parts) * index // count : len(parts) * (index + 1) // count], state.INDEX]:
        shutil.copy(args.state / name, args.out / name)
        print(name)


if __name__ == "__main__":
    main()
