"""Writes a small compact model with random weights and what it computes, for the parity tests of the Rust engines."""

import argparse
from pathlib import Path

import torch

from model import Config, Model, expected_outputs, losses, save_safetensors

TINY = Config(
    puzzle="sudoku-4x4", seq_len=16, vocab_size=6, hidden_size=32, token_inner=40, mlp_inner=48
)
Q_WEIGHT = 0.1
SOLVED = ["1234341221434321", "4123234112343412"]
BLANKS = [(0, 3, 5, 6, 10, 12, 15), (1, 2, 4, 7, 8, 9, 11, 13)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    out = parser.parse_args().out
    torch.manual_seed(4)
    model = Model(TINY)
    # A fresh q head is constant and would hide mistakes.
    torch.nn.init.normal_(model.q_head.weight)
    torch.nn.init.constant_(model.q_head.bias, 0.25)

    targets = torch.tensor([[int(digit) + 1 for digit in grid] for grid in SOLVED])
    tokens = targets.clone()
    for row, blanks in zip(tokens, BLANKS):
        row[list(blanks)] = 1
    expected = expected_outputs(model, tokens, 4) | {"labels": targets.int()}

    _, _, logits, q = model.segment(*model.initial(len(tokens)), tokens)
    ce, q_loss = losses(logits, q[:, 0], targets)
    (ce + Q_WEIGHT * q_loss).backward()
    expected |= {"loss.cells": ce.reshape(1), "loss.q": q_loss.reshape(1)}
    expected |= {f"grad.{name}": p.grad for name, p in model.named_parameters()}

    save_safetensors(out / "weights.safetensors", model.state_dict())
    save_safetensors(out / "expected.safetensors", expected)
    (out / "config.json").write_text(TINY.to_json())


if __name__ == "__main__":
    main()
