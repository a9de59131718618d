"""A training step of deep supervision with adaptive halting, on any device, without waiting for it.

On a GPU the whole step, from drawing puzzles to averaging weights, is captured once and replayed; the host only sets the
learning rate and reads sums now and then.
"""

import contextlib
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model import Config, cell_losses, halts
from optim import Adam, Flat, Muon, Sign
from relational import make
from sudoku import Sampler

# What `Trainer.report` returns, in the order of the device's sums.
MEASURES = ("loss", "q_loss", "cells", "exact", "finished", "finished_right", "finished_segments")


@dataclass(frozen=True)
class Settings:
    """How a model is trained, apart from the data and the schedule."""

    batch: int = 768
    optimizer: str = "muon"
    stablemax: bool = False
    q_weight: float = 0.1
    lr: float = 1e-3
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    puzzle_lr: float = 1e-4
    puzzle_decay: float = 1.0
    muon_lr: float = 0.02
    muon_decay: float = 0.005
    ema: float = 0.999

    @classmethod
    def paper(cls, **others) -> "Settings":
        """The HRM paper's run; with an average of the weights, which it does not have, unless `ema` is 0."""
        base = {"optimizer": "adam-atan2", "stablemax": True, "q_weight": 0.5, "lr": 1e-4, "weight_decay": 1.0}
        return cls(**(base | others))


