"""A checkpoint directory of a state: `export.py STATE DIR [--raw]`, to be read by every `hrm` command."""

import argparse
from pathlib import Path

import torch

from evaluate import load_model
from model import save_safetensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--raw", action="store_true", help="the last weights instead of their average")
    args = parser.parse_args()
    model, facts = load_model(args.state, "raw" if args.raw else "average", torch.device("cpu"), torch.float32)
    save_safetensors(args.out / "model.safetensors", model.state_dict())
    (args.out / "config.json").write_text(model.config.to_json())
    decay = facts["settings"]["ema"]
    lines = [
        f"# {model.config.hidden_size} wide, {facts['step']} steps",
        "",
        f"- board: {model.config.puzzle}",
        f"- parameters: {sum(p.numel() for n, p in model.named_parameters() if not n.startswith('puzzle_emb'))}",
        f"- trained by the PyTorch twin in {facts['jobs']} job(s), {facts['seconds'] / 60:.1f} minutes together",
        f"- examples: {facts['examples']} puzzle-segments, batch {facts['settings']['batch']}",
        f"- share of puzzles with random hints: {facts['hints']}",
        f"- optimiser: {facts['settings']['optimizer']}",
        f"- weights: {'the last' if args.raw else f'moving average, decay {decay}'}",
    ]
    (args.out / "README.md").write_text("\n".join(lines) + "\n")
    print(args.out)


if __name__ == "__main__":
    main()
