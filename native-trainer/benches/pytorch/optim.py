"""The optimisers, on parameters laid out in one vector: a step is a few vector operations without any host in between.

Learning rates and step counts are tensors on the device, so that a step can be captured once and replayed.
"""

import math

import torch
from torch import Tensor, nn

# Offsets of parameters are multiples of this many elements: aligned for any vector load.
ALIGN = 64


class Flat:
    """Named parameters side by side in `values`, their gradients in `gradient`; the parameters become views of it."""

    def __init__(self, named: list[tuple[str, nn.Parameter]]):
        self.names, self.parameters = [n for n, _ in named], [p for _, p in named]
        self.places, end = [], 0
        for p in self.parameters:
            self.places.append((end, tuple(p.shape)))
            end += -(-p.numel() // ALIGN) * ALIGN
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        self.values = torch.zeros(end, device=device)
        self.gradient = torch.zeros(end, device=device)
        for p, view in zip(self.parameters, self.views(self.values)):
            view.copy_(p.data)
            p.data = view
        self.gradients = self.views(self.gradient)

    def views(self, vector: Tensor) -> list[Tensor]:
        """The parts of a vector of this layout, shaped like the parameters."""
        return [vector[at : at + math.prod(shape)].view(shape) for at, shape in self.places]

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """The same by parameter name."""
        return dict(zip(self.names, self.views(vector)))


class Muon:
    """Momentum, orthogonalised by Newton-Schulz steps, for the matrices of the modules."""

    def __init__(self, flat: Flat, lr: float, momentum: float = 0.95, weight_decay: float = 0.005):
        self.flat, self.lr, self.momentum, self.weight_decay = flat, lr, momentum, weight_decay
        self.memory = {"momentum": torch.zeros_like(flat.values)}
        # Matrices of one shape are orthogonalised together.
        self.groups: dict[tuple[int, ...], list[int]] = {}
        for i, (_, shape) in enumerate(flat.places):
            self.groups.setdefault(shape, []).append(i)

    def step(self, rate: Tensor, count: Tensor) -> None:
        """Moves the values along the gradient; `rate` scales the learning rate."""
        flat, buffer = self.flat, self.memory["momentum"]
        buffer.lerp_(flat.gradient, 1 - self.momentum)
        ahead = flat.views(flat.gradient.lerp(buffer, self.momentum))
        lr = self.lr * rate
        flat.values.mul_(1 - lr * self.weight_decay)
        values = flat.views(flat.values)
        for (rows, columns), members in self.groups.items():
            update = orthogonal(torch.stack([ahead[i] for i in members]))
            update *= -lr * math.sqrt(max(1.0, rows / columns))
            for i, u in zip(members, update):
                values[i].add_(u)


def orthogonal(g: Tensor) -> Tensor:
    """Five quintic Newton-Schulz steps towards the nearest orthogonal matrices, [n, rows, columns]; bf16 on a GPU."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[1] > g.shape[2]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    x = x.to(torch.bfloat16 if g.is_cuda else g.dtype)
    for _ in range(5):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return (x.mT if tall else x).to(g.dtype)


class Adam:
    """AdamATan2 (`eps` None) or AdamW, with decoupled weight decay."""

    def __init__(self, flat: Flat, lr: float, weight_decay: float, betas: tuple[float, float], eps: float | None):
        self.flat, self.lr, self.weight_decay, self.betas, self.eps = flat, lr, weight_decay, betas, eps
        self.memory = {name: torch.zeros_like(flat.values) for name in ("exp_avg", "exp_avg_sq")}
        self.update = adam_update

    def step(self, rate: Tensor, count: Tensor) -> None:
        """Moves the values along the gradient; `count` is the number of this step, from 1."""
        m, v = self.memory["exp_avg"], self.memory["exp_avg_sq"]
        settings = (self.betas, self.weight_decay, self.eps)
        self.update(self.flat.values, self.flat.gradient, m, v, self.lr * rate, count, settings)


def adam_update(p: Tensor, g: Tensor, m: Tensor, v: Tensor, lr: Tensor, count: Tensor, settings: tuple) -> None:
    """One step in place."""
    (b1, b2), decay, eps = settings
    m.lerp_(g, 1 - b1)
    v.mul_(b2).add_(g * g * (1 - b2))
    root = v.sqrt() / (1 - b2**count).sqrt()
    direction = torch.atan2(m, root) if eps is None else m / (root + eps)
    # atan2(m, root) takes the uncorrected first moment; the correction is a factor, as in the reference.
    first = 1 - b1**count
    p.mul_(1 - lr * decay).sub_(direction * (lr / first))


class Sign:
    """Steps along the sign of the gradient, with decoupled decay: the puzzle embedding's rule."""

    def __init__(self, flat: Flat, lr: float, weight_decay: float):
        self.flat, self.lr, self.weight_decay, self.memory = flat, lr, weight_decay, {}

    def step(self, rate: Tensor, count: Tensor) -> None:
        """Moves the values."""
        lr = self.lr * rate
        self.flat.values.mul_(1 - lr * self.weight_decay).sub_(self.flat.gradient.sign() * lr)
