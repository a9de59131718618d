"""Sudoku rows as tokens (0 pad, 1 blank, d + 1 for the digit d), and what is done to them, on any device.

Nothing here waits for the device: every draw can be captured and replayed.
"""

import csv
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def read(path: Path) -> np.ndarray:
    """Questions and answers of a `source,question,answer,rating` file, [rows, 2, 81] uint8 tokens."""
    opener = gzip.open if path.suffix == ".gz" else open
    rows = []
    with opener(path, "rt", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            pair = [row["question"].replace(".", "0"), row["answer"]]
            if any(len(grid) != 81 or not grid.isdigit() for grid in pair):
                raise SystemExit(f"{path}, line {line}: not a 9x9 Sudoku")
            rows.append([list(grid.encode()) for grid in pair])
    return np.array(rows, dtype=np.uint8) - ord("0") + 1


def pack(out: Path, sets: dict[str, list[Path]]) -> None:
    """Writes each set, read from its CSV files, as one array of a small compressed file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.concatenate([read(path) for path in paths]) for name, paths in sets.items()}
    np.savez_compressed(out, **arrays)


def load(path: Path, name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Questions and answers [rows, 81], uint8, of a set of a packed file."""
    with np.load(path) as arrays:
        if name not in arrays:
            raise SystemExit(f"{path}: has no set {name!r}, only {', '.join(arrays)}")
        both = torch.from_numpy(arrays[name]).to(device)
    return both[:, 0].contiguous(), both[:, 1].contiguous()


def reveal(question: Tensor, answer: Tensor, share: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Fills `share` [rows] of the blanks of each question, rounded down, from its answer."""
    blank = question == 1
    keys = torch.rand(question.shape, device=question.device, generator=generator)
    keys = keys.masked_fill(~blank, 2.0)
    count = (share * blank.sum(1)).long()[:, None]
    # The `count` smallest keys are those below the next one.
    limit = keys.sort(dim=1).values.gather(1, count.clamp(max=keys.shape[1] - 1))
    return torch.where(keys < limit, answer, question)


def _line_order(n: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Random orders [n, 9] of rows (or columns) that keep bands together."""
    bands = torch.rand(n, 3, device=device, generator=generator).argsort(1)
    within = torch.rand(n, 3, 3, device=device, generator=generator).argsort(2)
    return (bands[:, :, None] * 3 + within).view(n, 9)


class Symmetries:
    """A random symmetry of Sudoku for each row."""

    def __init__(self, n: int, device: torch.device, generator: torch.Generator | None = None):
        rows, columns = (_line_order(n, device, generator) for _ in range(2))
        source = rows[:, :, None] * 9 + columns[:, None, :]
        flipped = torch.rand(n, 1, 1, device=device, generator=generator) < 0.5
        self.source = torch.where(flipped, source.mT, source).reshape(n, 81)
        digits = torch.rand(n, 9, device=device, generator=generator).argsort(1) + 2
        self.digits = torch.cat([torch.arange(2, device=device).expand(n, 2), digits], dim=1)

    def without(self, rows: Tensor) -> "Symmetries":
        """The identity for the `rows` [n] that are true."""
        device, rows = self.source.device, rows[:, None]
        self.source = torch.where(rows, torch.arange(81, device=device), self.source)
        self.digits = torch.where(rows, torch.arange(11, device=device), self.digits)
        return self

    def only_digits(self) -> "Symmetries":
        """Cells stay where they are."""
        self.source = torch.arange(81, device=self.source.device).expand_as(self.source)
        return self

    def apply(self, grids: Tensor) -> Tensor:
        """The images of `grids` [n, 81], int64."""
        return self.digits.gather(1, grids.long().gather(1, self.source))

    def undo(self, grids: Tensor) -> Tensor:
        """The originals of images."""
        return self.digits.argsort(1).gather(1, torch.zeros_like(grids).scatter(1, self.source, grids))


class Sampler:
    """Endless training examples: random rows under random symmetries, a share of them with blanks filled in."""

    def __init__(self, questions: Tensor, answers: Tensor, hints: float):
        self.questions, self.answers, self.hints = questions, answers, hints

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """`n` questions and answers, each [n, 81], int64."""
        device = self.questions.device
        pick = torch.randint(len(self.questions), (n,), device=device)
        symmetries = Symmetries(n, device)
        question, answer = (symmetries.apply(grids[pick]) for grids in (self.questions, self.answers))
        if self.hints == 0:
            return question, answer
        uniform = torch.rand(2, n, device=device)
        return reveal(question, answer, torch.where(uniform[0] < self.hints, uniform[1], 0.0)), answer


def _units() -> Tensor:
    """The cells of the 27 rows, columns and boxes, [27, 9]."""
    cells = torch.arange(81).view(9, 9)
    boxes = cells.view(3, 3, 3, 3).transpose(1, 2).reshape(9, 9)
    return torch.cat([cells, cells.T, boxes])


UNITS = _units()


def solved(question: Tensor, grid: Tensor) -> Tensor:
    """Whether each grid [n, 81] is complete, breaks no rule and keeps the givens: no answer is looked at."""
    units = grid[:, UNITS.to(grid.device)].sort(dim=2).values
    complete = (units == torch.arange(2, 11, device=grid.device)).all(2).all(1)
    return complete & ((question == 1) | (question == grid)).all(1)
