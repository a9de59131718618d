"""Times the PyTorch twin's training step, the counterpart of `hrm bench train`; prints one JSON object a line.

With `--rival COMMAND` the two programs alternate, so that what else the machine does hits both alike; the ratios of the
medians, by the clock and by processor time, are the last line.
"""

import argparse
import dataclasses
import json
import resource
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from model import Config
from trainer import Settings, Trainer

PRESETS = {
    "hrm": (Config.hrm(), Settings.paper()),
    "hrm-small": (Config.hrm(128, 4, 2), Settings.paper()),
    "compact": (Config.compact(), Settings()),
    "relational": (Config.relational(), Settings()),
}


class Noise:
    """Random questions and answers, drawn on the device."""

    def __init__(self, config: Config, device: torch.device):
        self.config, self.device = config, device

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        shape, c = (n, self.config.seq_len), self.config
        return tuple(torch.randint(low, c.vocab_size, shape, device=self.device) for low in (1, 2))


def measure(args: argparse.Namespace) -> dict:
    """Median, fastest and slowest step in milliseconds, after the warm-up."""
    device = torch.device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision(args.matmul)
    torch.manual_seed(0)
    config, settings = PRESETS[args.preset]
    if args.config:
        config = Config.from_json(args.config.read_text())
    if args.no_q_target:
        config = dataclasses.replace(config, q_continue=False)
    settings = dataclasses.replace(settings, batch=args.batch)
    trainer = Trainer(config, settings, Noise(config, device), device, getattr(torch, args.dtype))
    began = time.perf_counter()
    notes = trainer.prepare(args.compile, captured=args.graph)
    prepared = time.perf_counter() - began

    def wait() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    times = []
    for i in range(args.warmup + args.steps):
        if i == args.warmup:
            cpu = time.process_time()
        start = wait()
        trainer.replay()
        if i >= args.warmup:
            times.append(1e3 * (wait() - start))
    cpu = time.process_time() - cpu
    report = trainer.report(args.warmup + args.steps)
    median = statistics.median(times)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "engine": f"PyTorch {torch.__version__}",
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "mode": "+".join(k for k, on in (("compiled", args.compile), ("graph", trainer.replay != trainer.step)) if on)
        or "eager",
        "preset": str(args.config or args.preset),
        "batch": args.batch,
        "dtype": args.dtype,
        "q_target": config.q_continue,
        "steps": args.steps,
        "median_ms": median,
        "min_ms": min(times),
        "max_ms": max(times),
        "cpu_ms": 1e3 * cpu / args.steps,
        "puzzle_steps_per_second": 1e3 * args.batch / median,
        "tflops": config.training_flops() * args.batch / median / 1e9,
        "peak_bytes": peak,
        "preparation_s": prepared,
        "loss": report["loss"],
        "notes": notes,
    }


def alternate(args: argparse.Namespace) -> None:
    """Runs this program and the rival in turn, and compares the medians of their medians."""
    own = [a for a in sys.argv[1:]]
    at = own.index("--rival")
    own = [sys.executable, __file__, *own[:at], *own[at + 2 :], "--rounds", "1"]
    sides = {"rival": shlex.split(args.rival), "pytorch": own}
    found: dict[str, list[dict]] = {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, command in sides.items():
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stderr}")
            line = done.stdout.strip().splitlines()[-1]
            print(line, flush=True)
            found[name].append(json.loads(line))
    out = {}
    for measure in ("median_ms", "cpu_ms"):
        if any(line.get(measure) is None for lines in found.values() for line in lines):
            continue
        ours, theirs = (statistics.median(line[measure] for line in found[name]) for name in sides)
        out[measure] = {"rival": ours, "pytorch": theirs, "speed_of_rival": theirs / ours}
    print(json.dumps(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="hrm")
    parser.add_argument("--config", type=Path, help="config.json instead of the preset's architecture")
    parser.add_argument("--batch", type=int, default=768)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--matmul", choices=("highest", "high"), default="high", help="highest: no TF32 in float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--graph", action="store_true", help="capture the step on a GPU")
    parser.add_argument("--no-q-target", action="store_true", help="without the second forward and its loss")
    parser.add_argument("--threads", type=int, help="of a CPU")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rival", metavar="COMMAND", help="a program that prints such a line, to alternate with")
    parser.add_argument("--rounds", type=int, default=3, help="of the alternation")
    args = parser.parse_args()
    if args.rival:
        alternate(args)
    else:
        print(json.dumps(measure(args)))


if __name__ == "__main__":
    main()
