"""Writes a small compact model with random weights and what it computes, for the parity tests of the Rust engines."""

import argparse
import json
from pathlib import Path

import torch

from model import Q_WEIGHT, Compact, Config, expected_outputs, losses, save_safetensors

TINY = Config(vocab=6, positions=16, hidden=32, mixer_inner=40, channel_inner=48)
SOLVED = ["1234341221434321", "4123234112343412"]
BLANKS = [(0, 3, 5, 6, 10, 12, 15), (1, 2, 4, 7, 8, 9, 11, 13)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    out = parser.parse_args().out
    torch.manual_seed(4)
    model = Compact(TINY)
    # A fresh q head is constant and would hide mistakes.
    torch.nn.init.normal_(model.q_head.weight)
    torch.nn.init.constant_(model.q_head.bias, 0.25)

    targets = torch.tensor([[int(digit) + 1 for digit in grid] for grid in SOLVED])
    tokens = targets.clone()
    for row, blanks in zip(tokens, BLANKS):
        row[list(blanks)] = 1
    expected = expected_outputs(model, tokens, 4) | {"labels": targets.int()}

    _, _, logits, q_halt = model.segment(*model.initial(len(tokens)), tokens)
    ce, q_loss = losses(logits, q_halt, targets)
    (ce + Q_WEIGHT * q_loss).backward()
    expected |= {"loss.cells": ce.reshape(1), "loss.q": q_loss.reshape(1)}
    expected |= {f"grad.{name}": p.grad for name, p in model.named_parameters()}

    save_safetensors(out / "weights.safetensors", model.state_dict())
    save_safetensors(out / "expected.safetensors", expected)
    config = {
        "puzzle": "sudoku-4x4",
        "seq_len": TINY.positions,
        "vocab_size": TINY.vocab,
        "hidden_size": TINY.hidden,
        "H_cycles": TINY.h_cycles,
        "L_cycles": TINY.l_cycles,
        "H_layers": 1,
        "L_layers": 1,
        "pos_encodings": "learned",
        "halt_max_steps": 16,
        "modules": "shared",
        "token_mixer": "mlp",
        "token_inner": TINY.mixer_inner,
        "mlp_inner": TINY.channel_inner,
        "gate": "normalized_sigmoid",
        "q_pool": "mean",
        "q_continue": False,
        "gradient_updates": 3,
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