class Trainer:
    """Weights, their average, optimisers and the rows of the batch with what they carry."""

    def __init__(self, config: Config, settings: Settings, sampler: Sampler, device: torch.device, dtype: torch.dtype):
        self.config, self.settings, self.sampler, self.device = config, settings, sampler, device
        self.model = make(config, dtype).to(device)
        self.optimizers = self._optimizers()
        self.average = [o.flat.values.clone() for o in self.optimizers]
        self.count = torch.zeros((), device=device)  # steps, as the optimisers and the average see them
        self.rate = torch.ones((), device=device)
        self.sums = torch.zeros(len(MEASURES), device=device)
        self.steps = 0
        n = settings.batch
        self.z_h, self.z_l = self.model.initial(n)
        self.tokens, self.targets = (torch.ones(n, config.seq_len, dtype=torch.long, device=device) for _ in range(2))
        self.segments = torch.zeros(n, dtype=torch.long, device=device)
        self.halted = torch.ones(n, dtype=torch.bool, device=device)
        self.replay = self.step
        self.losses = self._losses

    def _optimizers(self) -> list:
        s = self.settings
        groups: dict[str, list] = {"muon": [], "adam": [], "sign": []}
        for name, p in self.model.named_parameters():
            matrix = "layers." in name and s.optimizer == "muon"
            groups["sign" if name.startswith("puzzle_emb") else "muon" if matrix else "adam"].append((name, p))
        eps = None if s.optimizer == "adam-atan2" else 1e-8
        made = [Adam(Flat(groups["adam"]), s.lr, s.weight_decay, s.betas, eps)]
        if groups["muon"]:
            made.append(Muon(Flat(groups["muon"]), s.muon_lr, weight_decay=s.muon_decay))
        if groups["sign"]:
            made.append(Sign(Flat(groups["sign"]), s.puzzle_lr, s.puzzle_decay))
        return made

    def _losses(self, logits: Tensor, q: Tensor, next_q: Tensor | None, targets: Tensor, last: Tensor) -> tuple:
        """What is minimised; the cells' loss, the q losses; right cells [batch, cell]. Means over the batch."""
        targets = targets - self.config.first_answer
        right = logits.argmax(-1) == targets
        cells = cell_losses(logits, targets, self.settings.stablemax).mean()
        q_loss = F.binary_cross_entropy_with_logits(q[:, 0], right.all(1).float())
        if next_q is not None:
            best = torch.where(last, next_q[:, 0], next_q.amax(1)).sigmoid()
            q_loss = q_loss + F.binary_cross_entropy_with_logits(q[:, 1], best)
        return cells + self.settings.q_weight * q_loss, cells.detach(), q_loss.detach(), right

    def step(self) -> None:
        """One segment of every row and one update."""
        c, limit = self.config, self.config.halt_max_steps
        model, n = self.model, self.settings.batch
        # Every step draws a whole batch; rows that have halted take theirs of it, as in the reference.
        restart, fresh = self.halted[:, None], self.sampler.draw(n)
        for old, new in zip((self.tokens, self.targets), fresh):
            old.copy_(torch.where(restart, new, old))
        for old, new in zip((self.z_h, self.z_l), model.initial(n)):
            old.copy_(torch.where(restart[:, :, None], new, old))
        self.segments.masked_fill_(self.halted, 0).add_(1)

        z_h, z_l, logits, q = model.segment(self.z_h, self.z_l, self.tokens, fresh=self.halted)
        last = self.segments >= limit
        next_q = None
        if c.q_continue:
            # The value of continuing is that of the next segment's best choice, by the weights before the update.
            with torch.no_grad():
                next_q = model.segment(z_h, z_l, self.tokens)[3]
        loss, cells, q_loss, right = self.losses(logits, q, next_q, self.targets, last)
        flats = [o.flat for o in self.optimizers]
        gradients = torch.autograd.grad(loss, [p for flat in flats for p in flat.parameters])
        torch._foreach_copy_([g for flat in flats for g in flat.gradients], list(gradients))

        with torch.no_grad():
            self.z_h.copy_(z_h)
            self.z_l.copy_(z_l)
            explores = torch.rand(n, device=self.device) < c.halt_exploration_prob
            least = torch.randint(2, limit + 1, (n,), device=self.device).masked_fill(~explores, 0)
            done = (last | halts(q)) & (self.segments >= least)
            self.halted.copy_(done)
            self.count.add_(1)
            for optimizer in self.optimizers:
                optimizer.step(self.rate, self.count)
            if self.settings.ema > 0:
                # A short memory at first, so that the average leaves the initial weights behind.
                keep = ((1 + self.count) / (10 + self.count)).clamp(max=self.settings.ema)
                for mean, flat in zip(self.average, flats):
                    mean.lerp_(flat.values, 1 - keep)
            exact = right.all(1)
            measures = [cells, q_loss, right.float().mean(), exact.float().mean(), done.sum(), (done & exact).sum()]
            measures.append((self.segments * done).sum())
            self.sums.add_(torch.stack([m.float() for m in measures]))

    def prepare(self, compiled: bool, captured: bool) -> list[str]:
        """Compiles the modules and captures the step, where asked for; what fails is left out and said.

        Takes a few steps whose updates have a rate of zero; they touch the moments, so `load` comes after.
        """
        notes = []
        if compiled:
            for level in self.model.levels():
                level.compile(dynamic=False)
            self.losses = torch.compile(self._losses, dynamic=False)
            for optimizer in self.optimizers:
                if isinstance(optimizer, Adam):
                    optimizer.update = torch.compile(optimizer.update, dynamic=False)
        self.rate.zero_()
        try:
            self._warm_up()
        except Exception as error:  # whatever the compiler raises: train without it
            if not compiled:
                raise
            notes.append(f"without the compiler: {type(error).__name__}: {error}")
            torch.compiler.set_stance("force_eager")
            self._warm_up()
        if captured and self.device.type == "cuda":
            try:
                # The graph has memory of its own; what the first steps took would stay beside it.
                torch.cuda.empty_cache()
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    self.step()
                self.replay = graph.replay
                self.replay()
                torch.cuda.synchronize()
            except Exception as error:  # not every version can capture everything: train without
                with contextlib.suppress(Exception):  # the failed capture may be reported once more
                    torch.cuda.synchronize()
                self.replay = self.step
                notes.append(f"without graphs: {type(error).__name__}: {error}")
        self.reset_rows()
        return notes

    def _warm_up(self) -> None:
        if self.device.type != "cuda":
            self.step()
            return
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(aside)
        torch.cuda.synchronize()

    def reset_rows(self) -> None:
        """Every row is about to take a new puzzle; optimisers and average forget what they saw."""
        self.halted.fill_(True)
        for vector in [self.sums, self.count, *(m for o in self.optimizers for m in o.memory.values())]:
            vector.zero_()
        for mean, optimizer in zip(self.average, self.optimizers):
            mean.copy_(optimizer.flat.values)
        self.rate.fill_(1)

    def report(self, steps: int) -> dict[str, float]:
        """Means over the last `steps` steps; waits for the device."""
        sums = dict(zip(MEASURES, self.sums.tolist()))
        self.sums.zero_()
        finished = max(sums["finished"], 1)
        return {name: sums[name] / steps for name in MEASURES[:4]} | {
            "exact_at_halt": sums["finished_right"] / finished,
            "segments": sums["finished_segments"] / finished,
            "finished": sums["finished"],
        }

    def tensors(self, moments: torch.dtype) -> dict[str, Tensor]:
        """The averaged weights, the weights, the buffers, then the optimisers' memory in the type `moments`."""
        out = {}
        for mean, optimizer in zip(self.average, self.optimizers):
            out |= {f"average.{name}": t for name, t in optimizer.flat.named(mean).items()}
        out |= {f"average.{name}": t for name, t in self.buffers().items()}
        for optimizer in self.optimizers:
            out |= {f"raw.{name}": t for name, t in optimizer.flat.named(optimizer.flat.values).items()}
        for optimizer in self.optimizers:
            for kind, vector in optimizer.memory.items():
                named = optimizer.flat.named(vector)
                out |= {f"{kind}.{name}": t.to(moments) for name, t in named.items()}
        return out

    def buffers(self) -> dict[str, Tensor]:
        """The vectors that belong to the weights on disk and are not trained."""
        kept = self.model.state_dict()
        return {name: b for name, b in self.model.named_buffers() if name in kept}

    @torch.no_grad()
    def begin_with(self, weights: dict[str, Tensor]) -> None:
        """Takes a checkpoint's weights as those that training starts from."""
        for mean, optimizer in zip(self.average, self.optimizers):
            for name, target in optimizer.flat.named(optimizer.flat.values).items():
                target.copy_(weights[name])
            mean.copy_(optimizer.flat.values)
        for name, buffer in self.buffers().items():
            buffer.copy_(weights[name])

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Continues from `tensors`. The rows of the batch start anew: they are not part of a state."""

        def fill(prefix: str, targets: dict[str, Tensor]) -> None:
            for name, target in targets.items():
                target.copy_(tensors[f"{prefix}.{name}"].to(target.device))

        fill("average", self.buffers())
        for mean, optimizer in zip(self.average, self.optimizers):
            flat = optimizer.flat
            fill("average", flat.named(mean))
            fill("raw", flat.named(flat.values))
            for kind, vector in optimizer.memory.items():
                fill(kind, flat.named(vector))
        self.steps = steps
        self.count.fill_(steps)

    def run(self, until: float, rate, every: int = 10, ahead: int = 4):
        """Steps until the time `until`, yielding after each `every` of them; `rate()` is the factor on the rates.

        The host runs at most `ahead` yields in front of the device, so that the clock it looks at is the device's.
        """
        pending = []
        while time.time() < until:
            self.rate.fill_(rate())
            for _ in range(every):
                self.replay()
            self.steps += every
            if self.device.type == "cuda":
                pending.append(torch.cuda.Event())
                pending[-1].record()
                if len(pending) > ahead:
                    pending.pop(0).synchronize()
            yield
