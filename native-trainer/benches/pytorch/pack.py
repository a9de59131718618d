"""Packs puzzle files into one small file: `pack.py out.npz train=pool.csv.gz,train.csv.gz test=test.csv.gz`."""

import sys
from pathlib import Path

import sudoku


def main() -> None:
    if len(sys.argv) < 3 or not all("=" in arg for arg in sys.argv[2:]):
        sys.exit(f"usage: {__doc__}")
    sets = {name: [Path(p) for p in paths.split(",")] for name, paths in (arg.split("=", 1) for arg in sys.argv[2:])}
    out = Path(sys.argv[1])
    sudoku.pack(out, sets)
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
