"""The compact Sudoku reasoner: one MLP-Mixer block, used as both H and L, with adaptive halting.

Tensors are [batch, position, channel] unless said otherwise. Weights are float32; the block computes in the dtype of
its input, with float32 norms and gates.
"""

import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Share of the q head's loss in the whole.
Q_WEIGHT = 0.1


@dataclass(frozen=True)
class Config:
    """Sizes of the model; the defaults are those for 9x9 Sudoku."""

    vocab: int = 11
    positions: int = 81
    hidden: int = 128
    mixer_inner: int = 256
    channel_inner: int = 384
    h_cycles: int = 2
    l_cycles: int = 4


def trunc_normal(*shape: int, std: float = 1.0) -> Tensor:
    """Normal values of deviation `std`, cut at two deviations."""
    return nn.init.trunc_normal_(torch.empty(shape), std=std, a=-2 * std, b=2 * std)


def rms_norm(x: Tensor) -> Tensor:
    """RMS norm over the last axis in float32, without a weight."""
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


class Weight(nn.Module):
    """A linear map [out, in] without bias."""

    def __init__(self, rows: int, columns: int, std: float | None = None):
        super().__init__()
        std = 1 / math.sqrt(columns) if std is None else std
        self.weight = nn.Parameter(trunc_normal(rows, columns, std=std) if std else torch.zeros(rows, columns))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class GatedMlp(nn.Module):
    """`down(sigmoid(g) * rms_norm(g * v))` with `g, v = split(gate_up(x))`, over the last axis."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_up_proj = Weight(2 * inner, width)
        self.down_proj = Weight(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        # Split before widening: the gradient is then joined in the narrow type.
        g, v = (part.float() for part in self.gate_up_proj(x).chunk(2, dim=-1))
        return self.down_proj((torch.sigmoid(g) * rms_norm(g * v)).to(x.dtype))


class Block(nn.Module):
    """Mixes over positions, then over channels; a norm after each residual."""

    def __init__(self, c: Config):
        super().__init__()
        self.mlp_t = GatedMlp(c.positions, c.mixer_inner)
        self.mlp = GatedMlp(c.hidden, c.channel_inner)

    def forward(self, state: Tensor, *injected: Tensor) -> Tensor:
        h = state
        for other in injected:
            h = h + other
        h = rms_norm(h + self.mlp_t(h.transpose(1, 2)).transpose(1, 2))
        return rms_norm(h + self.mlp(h))


class Level(nn.Module):
    """A stack of blocks, here of one; it gives the parameters their names on disk."""

    def __init__(self, c: Config):
        super().__init__()
        self.layers = nn.ModuleList([Block(c)])


class Embedding(nn.Module):
    """A table [rows, hidden]."""

    def __init__(self, rows: int, hidden: int):
        super().__init__()
        self.embedding_weight = nn.Parameter(trunc_normal(rows, hidden, std=1 / math.sqrt(hidden)))


class QHead(nn.Module):
    """Logit of "the whole grid is right"; starts at a sure no."""

    def __init__(self, hidden: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, hidden))
        self.bias = nn.Parameter(torch.full((1,), -5.0))


class Compact(nn.Module):
    """The whole model; `segment` is one step of deep supervision."""

    def __init__(self, config: Config = Config(), dtype: torch.dtype = torch.float32):
        super().__init__()
        c = self.config = config
        self.dtype = dtype
        self.embed_tokens = Embedding(c.vocab, c.hidden)
        self.embed_pos = Embedding(c.positions, c.hidden)
        self.register_buffer("H_init", trunc_normal(c.hidden))
        self.register_buffer("L_init", trunc_normal(c.hidden))
        self.L_level = Level(c)
        self.lm_head = Weight(c.vocab, c.hidden)
        self.q_head = QHead(c.hidden)

    def initial(self, rows: int) -> tuple[Tensor, Tensor]:
        """The states z_H and z_L that every puzzle starts from."""
        shape = (rows, self.config.positions, self.config.hidden)
        return tuple(z.to(self.dtype).expand(shape).clone() for z in (self.H_init, self.L_init))

    def segment(self, z_h: Tensor, z_l: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z_H, z_L, logits [batch, position, vocab] and q_halt [batch]; gradient through the last three block calls."""
        c, block = self.config, self.L_level.layers[0]
        x = F.embedding(tokens, self.embed_tokens.embedding_weight) + self.embed_pos.embedding_weight
        x = (x * math.sqrt(c.hidden / 2)).to(self.dtype)
        with_gradient = torch.is_grad_enabled()
        for i in range(c.h_cycles):
            last = i + 1 == c.h_cycles
            for j in range(c.l_cycles):
                with torch.set_grad_enabled(with_gradient and last and j >= c.l_cycles - 2):
                    z_l = block(z_l, z_h, x)
            with torch.set_grad_enabled(with_gradient and last):
                z_h = block(z_h, z_l)
        logits = self.lm_head(z_h).float()
        q_halt = F.linear(z_h.float().mean(1), self.q_head.weight, self.q_head.bias)[:, 0]
        return z_h.detach(), z_l.detach(), logits, q_halt


def save_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes float32 and int32 tensors; a reader sees the old file or the new one, never half of it."""
    names = {np.dtype("float32"): "F32", np.dtype("int32"): "I32"}
    header, blobs, end = {}, [], 0
    for name, tensor in sorted(tensors.items()):
        a = np.ascontiguousarray(tensor.detach().numpy())
        start, end = end, end + a.nbytes
        header[name] = {"dtype": names[a.dtype], "shape": list(a.shape), "data_offsets": [start, end]}
        blobs.append(a.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    os.replace(part, path)


def expected_outputs(model: Compact, tokens: Tensor, segments: int) -> dict[str, Tensor]:
    """`inputs` and, for K = 1.., `segmentK.{logits, q_halt, z_H, z_L}` from the initial state, for parity tests."""
    out = {"inputs": tokens.int()}
    z_h, z_l = model.initial(len(tokens))
    with torch.no_grad():
        for k in range(1, segments + 1):
            z_h, z_l, logits, q_halt = model.segment(z_h, z_l, tokens)
            named = {"logits": logits, "q_halt": q_halt, "z_H": z_h, "z_L": z_l}
            out |= {f"segment{k}.{name}": t for name, t in named.items()}
    return out


def losses(logits: Tensor, q_halt: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy over all cells, and that of q_halt against "the whole grid is right"; means over the batch."""
    solved = (logits.argmax(-1) == targets).all(1)
    ce = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    return ce, F.binary_cross_entropy_with_logits(q_halt, solved.float())
