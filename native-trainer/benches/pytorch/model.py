"""The models of this project in PyTorch, from the same `config.json`: HRM, the compact reasoner and what lies between.

Tensors are [batch, position, channel] unless said otherwise. Weights are float32; the modules compute in the dtype of
their input, with float32 norms and normalised gates.
"""

import json
import math
import os
import struct
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Deviation of a unit normal cut at two of its deviations.
CUT_STD = 0.8796256610342398


@dataclass(frozen=True)
class Config:
    """The fields of `config.json` (docs/formats.md); the defaults are the preset `compact`."""

    puzzle: str = "sudoku-9x9"
    seq_len: int = 81
    vocab_size: int = 11
    puzzle_emb_ndim: int = 0
    puzzle_emb_len: int | None = None
    num_puzzle_identifiers: int = 1
    hidden_size: int = 128
    num_heads: int = 1
    expansion: float = 4.0
    H_cycles: int = 2
    L_cycles: int = 4
    H_layers: int = 1
    L_layers: int = 1
    pos_encodings: str = "learned"
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    halt_max_steps: int = 16
    halt_exploration_prob: float = 0.1
    modules: str = "shared"
    token_mixer: str = "mlp"
    token_inner: int | None = 256
    mixer_norm: str = "channels"
    mlp_inner: int | None = 384
    gate: str = "normalized_sigmoid"
    q_pool: str = "mean"
    q_continue: bool = False
    gradient_updates: int = 3
    damping: float | None = None
    message: int | None = None
    pooling: str = "softmax"
    feedback: bool = False

    @classmethod
    def hrm(cls, hidden: int = 512, heads: int = 8, layers: int = 4) -> "Config":
        """The paper's HRM for 9x9 Sudoku, or a smaller one."""
        return cls(
            puzzle_emb_ndim=hidden,
            hidden_size=hidden,
            num_heads=heads,
            L_cycles=2,
            H_layers=layers,
            L_layers=layers,
            pos_encodings="rope",
            modules="separate",
            token_mixer="attention",
            token_inner=None,
            mlp_inner=None,
            gate="silu",
            q_pool="first",
            q_continue=True,
            gradient_updates=2,
        )

    @classmethod
    def compact(cls, hidden: int = 128, layers: int = 1, **others) -> "Config":
        """The compact reasoner; `token_inner` and `mlp_inner` follow the hidden size unless given."""
        sizes = {"hidden_size": hidden, "token_inner": 2 * hidden, "mlp_inner": 3 * hidden}
        return cls(**(sizes | {"H_layers": layers, "L_layers": layers} | others))

    @classmethod
    def relational(cls, hidden: int = 32, **others) -> "Config":
        """The relational reasoner; `message` and `mlp_inner` follow the hidden size unless given."""
        sizes = {"hidden_size": hidden, "message": hidden // 2, "mlp_inner": 2 * hidden, "token_inner": None}
        kind = {"token_mixer": "relations", "pos_encodings": "none", "L_cycles": 2, "gradient_updates": 6}
        return cls(**(sizes | kind | {"feedback": True} | others))

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Reads `config.json`, or a file that has the same under `config`; what is left out is HRM's, as in Rust."""
        values = json.loads(text)
        values = values.get("config", values)
        known = {f.name for f in fields(cls)}
        hidden = values["hidden_size"]
        absent = asdict(cls.hrm(hidden)) | {"puzzle_emb_ndim": 0, "num_heads": 1}
        return cls(**(absent | {name: value for name, value in values.items() if name in known}))

    def to_json(self) -> str:
        """`config.json`; fields without a value are left out."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None}, indent=2) + "\n"

    @property
    def prefix(self) -> int:
        """Positions in front of the cells."""
        return (self.puzzle_emb_len or 1) if self.puzzle_emb_ndim > 0 else 0

    @property
    def side(self) -> int:
        """Symbols of a cell."""
        return math.isqrt(self.seq_len)

    @property
    def first_answer(self) -> int:
        """The token that a cell's first logit stands for."""
        return 2 if self.token_mixer == "relations" else 0

    @property
    def positions(self) -> int:
        """Positions that the modules see."""
        return self.seq_len * self.side if self.token_mixer == "relations" else self.seq_len + self.prefix

    @property
    def channel_inner(self) -> int:
        """Inner width of the MLP over the channels."""
        return self.mlp_inner or -(-round(self.expansion * self.hidden_size * 2 / 3) // 256) * 256

    def layer_flops(self) -> float:
        """Floating-point operations of one block on one puzzle, counted as the Rust plan does."""
        n, d = self.positions, self.hidden_size
        if self.token_mixer == "relations":
            messages = 4 * self.message
            return 2 * n * (2 * d * messages + (d + messages) * 2 * self.channel_inner + self.channel_inner * d)
        mixing = 8 * n * d * d + 4 * n * n * d if self.token_mixer == "attention" else 6 * d * n * self.token_inner
        return mixing + 6 * n * d * self.channel_inner

    def training_flops(self) -> float:
        """Those of a training step on one puzzle: forward, the second forward of the q target, backward."""
        h, l = self.H_cycles * self.H_layers, self.H_cycles * self.L_cycles * self.L_layers
        back, cycle = 0, self.L_cycles + 1
        for i in range(self.H_cycles * cycle - self.gradient_updates, self.H_cycles * cycle):
            back += self.H_layers if i % cycle == self.L_cycles else self.L_layers
        logits = 1 if self.token_mixer == "relations" else self.vocab_size
        heads = 2 * self.positions * self.hidden_size * logits
        forwards = 2 if self.q_continue else 1
        return (forwards * (h + l) + 2 * back) * self.layer_flops() + (forwards + 2) * heads


def trunc_normal(*shape: int, std: float = 1.0) -> Tensor:
    """Normal values cut at two deviations of the underlying normal, of deviation `std` after the cut."""
    wide = std / CUT_STD
    return nn.init.trunc_normal_(torch.empty(shape), std=wide, a=-2 * wide, b=2 * wide)


def rms_norm(x: Tensor, eps: float) -> Tensor:
    """RMS norm over the last axis in float32, without a weight."""
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


class Weight(nn.Module):
    """A linear map [out, in] without bias."""

    def __init__(self, rows: int, columns: int):
        super().__init__()
        self.weight = nn.Parameter(trunc_normal(rows, columns, std=1 / math.sqrt(columns)))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class GatedMlp(nn.Module):
    """A gated MLP over the last axis, to `out` channels or as many as there were: `down(silu(g) * v)`, or
    `down(sigmoid(g) * rms_norm(g * v))`."""

    def __init__(self, c: Config, width: int, inner: int, out: int | None = None):
        super().__init__()
        self.normalized, self.eps = c.gate == "normalized_sigmoid", c.rms_norm_eps
        self.gate_up_proj = Weight(2 * inner, width)
        self.down_proj = Weight(out or width, inner)

    def forward(self, x: Tensor) -> Tensor:
        gate_up, down = (m.weight.to(x.dtype) for m in (self.gate_up_proj, self.down_proj))
        width, out = x.shape[-1], len(down)
        # Matrix units want rows of whole 16 bytes; 81 positions are none. Zeros change nothing.
        if odd := x.is_cuda and -width % 8:
            x, gate_up, down = F.pad(x, (0, odd)), F.pad(gate_up, (0, odd)), F.pad(down, (0, 0, 0, odd))
        # Split before widening: the gradient is then joined in the narrow type.
        g, v = F.linear(x, gate_up).chunk(2, dim=-1)
        if self.normalized:
            g, v = g.float(), v.float()
            inner = (torch.sigmoid(g) * rms_norm(g * v, self.eps)).to(x.dtype)
        else:
            inner = F.silu(g) * v
        return F.linear(inner, down)[..., :out]


class Attention(nn.Module):
    """Multi-head self-attention without mask or bias, with rotary positions where the model has them."""

    def __init__(self, c: Config):
        super().__init__()
        self.heads = c.num_heads
        self.qkv_proj = Weight(3 * c.hidden_size, c.hidden_size)
        self.o_proj = Weight(c.hidden_size, c.hidden_size)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv_proj(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if rotary is not None:
            q, k = turned(q, *rotary), turned(k, *rotary)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.o_proj(mixed.transpose(1, 2).reshape(b, n, d))


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [.., position, channel] in rotate-half layout, in float32."""
    y = x.float()
    a, b = y.chunk(2, dim=-1)
    return (y * cos + torch.cat([-b, a], dim=-1) * sin).to(x.dtype)


class Block(nn.Module):
    """Mixes over positions, then over channels; a norm after each residual."""

    def __init__(self, c: Config):
        super().__init__()
        self.eps, self.over_positions = c.rms_norm_eps, c.mixer_norm == "positions"
        if c.token_mixer == "attention":
            self.self_attn = Attention(c)
        else:
            self.mlp_t = GatedMlp(c, c.positions, c.token_inner)
        self.mlp = GatedMlp(c, c.hidden_size, c.channel_inner)

    def forward(self, h: Tensor, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        if hasattr(self, "self_attn"):
            mixed = self.self_attn(h, rotary)
        else:
            mixed = self.mlp_t(h.transpose(1, 2)).transpose(1, 2)
        h = h + mixed
        if self.over_positions:
            h = rms_norm(h.transpose(1, 2), self.eps).transpose(1, 2)
        else:
            h = rms_norm(h, self.eps)
        return rms_norm(h + self.mlp(h), self.eps)


class Level(nn.Module):
    """A stack of blocks: one recurrent module."""

    def __init__(self, c: Config, layers: int):
        super().__init__()
        self.layers = nn.ModuleList([Block(c) for _ in range(layers)])

    def forward(self, h: Tensor, rotary: tuple[Tensor, Tensor] | None, *injected: Tensor) -> Tensor:
        for other in injected:
            h = h + other
        for block in self.layers:
            h = block(h, rotary)
        return h


class Embedding(nn.Module):
    """A table [rows, hidden]."""

    def __init__(self, rows: int, hidden: int):
        super().__init__()
        self.embedding_weight = nn.Parameter(trunc_normal(rows, hidden, std=1 / math.sqrt(hidden)))


class PuzzleEmbedding(nn.Module):
    """A table [puzzles, hidden], zero at first."""

    def __init__(self, rows: int, hidden: int):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(rows, hidden))


class QHead(nn.Module):
    """Logits of "the whole grid is right" and, with two outputs, of going on; starts at a sure no."""

    def __init__(self, hidden: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, hidden))
        self.bias = nn.Parameter(torch.full((outputs,), -5.0))


class Model(nn.Module):
    """The whole model; `segment` is one step of deep supervision."""

    def __init__(self, config: Config = Config(), dtype: torch.dtype = torch.float32):
        super().__init__()
        c = self.config = config
        self.dtype = dtype
        self.embed_tokens = Embedding(c.vocab_size, c.hidden_size)
        if c.pos_encodings == "learned":
            self.embed_pos = Embedding(c.positions, c.hidden_size)
        if c.prefix:
            self.puzzle_emb = PuzzleEmbedding(c.num_puzzle_identifiers, c.hidden_size)
        self.register_buffer("H_init", trunc_normal(c.hidden_size))
        self.register_buffer("L_init", trunc_normal(c.hidden_size))
        self.L_level = Level(c, c.L_layers)
        if c.modules == "separate":
            self.H_level = Level(c, c.H_layers)
        self.lm_head = Weight(c.vocab_size, c.hidden_size)
        self.q_head = QHead(c.hidden_size, 1 + c.q_continue)
        if c.pos_encodings == "rope":
            half = c.hidden_size // c.num_heads // 2
            angles = torch.arange(c.positions)[:, None] * c.rope_theta ** (-torch.arange(half) / half)
            self.register_buffer("cos", angles.cos().repeat(1, 2), persistent=False)
            self.register_buffer("sin", angles.sin().repeat(1, 2), persistent=False)

    def levels(self) -> list[Level]:
        """The modules that there are, one or two."""
        return [m for m in self.children() if isinstance(m, Level)]

    def initial(self, rows: int) -> tuple[Tensor, Tensor]:
        """The states z_H and z_L that every puzzle starts from."""
        shape = (rows, self.config.positions, self.config.hidden_size)
        return tuple(z.to(self.dtype).expand(shape).clone() for z in (self.H_init, self.L_init))

    def embed(self, tokens: Tensor, identifiers: Tensor | None = None) -> Tensor:
        """The embedded puzzles; `tokens` are [batch, cell], `identifiers` [batch] rows of the puzzle embedding, or row 0."""
        c = self.config
        x, scale = F.embedding(tokens, self.embed_tokens.embedding_weight), math.sqrt(c.hidden_size)
        if c.prefix:
            rows = tokens.new_zeros(len(x)) if identifiers is None else identifiers
            first = F.embedding(rows, self.puzzle_emb.weights)[:, None]
            x = torch.cat([F.pad(first, (0, 0, 0, c.prefix - 1)), x], dim=1)
        if c.pos_encodings == "learned":
            x, scale = x + self.embed_pos.embedding_weight, scale / math.sqrt(2)
        return (x * scale).to(self.dtype)

    def segment(
        self,
        z_h: Tensor,
        z_l: Tensor,
        tokens: Tensor,
        identifiers: Tensor | None = None,
        fresh: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z_H, z_L, logits [batch, cell, vocab] and q [batch, outputs]; gradient through the last updates only.

        `fresh` [batch] says which rows have run no segment yet, for models that are given their last answer.
        """
        c = self.config
        low = self.L_level
        high = self.H_level if c.modules == "separate" else low
        rotary = (self.cos, self.sin) if c.pos_encodings == "rope" else None
        embedded = self.embed(tokens, identifiers)
        with_gradient = torch.is_grad_enabled()
        share = c.damping or 1.0
        cycle = c.L_cycles + 1
        for i in range(c.H_cycles * cycle):
            tracked = with_gradient and i >= c.H_cycles * cycle - c.gradient_updates
            with torch.set_grad_enabled(tracked):
                if i % cycle < c.L_cycles:
                    # Detached: one compiled version for all calls without gradient.
                    new = low(z_l, rotary, z_h, embedded if tracked else embedded.detach())
                    z_l = new if share == 1.0 else (1 - share) * z_l + share * new
                else:
                    new = high(z_h, rotary, z_l)
                    z_h = new if share == 1.0 else (1 - share) * z_h + share * new
        logits = self.lm_head(z_h[:, c.prefix :]).float()
        pooled = z_h[:, 0].float() if c.q_pool == "first" else z_h.float().mean(1)
        return z_h.detach(), z_l.detach(), logits, F.linear(pooled, self.q_head.weight, self.q_head.bias)


def halts(q: Tensor) -> Tensor:
    """Whether the model says that it is done, by its q logits [batch, outputs]."""
    return q[:, 0] > (q[:, 1] if q.shape[1] > 1 else 0.0)


def cell_losses(logits: Tensor, targets: Tensor, stablemax: bool) -> Tensor:
    """Cross entropy of each cell: of stablemax in float64 (HRM), or of softmax."""
    if not stablemax:
        return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
    x = logits.double()
    # Clamped: the branch not taken must not divide by zero, or its gradient is no number.
    s = torch.where(x < 0, 1 / (1 - x.clamp(max=0)), x + 1)
    chosen = s.gather(-1, targets[..., None]).squeeze(-1)
    return (s.sum(-1) / chosen).log().flatten().float()


def losses(logits: Tensor, q_halt: Tensor, targets: Tensor, stablemax: bool = False) -> tuple[Tensor, Tensor]:
    """The cells' loss, and that of q_halt [batch] against "the whole grid is right"; means over the batch.

    `targets` [batch, cell] number the logits.
    """
    solved = (logits.argmax(-1) == targets).all(1)
    ce = cell_losses(logits, targets, stablemax).mean()
    return ce, F.binary_cross_entropy_with_logits(q_halt, solved.float())


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file; those in eight bits as the float32 numbers that they stand for."""
    kinds = {"F32": "float32", "I32": "int32", "I8": "int8", "U8": "uint8", "BOOL": "bool", "I64": "int64"}
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + i for i in entry["data_offsets"])
        values = np.frombuffer(data[start:end], dtype=kinds[entry["dtype"]]).reshape(entry["shape"])
        out[name] = torch.from_numpy(values.copy())
    # Eight-bit weights have a factor for each row.
    for name in [n for n in out if out[n].dtype == torch.int8]:
        out[name] = out[name].float() * out.pop(f"{name}.scale")[:, None]
    return out


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


def expected_outputs(model: Model, tokens: Tensor, segments: int) -> dict[str, Tensor]:
    """`inputs` and, for K = 1.., `segmentK.{logits, q_halt, z_H, z_L}` from the initial state, for parity tests."""
    out = {"inputs": tokens.int()}
    z_h, z_l = model.initial(len(tokens))
    with torch.no_grad():
        for k in range(1, segments + 1):
            fresh = torch.full(tokens.shape[:1], k == 1, device=tokens.device)
            z_h, z_l, logits, q = model.segment(z_h, z_l, tokens, fresh=fresh)
            named = {"logits": logits, "q_halt": q[:, 0], "z_H": z_h, "z_L": z_l}
            if q.shape[1] > 1:
                named["q_continue"] = q[:, 1]
            out |= {f"segment{k}.{name}": t for name, t in named.items()}
    return out
