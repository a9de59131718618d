"""Checks the models against the reference values under `tests/fixtures`: forward, gradients, three optimiser steps."""

import argparse
import json
import sys
from pathlib import Path

import torch

from model import Config, expected_outputs, load_safetensors
from relational import make
from trainer import Settings, Trainer

FIXTURES = Path(__file__).resolve().parents[3] / "tests" / "fixtures"


class Fixed:
    """A sampler that always draws the fixture's puzzles."""

    def __init__(self, inputs, labels):
        self.rows = inputs.long(), labels.long()

    def draw(self, n):
        return self.rows


def plain(tensors: dict, prefix: str = "") -> dict:
    """Tensors below a prefix, without the wrappers' prefixes of the reference."""
    inner = "model.inner."
    kept = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    return {name.removeprefix(inner): t for name, t in kept.items()}


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    found, expected = found.detach().cpu().double(), expected.double()
    return float((found - expected.reshape(found.shape)).abs().max() / expected.abs().max().clamp(min=1e-30))


def check(folder: str, weights: str, expected: str, config: str, settings: Settings, device: torch.device) -> bool:
    """Compares one model; prints a line for each kind of value."""
    at = FIXTURES / folder
    c = Config.from_json((at / config).read_text())
    expected = load_safetensors(at / expected)
    model = make(c).to(device)
    sampler = Fixed(expected["inputs"].to(device), expected["labels"].to(device))
    trainer = Trainer(c, settings, sampler, device, torch.float32)
    for m in (model, trainer.model):
        # In place: the trainer's parameters are views of one vector.
        missing = m.load_state_dict(plain(load_safetensors(at / weights)), strict=False)
        if missing.missing_keys or [k for k in missing.unexpected_keys if not k.startswith("puzzle_emb")]:
            sys.exit(f"{folder}: {missing}")
    found = expected_outputs(model, expected["inputs"].long().to(device), 4)
    forward = max(difference(found[n], expected[n]) for n in found if n != "inputs" and n in expected)
    trainer.replay()
    gradients = {}
    for optimizer in trainer.optimizers:
        gradients |= optimizer.flat.named(optimizer.flat.gradient)
    known = {n: t for n, t in plain(expected, "grad.").items() if n in gradients}
    gradient = max(difference(gradients[n], t) for n, t in known.items())
    print(f"{folder}: forward {forward:.1e}, gradients {gradient:.1e} of {len(known)} tensors")
    good = forward < 1e-4 and gradient < 1e-3
    after = plain(expected, "after3.")
    if after:
        trainer.replay()
        trainer.replay()
        now = dict(trainer.model.named_parameters())
        shared = [n for n in after if n in now]
        close = sum(int(((now[n].cpu() - after[n]).abs() <= 1e-3 * after[n].abs().max()).sum()) for n in shared)
        share = close / sum(after[n].numel() for n in shared)
        print(f"{folder}: {100 * share:.3f} % of the elements agree after three steps")
        good &= share >= 0.999
    return good


def check_relational(device: torch.device) -> bool:
    """One set of weights on two boards, and gradients through half a segment and all of it."""
    at = FIXTURES / "relational"
    weights, expected = (load_safetensors(at / f"relational.{name}.safetensors") for name in ("weights", "expected"))
    forward, gradient = [], []
    for board, side in (("nine", 9), ("six", 6)):
        sizes = {"puzzle": f"sudoku-{side}x{side}", "seq_len": side**2, "vocab_size": side + 2}
        for updates in (3, 6):
            c = Config.relational(16, message=8, gradient_updates=updates, **sizes)
            sampler = Fixed(*(expected[f"nine.{name}"].to(device) for name in ("inputs", "labels")))
            trained = Trainer(c, Settings(batch=4), sampler, device, torch.float32)
            trained.model.load_state_dict(weights)
            found = expected_outputs(trained.model, expected[f"{board}.inputs"].long().to(device), 3)
            names = [n for n in found if n != "inputs"]
            forward += [difference(found[n], expected[f"{board}.{n}"]) for n in names]
            if side == 9:
                trained.replay()
                for optimizer in trained.optimizers:
                    named = optimizer.flat.named(optimizer.flat.gradient)
                    gradient += [difference(g, expected[f"grad{updates}.{n}"]) for n, g in named.items()]
    print(f"relational: forward {max(forward):.1e}, gradients {max(gradient):.1e} of {len(gradient)} tensors")
    return all(d < 1e-4 for d in forward) and all(d < 1e-3 for d in gradient)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = torch.device(parser.parse_args().device)
    train = json.loads((FIXTURES / "parity" / "tiny.json").read_text())["train"]
    puzzle = {"puzzle_lr": train["puzzle_emb_lr"], "puzzle_decay": train["puzzle_emb_weight_decay"]}
    paper = Settings.paper(batch=3, lr=train["lr"], weight_decay=train["weight_decay"], **puzzle)
    files = ("weights.safetensors", "expected.safetensors")
    good = check("parity", *(f"tiny.{name}" for name in files), "tiny.json", paper, device)
    good &= check("compact", *files, "config.json", Settings(batch=2), device)
    good &= check_relational(device)
    sys.exit(0 if good else "not equal")


if __name__ == "__main__":
    main()
