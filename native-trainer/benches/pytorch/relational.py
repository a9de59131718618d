"""The relational reasoner: a state for every (cell, symbol), pooled over its row, column, box and cell.

Positions are cells in reading order, the symbol running fastest; tensors are [batch, position, channel].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import Config, GatedMlp, Model, QHead, Weight, rms_norm, trunc_normal

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4), 25: (5, 5)}
# Axes that a row, a column, a box and a cell span in [batch, band, row, stack, column, symbol, channel].
SPANS = ((3, 4), (1, 2), (2, 4), (5,))
SCORE_LIMIT = 10.0


class RelationsBlock(nn.Module):
    """Pools over every relation, then a gated MLP of the state and all messages; a norm after the residual."""

    def __init__(self, c: Config):
        super().__init__()
        self.eps, self.message, self.softmax = c.rms_norm_eps, c.message, c.pooling == "softmax"
        height, width = BOXES[c.side]
        self.board = (c.side // height, height, c.side // width, width, c.side)
        self.parts = 2 if self.softmax else 1
        self.relations = Weight(len(SPANS) * self.parts * c.message, c.hidden_size)
        joined = c.hidden_size + len(SPANS) * c.message
        self.mlp = GatedMlp(c, joined, c.channel_inner, c.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        parts = self.relations(x).view(b, *self.board, len(SPANS), self.parts, self.message).float()
        joined = [x]
        for i, span in enumerate(SPANS):
            values = parts[..., i, -1, :]
            if self.softmax:
                weights = parts[..., i, 0, :].clamp(-SCORE_LIMIT, SCORE_LIMIT).exp()
                pooled = (weights * values).sum(span, keepdim=True) / weights.sum(span, keepdim=True)
            else:
                pooled = values.mean(span, keepdim=True)
            joined.append(pooled.to(x.dtype).expand_as(values).reshape(b, n, self.message))
        return rms_norm(x + self.mlp(torch.cat(joined, dim=-1)), self.eps)


class RelationsLevel(nn.Module):
    """A stack of blocks: one recurrent module."""

    def __init__(self, c: Config, layers: int):
        super().__init__()
        self.layers = nn.ModuleList([RelationsBlock(c) for _ in range(layers)])

    def forward(self, h: Tensor, *injected: Tensor) -> Tensor:
        for other in injected:
            h = h + other
        for block in self.layers:
            h = block(h)
        return h


class Vectors(nn.Module):
    """A table, or one vector."""

    def __init__(self, *shape: int, std: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(trunc_normal(*shape, std=std))


class Relational(nn.Module):
    """The whole model, to be used like `Model`."""

    def __init__(self, config: Config, dtype: torch.dtype = torch.float32):
        super().__init__()
        c = self.config = config
        self.dtype = dtype
        self.embed_roles = Vectors(3, c.hidden_size)
        if c.feedback:
            self.feedback = Vectors(c.hidden_size)
        self.register_buffer("H_init", trunc_normal(c.hidden_size))
        self.register_buffer("L_init", trunc_normal(c.hidden_size))
        low = RelationsLevel(c, c.L_layers)
        if c.modules == "separate":
            self.L_level, self.H_level = low, RelationsLevel(c, c.H_layers)
            self._levels = (self.H_level, low)
        else:
            # The only module's layers have no module's name in front.
            self.layers = low.layers
            self._levels = (low, low)
        self.head = Vectors(c.hidden_size, std=c.hidden_size**-0.5)
        self.q_head = QHead(c.hidden_size, 1 + c.q_continue)

    def levels(self) -> list[RelationsLevel]:
        """The modules that there are, one or two."""
        return list(dict.fromkeys(self._levels))

    initial = Model.initial

    def roles(self, tokens: Tensor) -> Tensor:
        """Of every position: 0 the cell is blank, 1 given as this symbol, 2 given as another; [batch, cell, symbol]."""
        symbols = torch.arange(self.config.side, device=tokens.device) + self.config.first_answer
        others = torch.where(tokens[..., None] == symbols, 1, 2)
        return torch.where(tokens[..., None] == 1, 0, others)

    def logits(self, z_h: Tensor) -> Tensor:
        """[batch, cell, symbol]."""
        c = self.config
        return F.linear(z_h, self.head.weight[None].to(z_h.dtype)).float().view(-1, c.seq_len, c.side)

    def last_answer(self, z_h: Tensor, roles: Tensor, fresh: Tensor | None) -> Tensor:
        """Probabilities [batch, cell, symbol]; rows that are `fresh` know the givens only."""
        with torch.no_grad():
            own = self.logits(z_h).softmax(-1)
            if fresh is None:
                return own
            first = torch.where(roles == 0, 1 / self.config.side, (roles == 1).float())
            return torch.where(fresh[:, None, None], first, own)

    def embed(self, z_h: Tensor, tokens: Tensor, fresh: Tensor | None) -> Tensor:
        """The embedded puzzles with the last answers."""
        roles = self.roles(tokens)
        x = F.embedding(roles, self.embed_roles.weight)
        if self.config.feedback:
            x = x + self.last_answer(z_h, roles, fresh)[..., None] * self.feedback.weight
        return x.flatten(1, 2).to(self.dtype)

    def segment(
        self,
        z_h: Tensor,
        z_l: Tensor,
        tokens: Tensor,
        identifiers: Tensor | None = None,
        fresh: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `Model.segment`; there is no puzzle embedding that `identifiers` could pick from."""
        c = self.config
        high, low = self._levels
        embedded = self.embed(z_h, tokens, fresh)
        with_gradient = torch.is_grad_enabled()
        cycle = c.L_cycles + 1
        for i in range(c.H_cycles * cycle):
            tracked = with_gradient and i >= c.H_cycles * cycle - c.gradient_updates
            with torch.set_grad_enabled(tracked):
                if i % cycle < c.L_cycles:
                    z_l = low(z_l, z_h, embedded if tracked else embedded.detach())
                else:
                    z_h = high(z_h, z_l)
        pooled = z_h[:, 0].float() if c.q_pool == "first" else z_h.float().mean(1)
        q = F.linear(pooled, self.q_head.weight, self.q_head.bias)
        return z_h.detach(), z_l.detach(), self.logits(z_h), q


def make(config: Config, dtype: torch.dtype = torch.float32) -> Model | Relational:
    """The model of a configuration."""
    return (Relational if config.token_mixer == "relations" else Model)(config, dtype)
