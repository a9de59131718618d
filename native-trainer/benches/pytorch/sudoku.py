"""Sudoku rows as tokens: 0 pad, 1 blank, d + 1 for the digit d."""

import csv
import gzip
from pathlib import Path

import numpy as np


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Questions and answers of a `source,question,answer,rating` file, each [rows, 81] uint8 tokens."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as file:
        rows = [(row["question"].replace(".", "0"), row["answer"]) for row in csv.DictReader(file)]
    both = np.array([[list(q.encode()), list(a.encode())] for q, a in rows], dtype=np.uint8) - ord("0") + 1
    return both[:, 0], both[:, 1]


def reveal(rng: np.random.Generator, question: np.ndarray, answer: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Fills `share` [rows] of the blanks of each question, rounded down, from its answer."""
    blank = question == 1
    order = np.where(blank, rng.random(question.shape), 2.0).argsort(axis=1).argsort(axis=1)
    return np.where(order < (share * blank.sum(1)).astype(int)[:, None], answer, question)


def _line_order(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random orders [n, 9] of rows (or columns) that keep bands together."""
    bands = rng.random((n, 3)).argsort(1)
    within = rng.random((n, 3, 3)).argsort(2)
    return (bands[:, :, None] * 3 + within).reshape(n, 9)


def symmetries(rng: np.random.Generator, *grids: np.ndarray) -> list[np.ndarray]:
    """One random symmetry of Sudoku for each row, the same one for each of the `grids` [rows, 81]."""
    n = len(grids[0])
    rows, columns = _line_order(rng, n), _line_order(rng, n)
    source = rows[:, :, None] * 9 + columns[:, None, :]
    flipped = rng.random(n) < 0.5
    source[flipped] = source[flipped].transpose(0, 2, 1)
    source = source.reshape(n, 81)
    digits = np.concatenate([np.tile([0, 1], (n, 1)), rng.random((n, 9)).argsort(1) + 2], axis=1).astype(np.uint8)
    return [np.take_along_axis(digits, np.take_along_axis(grid, source, 1), 1) for grid in grids]


class Sampler:
    """Endless training examples: random rows under random symmetries, half of them with blanks filled in."""

    def __init__(self, paths: list[Path], seed: int):
        self.rng = np.random.default_rng(seed)
        parts = [read(path) for path in paths]
        self.questions, self.answers = (np.concatenate(part) for part in zip(*parts))

    def draw(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """`n` questions and answers, each [n, 81]."""
        pick = self.rng.integers(len(self.questions), size=n)
        question, answer = symmetries(self.rng, self.questions[pick], self.answers[pick])
        share = np.where(self.rng.random(n) < 0.5, self.rng.random(n), 0.0)
        return reveal(self.rng, question, answer, share), answer
