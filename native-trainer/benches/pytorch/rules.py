"""Rules that choose one answer among several guesses at a puzzle, none of which looks at the solution.

The same rules as `core/src/reason/select.rs`, for many puzzles at once; ties go to the first guess.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Guesses:
    """Guesses at puzzles, each [puzzle, guess]; `grids` [puzzle, guess, 81]."""

    grids: Tensor
    halted: Tensor  # whether the model says at the end that it is done
    halted_at: Tensor  # first segment at which it said so; one past the last if never
    q_halt: Tensor
    residual: Tensor  # RMS change of z_H in the last segment
    solved: Tensor  # whether the rules accept the grid

    def first(self, k: int) -> "Guesses":
        """Only the first `k` guesses."""
        return Guesses(*(t[:, :k] for t in vars(self).values()))


def choose(g: Guesses) -> dict[str, Tensor]:
    """Index of the chosen guess of each puzzle, by rule."""
    n, k = g.halted.shape
    order = torch.arange(k, device=g.halted.device)
    weights = torch.randint(-(2**62), 2**62, (81,), generator=torch.Generator().manual_seed(7))
    names = (g.grids.long() * weights.to(g.grids.device)).sum(2)  # equal grids, equal sums
    voters = g.halted | ~g.halted.any(1, keepdim=True)
    votes = ((names[:, :, None] == names[:, None, :]) & voters[:, None, :]).sum(2)
    majority = (votes.masked_fill(~voters, -1) * k - order).argmax(1)
    verified = g.solved.any(1)
    return {
        "single": torch.zeros_like(majority),
        "majority": majority,
        "halt-first": (g.halted_at * k + order).argmin(1),
        "lowest-residual": g.residual.argmin(1),
        "q-head": g.q_halt.argmax(1),
        "verifier": torch.where(verified, (g.solved.long() * k - order).argmax(1), majority),
    }


def segments_spent(g: Guesses, segments: int) -> dict[str, float]:
    """Mean segments a puzzle costs by rule: all guesses in full, but for two rules.

    halt-first stops every guess when one halts; the verifier makes one guess after another until one passes.
    """
    n, k = g.halted.shape
    first = torch.where(g.solved.any(1), g.solved.long().argmax(1) + 1, k)
    spent = {"single": float(segments), "verifier": float(first.double().mean()) * segments}
    spent["halt-first"] = float(g.halted_at.amin(1).clamp(max=segments).double().mean()) * k
    return spent | {rule: float(k * segments) for rule in ("majority", "lowest-residual", "q-head")}


def wilson(successes: int, n: int) -> dict[str, float]:
    """A proportion with its 95 % Wilson interval."""
    z = 1.959963984540054
    if n == 0:
        return {"successes": 0, "n": 0, "value": 0.0, "low": 0.0, "high": 1.0}
    p, z2 = successes / n, z * z / n
    centre = (p + z2 / 2) / (1 + z2)
    half = z / (1 + z2) * math.sqrt(p * (1 - p) / n + z2 / (4 * n))
    return {"successes": successes, "n": n, "value": p, "low": max(centre - half, 0.0), "high": min(centre + half, 1.0)}
