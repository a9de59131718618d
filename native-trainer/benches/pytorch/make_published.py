"""Tiny random checkpoints laid out as HRM, TRM and EqR publish theirs, and what they compute, for the import's tests.

Saved by torch.save under the published names; `LAYOUT.expected.safetensors` has the outputs of `model.py` and, for the layouts
with norms over positions or several positions in front, gradients.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch

from make_fixture import BLANKS, SOLVED
from model import Config, Model, losses, save_safetensors

HIDDEN, HEADS = 8, 2
HRM = replace(
    Config.hrm(HIDDEN, HEADS, 1), puzzle="sudoku-4x4", seq_len=16, vocab_size=6, num_puzzle_identifiers=5
)
# As its code does: H_layers is not used, the widths follow `expansion`.
TRM_ATT = replace(
    HRM, puzzle_emb_len=16, num_puzzle_identifiers=1, modules="shared", H_cycles=2, L_cycles=3, gradient_updates=4
)
TRM_MLP = replace(TRM_ATT, token_mixer="mlp", token_inner=256, mixer_norm="positions", pos_encodings="none")
EQR = replace(TRM_MLP, puzzle_emb_ndim=0, puzzle_emb_len=None, damping=0.95)

LAYOUTS = {
    "hrm": (HRM, "checkpoint", "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1"),
    "trm-att": (TRM_ATT, "step_9765", "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1"),
    "trm-mlp": (TRM_MLP, "step_16275", "recursive_reasoning.trm_cgar@TinyRecursiveReasoningModel_ACTV1_CGAR"),
    "eqr": (EQR, "step_5000_tiny.pth", "eqr@EqRModel"),
}


def arch(c: Config, name: str) -> dict:
    """The architecture as the published code writes it into `all_config.yaml`."""
    values = {
        "H_cycles": c.H_cycles,
        "H_layers": c.H_layers if c.modules == "separate" else 0,
        "L_cycles": c.L_cycles,
        "L_layers": c.L_layers,
        "expansion": 4,
        "forward_dtype": "bfloat16",
        "halt_exploration_prob": 0.1,
        "halt_max_steps": 16,
        "hidden_size": c.hidden_size,
        "loss": {"loss_type": "stablemax_cross_entropy", "name": "losses@ACTLossHead"},
        "name": name,
        "num_heads": c.num_heads,
        "pos_encodings": c.pos_encodings,
    }
    if c.modules == "shared":
        values["mlp_t"] = c.token_mixer == "mlp"
    if "eqr" in name:
        values |= {"H_init_std": 1.0, "L_init_std": 1.0, "lambda_": c.damping, "noise_scale": 0.01}
        values |= {"board_height": 4, "board_width": 4, "short_name": "EqR"}
    else:
        values["puzzle_emb_ndim"] = c.puzzle_emb_ndim
    if "trm" in name:
        values |= {"no_ACT_continue": True, "puzzle_emb_len": 16}
    return values


def lines(values: dict, indent: str = "") -> str:
    """YAML of nested settings."""
    text = ""
    for key, value in values.items():
        if isinstance(value, dict):
            text += f"{indent}{key}:\n" + lines(value, indent + "  ")
        else:
            shown = str(value).lower() if isinstance(value, bool) else value
            text += f"{indent}{key}: {shown}\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    out = parser.parse_args().out
    targets = torch.tensor([[int(digit) + 1 for digit in grid] for grid in SOLVED])
    tokens = targets.clone()
    for row, blanks in zip(tokens, BLANKS):
        row[list(blanks)] = 1
    for seed, (layout, (config, file, name)) in enumerate(LAYOUTS.items()):
        folder = out / layout
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        model = Model(config)
        # Fresh q heads and puzzle embeddings are constant and would hide mistakes.
        torch.nn.init.normal_(model.q_head.weight)
        for vector in (model.H_init, model.L_init):
            vector.copy_(vector.bfloat16().float())
        identifiers = torch.zeros(2, dtype=torch.long)
        expected = {}
        if config.prefix:
            torch.nn.init.normal_(model.puzzle_emb.weights, std=1 / math.sqrt(HIDDEN))
            if config.num_puzzle_identifiers > 1:
                identifiers = torch.tensor([4, 2])
        z_h, z_l = model.initial(2)
        if layout == "eqr":
            z_h, z_l = (torch.nn.init.trunc_normal_(torch.empty_like(z), a=-2, b=2) for z in (z_h, z_l))
            expected |= {"start.z_H": z_h.clone(), "start.z_L": z_l.clone()}
        expected |= {"inputs": tokens.int(), "puzzle_identifiers": identifiers.int(), "labels": targets.int()}
        start = z_h, z_l
        with torch.no_grad():
            for k in (1, 2):
                z_h, z_l, logits, q = model.segment(z_h, z_l, tokens, identifiers)
                named = {"logits": logits, "q_halt": q[:, 0], "q_continue": q[:, 1], "z_H": z_h, "z_L": z_l}
                expected |= {f"segment{k}.{part}": t.contiguous() for part, t in named.items()}
        if layout in ("trm-att", "trm-mlp"):
            _, _, logits, q = model.segment(*start, tokens)
            ce, q_loss = losses(logits, q[:, 0], targets)
            (ce + 0.1 * q_loss).backward()
            grads = {f"grad.{n}": p.grad for n, p in model.named_parameters() if p.grad is not None}
            expected |= {"loss.cells": ce.reshape(1), "loss.q": q_loss.reshape(1)} | grads
        save_safetensors(out / f"{layout}.expected.safetensors", expected)

        half = lambda n, t: t.bfloat16() if n.endswith("_init") else t.detach().clone()
        state = {f"_orig_mod.model.inner.{n}": half(n, t) for n, t in model.state_dict().items()}
        settings = {
            "arch": arch(config, name),
            "data_path": "data/sudoku-4x4",
            "epochs": 10,
            "global_batch_size": 8,
            "lr": 0.0001,
            "run_name": f"tiny {layout}",
        }
        if layout == "eqr":
            # Its states are random: H_init and L_init are not saved. The average is what is used.
            state = {n: t for n, t in state.items() if not n.endswith("_init")}
            shadow = {n.removeprefix("_orig_mod."): t for n, t in state.items()}
            raw = {n: t + 0.1 * torch.randn_like(t) for n, t in state.items()}
            dataset = {"name": "sudoku", "data_path": "data/sudoku-4x4"}
            config_dict = {"arch": settings["arch"], "dataset": dataset, "lr": 0.0001, "ema": True}
            state = {
                "step": 5000,
                "model": raw,
                "optimizers": [{"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []}],
                "rng": {"torch": torch.random.get_rng_state()[:64].clone(), "cuda": None},
                "config": config_dict,
                "ema": {"mu": 0.999, "shadow": shadow},
            }
        else:
            (folder / "all_config.yaml").write_text(lines(settings))
        torch.save(state, folder / file)


if __name__ == "__main__":
    main()
