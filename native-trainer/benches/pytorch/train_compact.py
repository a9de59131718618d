"""Trains the compact Sudoku reasoner on a CPU; see README.md."""

import argparse
import json
import math
import os
import signal
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import sudoku
from model import Q_WEIGHT, Compact, expected_outputs, losses, save_safetensors

MAX_SEGMENTS = 16
EXPLORATION = 0.1


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by Newton-Schulz steps, for the matrices of the block."""

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.005):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - momentum)
                update = orthogonal(p.grad.lerp(buffer, momentum))
                p.mul_(1 - lr * group["weight_decay"])
                p.add_(update, alpha=-lr * math.sqrt(max(1.0, p.shape[0] / p.shape[1])))


def orthogonal(g: torch.Tensor) -> torch.Tensor:
    """Five quintic Newton-Schulz steps towards the nearest orthogonal matrix."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Schedule:
    """Learning rate by wall clock: flat, then linear to 2 %. The control file may change the times during the run."""

    def __init__(self, decay_start: str, end: str, control: Path):
        self.times, self.control, self.seen = {"decay_start": decay_start, "end": end}, control, 0.0
        self.day = datetime.now()

    def _seconds(self, name: str) -> float:
        hour, minute = map(int, self.times[name].split(":"))
        return self.day.replace(hour=hour, minute=minute, second=0, microsecond=0).timestamp()

    def factor(self) -> float | None:
        """The share of the full rate now; None at the end."""
        try:
            if (changed := self.control.stat().st_mtime) != self.seen:
                self.times |= json.loads(self.control.read_text())
                self.seen = changed
        except FileNotFoundError:
            pass
        except ValueError as error:  # half-written: read again at the next step
            print(f"{self.control}: {error}", flush=True)
        now, start, end = time.time(), self._seconds("decay_start"), self._seconds("end")
        if now >= end:
            return None
        return 1.0 if now <= start else 1.0 - 0.98 * (now - start) / (end - start)


class Trainer:
    """Weights, their average, optimisers and the carried rows."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.step, self.examples, self.seconds = args, 0, 0, 0.0
        self.model = Compact(dtype=torch.bfloat16)
        self.average = Compact(dtype=torch.bfloat16)
        self.average.load_state_dict(self.model.state_dict())
        block = list(self.model.L_level.parameters())
        rest = [p for n, p in self.model.named_parameters() if not n.startswith("L_level.")]
        self.optimizers = [
            Muon(block, lr=args.muon_lr),
            torch.optim.AdamW(rest, lr=args.adam_lr, betas=(0.9, 0.95), weight_decay=args.adam_decay),
        ]
        self.base_rates = [args.muon_lr, args.adam_lr]
        self.averaged = [*zip(self.average.parameters(), self.model.parameters())]
        self.checkpoint = args.out / "checkpoint.pt"
        if args.resume and self.checkpoint.exists():
            self.load()
        self.sampler = sudoku.Sampler(args.data, seed=args.seed + self.step)
        self.validation = validation_sets(args.validation, args.validation_rows)
        for m in (self.model, self.average):
            m.L_level.layers[0].compile(dynamic=False)
        n = args.batch
        self.z_h, self.z_l = self.model.initial(n)
        self.tokens, self.targets = (torch.zeros(n, 81, dtype=torch.long) for _ in range(2))
        self.count = torch.zeros(n, dtype=torch.long)
        self.least = torch.zeros(n, dtype=torch.long)
        self.refill(torch.ones(n, dtype=torch.bool))

    def refill(self, halted: torch.Tensor) -> None:
        """Gives halted rows a new puzzle and the initial state."""
        n = int(halted.sum())
        if n == 0:
            return
        question, answer = self.sampler.draw(n)
        self.tokens[halted] = torch.from_numpy(question).long()
        self.targets[halted] = torch.from_numpy(answer).long()
        self.z_h[halted], self.z_l[halted] = self.model.initial(n)
        self.count[halted] = 0
        explores = torch.rand(n) < EXPLORATION
        self.least[halted] = torch.where(explores, torch.randint(2, MAX_SEGMENTS + 1, (n,)), 0)
        self.examples += n

    def train_step(self, factor: float) -> dict[str, float]:
        """One segment of every row and one update."""
        self.z_h, self.z_l, logits, q = self.model.segment(self.z_h, self.z_l, self.tokens)
        right = logits.argmax(-1) == self.targets
        solved = right.all(1)
        ce, q_loss = losses(logits, q, self.targets)
        (ce + Q_WEIGHT * q_loss).backward()
        for optimizer, rate in zip(self.optimizers, self.base_rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        # A short memory at first, so that the average leaves the initial weights behind.
        keep = min(self.args.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in self.averaged:
                mean.lerp_(value, 1 - keep)
        self.count += 1
        halted = (self.count >= MAX_SEGMENTS) | ((q > 0) & (self.count >= self.least))
        out = {"loss": ce.item(), "q_loss": q_loss.item(), "cells": right.float().mean().item()}
        if halted.any():
            out |= {"exact_at_halt": solved[halted].float().mean().item()}
            out |= {"segments": self.count[halted].float().mean().item()}
        self.refill(halted)
        return out

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Share of grids (and of cells) that the averaged weights get right after 16 segments."""
        out, size = {}, self.args.batch  # one batch size, one compilation
        questions = torch.cat([question for question, _ in self.validation.values()])
        answers = []
        for i in range(0, len(questions), size):
            part = questions[i : i + size]
            tokens = F.pad(part, (0, 0, 0, size - len(part)))
            z_h, z_l = self.average.initial(size)
            for _ in range(MAX_SEGMENTS):
                z_h, z_l, logits, _ = self.average.segment(z_h, z_l, tokens)
            answers.append(logits.argmax(-1)[: len(part)])
        parts = torch.cat(answers).split(self.args.validation_rows)
        for (name, (_, answer)), got in zip(self.validation.items(), parts):
            right = got == answer
            out |= {f"{name}_exact": right.all(1).float().mean().item(), f"{name}_cells": right.float().mean().item()}
        return out

    def export(self) -> None:
        """The averaged weights, and what they compute in float32 for four validation rows."""
        weights = {name: t.clone() for name, t in self.average.state_dict().items()}
        out = self.args.out
        save_safetensors(out / "export" / "model.safetensors", weights)
        exact = Compact()
        exact.load_state_dict(weights)
        tokens = torch.cat([question[:2] for question, _ in list(self.validation.values())[:2]])
        save_safetensors(out / "parity.safetensors", expected_outputs(exact, tokens, 4))
        save_safetensors(out / "parity_weights.safetensors", weights)

    def save(self) -> None:
        """The whole run but the carried rows, atomically."""
        part = self.checkpoint.with_suffix(".part")
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "examples": self.examples,
            "seconds": self.seconds,
        }
        torch.save(state, part)
        os.replace(part, self.checkpoint)

    def load(self) -> None:
        """Continues from `save`."""
        state = torch.load(self.checkpoint)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.step, self.examples, self.seconds = state["step"], state["examples"], state["seconds"]


