"""One job of a chain that trains a model: starts from the last job's state, leaves a state for the next; see README.md."""

import argparse
import dataclasses
import json
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import torch

import state
import sudoku
from model import Config, load_safetensors
from trainer import Settings, Trainer

# Sizes of the compact reasoner: hidden, layers, and what else differs from the preset.
WIDE = {"H_cycles": 3, "L_cycles": 6, "gradient_updates": 7}
SIZES = {
    "tiny": Config.compact(32, L_cycles=2, halt_max_steps=4),
    "s": Config.compact(128),
    "m": Config.compact(256, 2),
    "l": Config.compact(384, 2, gradient_updates=5),
    "xl": Config.compact(512, 2, **WIDE),
}
MODELS = {f"compact-{name}": (config, Settings()) for name, config in SIZES.items()} | {
    "hrm": (Config.hrm(), Settings.paper()),
    "hrm-tiny": (dataclasses.replace(Config.hrm(32, 2, 1), halt_max_steps=4), Settings.paper()),
}


class Schedule:
    """The factor on the learning rates by the progress of the whole training, from 0 to 1 over all its jobs.

    A job takes the progress from where the last one left it to `until`, linearly in time from its first step to its
    deadline: what compiling takes shortens the training and never cuts the decay off. After a change of plan the
    remaining jobs are given other values of `until`.
    """

    def __init__(self, start: float, until: float, flat: float, end: float, warmup: int):
        self.start, self.until, self.flat, self.end, self.warmup = start, until, flat, end, warmup
        self.first = self.deadline = 0.0

    def begin(self, deadline: float) -> None:
        """The first step is now, the last one at the deadline."""
        self.first, self.deadline = time.time(), deadline

    def progress(self) -> float:
        """The progress now."""
        share = (time.time() - self.first) / max(self.deadline - self.first, 1e-3)
        return self.start + (self.until - self.start) * min(max(share, 0.0), 1.0)

    def factor(self, step: int) -> float:
        """1 up to the progress `flat`, then falling linearly to `end`; from 0 over the first `warmup` steps."""
        falls = (self.progress() - self.flat) / (1 - self.flat) if self.flat < 1 else 0.0
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return warm * (1 - (1 - self.end) * min(max(falls, 0.0), 1.0))


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", choices=MODELS, help="preset; not needed to continue")
    parser.add_argument("--data", type=Path, required=True, help="packed puzzles (pack.py)")
    parser.add_argument("--set", default="train", help="set of the packed puzzles to train on")
    parser.add_argument("--state", type=Path, required=True, help="folder of the state: continued from, and written")
    parser.add_argument("--from", dest="source", type=Path, help="state to continue from if --state holds none")
    parser.add_argument("--log", type=Path, required=True, help="folder for this job's log-STEP.jsonl")
    parser.add_argument("--minutes", type=float, required=True, help="minutes of this job, start to end")
    parser.add_argument("--until", type=float, required=True, help="progress at its end, of 1 over all jobs")
    parser.add_argument("--reserve", type=float, default=20.0, help="seconds at the end to write the state")
    parser.add_argument("--flat", type=float, default=0.6, help="progress from which the rate falls; 1: never")
    parser.add_argument("--end-rate", type=float, default=0.02, help="factor on the rate at progress 1")
    parser.add_argument("--warmup", type=int, default=0, help="steps of linear warm-up (the paper: 2000)")
    parser.add_argument("--hints", type=float, default=0.5, help="share of examples with blanks filled in")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lr", type=float, help="of AdamATan2, or of AdamW beside Muon")
    parser.add_argument("--muon-lr", type=float)
    parser.add_argument("--ema", type=float, help="decay of the averaged weights; 0 for none")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--init", type=Path, help="checkpoint whose weights a new run begins with")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="by default on a GPU")
    parser.add_argument("--no-graph", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-steps", type=int, default=200)
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--part-mib", type=float, default=state.PART_MIB, help="largest part of the state")
    return parser


def described(config: Config, settings: Settings, args: argparse.Namespace) -> Settings:
    """The settings with what the command line changes."""
    changes = {"batch": args.batch, "lr": args.lr, "muon_lr": args.muon_lr, "ema": args.ema}
    return dataclasses.replace(settings, **{k: v for k, v in changes.items() if v is not None})


def main() -> None:
    started, args = time.time(), arguments().parse_args()
    source = next((folder for folder in (args.state, args.source) if state.exists(folder)), None)
    tensors, facts = state.load(source) if source else ({}, {})
    if source:
        config = Config(**facts["config"])
        saved = facts["settings"]
        settings = Settings(**(saved | {"betas": tuple(saved["betas"])}))
    elif args.model:
        config, settings = MODELS[args.model]
    else:
        sys.exit("there is no state to continue from: say --model")
    settings = described(config, settings, args)
    device = torch.device(args.device)
    torch.manual_seed(args.seed + facts.get("step", 0))
    torch.set_float32_matmul_precision("high")
    sampler = sudoku.Sampler(*sudoku.load(args.data, args.set, device), args.hints)
    trainer = Trainer(config, settings, sampler, device, getattr(torch, args.dtype))
    compiled = device.type == "cuda" if args.compile is None else args.compile
    notes = trainer.prepare(compiled, captured=not args.no_graph)
    if source:
        trainer.load(tensors, facts["step"])
        del tensors
    elif args.init:
        trainer.begin_with(load_safetensors(args.init / "model.safetensors"))

    start = facts.get("progress", 0.0)
    schedule = Schedule(start, args.until, args.flat, args.end_rate, args.warmup)
    args.log.mkdir(parents=True, exist_ok=True)
    log = open(args.log / f"log-{trainer.steps:08}.jsonl", "a", buffering=1)

    def report(kind: str, values: dict) -> None:
        values = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        line = json.dumps({"kind": kind, "time": now, "step": trainer.steps} | values)
        print(line, flush=True)
        log.write(line + "\n")

    def save() -> None:
        now = {
            "step": trainer.steps,
            "progress": schedule.progress(),
            "examples": facts.get("examples", 0) + (trainer.steps - first_step) * settings.batch,
            "seconds": facts.get("seconds", 0.0) + time.time() - started,
            "config": dataclasses.asdict(config),
            "settings": dataclasses.asdict(settings),
            "hints": args.hints,
            "jobs": facts.get("jobs", 0) + 1,
        }
        state.save(args.state, trainer.tensors(torch.bfloat16), now, args.part_mib)

    first_step = trainer.steps
    parameters = sum(p.numel() for p in trainer.model.parameters())
    gflops = config.training_flops() / 1e9
    report(
        "start",
        {
            "from": str(source) if source else None,
            "progress": start,
            "until": args.until,
            "parameters": parameters,
            "gflop_per_example": gflops,
            "batch": settings.batch,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "torch": torch.__version__,
            "compiled": compiled,
            "graph": trainer.replay != trainer.step,
            "notes": notes,
            "preparation_s": time.time() - started,
        },
    )
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    deadline = started + 60 * args.minutes - args.reserve
    schedule.begin(deadline)
    since, since_step, saved_at = time.time(), trainer.steps, time.time()
    every = 10 if device.type == "cuda" else 1
    for _ in trainer.run(deadline, lambda: schedule.factor(trainer.steps), every):
        if trainer.steps - since_step >= args.log_steps:
            values = trainer.report(trainer.steps - since_step)
            now = time.time()
            rate = (trainer.steps - since_step) / (now - since)
            values |= {"rate": schedule.factor(trainer.steps), "progress": schedule.progress(), "steps_per_s": rate}
            values |= {"tflops": rate * settings.batch * gflops / 1e3}
            report("train", values)
            if not values["loss"] < float("inf"):
                sys.exit(f"the loss is {values['loss']} at step {trainer.steps}; the state before it is kept")
            since, since_step = time.time(), trainer.steps
        if time.time() - saved_at > 60 * args.save_minutes:
            save()
            saved_at = time.time()
        if stopped:
            break
    if device.type == "cuda":
        torch.cuda.synchronize()
    last = trainer.report(max(trainer.steps - since_step, 1))
    if not last["loss"] < float("inf"):
        sys.exit(f"the loss is {last['loss']} at step {trainer.steps}; the state before it is kept")
    save()
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None
    report("end", {"progress": schedule.progress(), "seconds": time.time() - started, "peak_gib": memory})


if __name__ == "__main__":
    main()