def validation_sets(path: Path, rows: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The first rows as they are, and with 10 % and 30 % of their blanks filled in."""
    question, answer = (grid[:rows] for grid in sudoku.read(path))
    out = {}
    for name, share in (("plain", 0.0), ("hint10", 0.1), ("hint30", 0.3)):
        easier = sudoku.reveal(np.random.default_rng(0), question, answer, np.full(len(question), share))
        out[name] = tuple(torch.from_numpy(grid).long() for grid in (easier, answer))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="training files (csv or csv.gz)")
    parser.add_argument("--validation", type=Path, required=True, help="validation file")
    parser.add_argument("--validation-rows", type=int, default=128)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="continue from the folder's checkpoint, if it has one")
    parser.add_argument("--decay-start", required=True, metavar="HH:MM", help="local time from which the rate falls")
    parser.add_argument("--end", required=True, metavar="HH:MM", help="local time at which the run ends, today")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=1e-3)
    parser.add_argument("--adam-decay", type=float, default=0.0)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-every", type=int, default=25, metavar="STEPS")
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--eval-minutes", type=float, default=8.0)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    schedule = Schedule(args.decay_start, args.end, args.out / "control.json")
    trainer = Trainer(args)
    log = open(args.out / "log.jsonl", "a", buffering=1)

    def report(kind: str, values: dict[str, float]) -> None:
        values = {key: round(value, 5) for key, value in values.items()}
        head = {"kind": kind, "time": datetime.now().strftime("%H:%M:%S"), "step": trainer.step}
        log.write(json.dumps(head | {"examples": trainer.examples} | values) + "\n")

    def evaluate() -> None:
        started = time.time()
        result = trainer.evaluate()
        trainer.export()
        report("eval", result | {"took": time.time() - started, "minutes": trainer.seconds / 60})

    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    last = saved = evaluated = time.time()
    first_step, sums = trainer.step, {}
    while not stopped and (factor := schedule.factor()) is not None:
        for key, value in trainer.train_step(factor).items():
            sums.setdefault(key, []).append(value)
        now = time.time()
        if trainer.step % args.log_every == 0:
            trainer.seconds += now - last
            rate = (trainer.step - first_step) * args.batch / (now - last)
            report("train", {k: sum(v) / len(v) for k, v in sums.items()} | {"rate": factor, "examples_per_s": rate})
            last, first_step, sums = now, trainer.step, {}
        if now - saved > args.save_minutes * 60:
            trainer.save()
            saved = now
        # The first one early, to know that evaluation and export work.
        if now - evaluated > args.eval_minutes * 60 or trainer.step == 200:
            evaluate()
            evaluated = last = time.time()
            first_step, sums = trainer.step, {}
    trainer.save()
    if not stopped:
        evaluate()


if __name__ == "__main__":
    main()
