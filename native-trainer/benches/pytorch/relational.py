"""The relational reasoner in plain PyTorch: a peer to check and to time against.

    python relational.py check ../../../tests/fixtures/relational
    python relational.py bench [--channels 32] [--gradient 6] [--bf16] [--compile]

`check` compares logits, states and gradients with the reference values.
`bench` times a training step without its optimiser: one segment of 64 puzzles
from carried states, loss and gradients, on one thread. Its counterpart is
`hrm bench train --preset relational --batch 64 --threads 1`.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-5
LIMIT = 10.0


def rms_norm(x):
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPS)).to(x.dtype)


def groups(rows, columns):
    """Members of every relation's groups, `[4, groups, side]`: a position is
    a (cell, symbol), the symbol running fastest."""
    side = rows * columns
    position = torch.arange(side**3)
    cell, symbol = position // side, position % side
    row, column = cell // side, cell % side
    box = row // rows * (side // columns) + column // columns
    keys = [row * side + symbol, column * side + symbol, box * side + symbol, cell]
    return torch.stack([key.argsort(stable=True).view(-1, side) for key in keys])


class Relational(nn.Module):
    def __init__(self, board, channels, message, inner):
        super().__init__()
        self.side = board[0] * board[1]
        self.message = message
        members = groups(*board)
        self.register_buffer("members", members)
        # The group of each position, by relation.
        of = torch.empty(4, self.side**3, dtype=torch.long)
        number = torch.arange(members.shape[1])[:, None].expand(-1, self.side)
        for relation in range(4):
            of[relation, members[relation].flatten()] = number.flatten()
        self.register_buffer("group_of", of)
        self.roles = nn.Parameter(torch.randn(3, channels))
        self.feedback = nn.Parameter(torch.randn(channels))
        self.relations = nn.Linear(channels, 8 * message, bias=False)
        self.gate_up = nn.Linear(channels + 4 * message, 2 * inner, bias=False)
        self.down = nn.Linear(inner, channels, bias=False)
        self.head = nn.Parameter(torch.randn(channels) * channels**-0.5)
        self.q_head = nn.Linear(channels, 1)
        self.h_init = nn.Parameter(torch.randn(channels), requires_grad=False)
        self.l_init = nn.Parameter(torch.randn(channels), requires_grad=False)

    def load(self, weights):
        names = {
            "roles": "embed_roles.weight",
            "feedback": "feedback.weight",
            "relations.weight": "layers.0.relations.weight",
            "gate_up.weight": "layers.0.mlp.gate_up_proj.weight",
            "down.weight": "layers.0.mlp.down_proj.weight",
            "head": "head.weight",
            "q_head.weight": "q_head.weight",
            "q_head.bias": "q_head.bias",
            "h_init": "H_init",
            "l_init": "L_init",
        }
        own = dict(self.named_parameters())
        with torch.no_grad():
            for name, theirs in names.items():
                own[name].copy_(weights[theirs])
        return {theirs: own[name] for name, theirs in names.items()}

    def layer(self, x):
        batch, n, _ = x.shape
        u = self.relations(x).view(batch, n, 4, 2, self.message)
        joined = [x]
        for r in range(4):
            picked = u[:, :, r][:, self.members[r]].float()
            weights = picked[..., 0, :].clamp(-LIMIT, LIMIT).exp()
            pooled = (weights * picked[..., 1, :]).sum(2) / weights.sum(2)
            joined.append(pooled[:, self.group_of[r]].to(x.dtype))
        gate, value = self.gate_up(torch.cat(joined, -1)).chunk(2, -1)
        return rms_norm(x + self.down(torch.sigmoid(gate) * rms_norm(gate * value)))

    def fresh(self, tokens):
        """Roles of all positions, and what is known before the first segment."""
        symbol = torch.arange(self.side)
        given = tokens[:, :, None]
        own = given == symbol + 2
        blank = (given == 1).expand_as(own)
        role = torch.where(blank, 0, torch.where(own, 1, 2)).flatten(1)
        known = torch.where(blank, 1.0 / self.side, own.float()).flatten(1)
        return role, known

    def answer(self, z_h):
        logits = (z_h @ self.head.to(z_h.dtype)).float()
        return logits.view(z_h.shape[0], -1, self.side)

    def segment(self, z_h, z_l, role, known, gradient, trace=None):
        x = self.roles[role] + known[..., None] * self.feedback
        x = x.to(z_h.dtype)
        kinds = "LLHLLH"
        for i, kind in enumerate(kinds):
            with torch.set_grad_enabled(torch.is_grad_enabled() and i >= 6 - gradient):
                if kind == "L":
                    z_l = self.layer(z_l + z_h + x)
                else:
                    z_h = self.layer(z_h + z_l)
                    if trace is not None:
                        trace.append(z_h)
        q = self.q_head(z_h.float().mean(1)).squeeze(-1)
        return z_h, z_l, self.answer(z_h), q


def loss_of(logits, q, labels):
    entropy = F.cross_entropy(logits.flatten(0, 1), labels.flatten() - 2)
    right = (logits.argmax(-1) + 2 == labels).all(-1).float()
    return entropy + 0.1 * F.binary_cross_entropy_with_logits(q, right), entropy


def check(folder):
    from safetensors.torch import load_file

    weights = load_file(f"{folder}/relational.weights.safetensors")
    expected = load_file(f"{folder}/relational.expected.safetensors")
    worst = 0.0

    def compare(found, name):
        nonlocal worst
        want = expected[name]
        off = ((found - want).abs().max() / want.abs().max()).item()
        worst = max(worst, off)
        print(f"{name:<40} {off:.2e}")

    for name, board in [("nine", (3, 3)), ("six", (2, 3))]:
        model = Relational(board, 16, 8, 32)
        named = model.load(weights)
        tokens = expected[f"{name}.inputs"].long()
        labels = expected[f"{name}.labels"].long()
        role, known = model.fresh(tokens)
        n = role.shape[1]
        start = [v.expand(len(tokens), n, -1) for v in (model.h_init, model.l_init)]
        with torch.no_grad():
            z_h, z_l = start
            p = known
            for segment in range(1, 4):
                z_h, z_l, logits, q = model.segment(z_h, z_l, role, p, 6)
                p = logits.softmax(-1).flatten(1)
                for what, found in [("logits", logits), ("q_halt", q), ("z_H", z_h), ("z_L", z_l)]:
                    compare(found, f"{name}.segment{segment}.{what}")
        if name != "nine":
            continue
        for gradient in (3, 6):
            model.zero_grad()
            _, _, logits, q = model.segment(*start, role, known, gradient)
            loss_of(logits, q, labels)[0].backward()
            for theirs, parameter in named.items():
                if parameter.grad is not None:
                    compare(parameter.grad, f"grad{gradient}.{theirs}")
    print(f"largest relative difference {worst:.2e}")


def bench(args):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    message = args.message or args.channels // 2
    model = Relational((3, 3), args.channels, message, 2 * args.channels)
    tokens = torch.randint(1, 11, (args.batch, 81))
    labels = torch.randint(2, 11, (args.batch, 81))
    role, known = model.fresh(tokens)
    states = [torch.randn(args.batch, role.shape[1], args.channels) for _ in range(2)]

    def forward(z_h, z_l, role, known):
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            _, _, logits, q = model.segment(z_h, z_l, role, known, args.gradient)
        return loss_of(logits, q, labels)[0]

    if args.compile:
        forward = torch.compile(forward)

    def step():
        model.zero_grad(set_to_none=True)
        forward(*states, role, known).backward()

    for _ in range(2):
        step()
    times = []
    for _ in range(args.steps):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    median = statistics.median(times)
    kind = "bf16" if args.bf16 else "f32"
    mode = "compiled" if args.compile else "eager"
    print(
        f"PyTorch {torch.__version__}, {kind}, {mode}, channels {args.channels}, gradient through "
        f"{args.gradient}: {median * 1e3:.1f} ms a step, {args.batch / median:.1f} rows a second"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check")
    checking.add_argument("folder")
    timing = commands.add_parser("bench")
    timing.add_argument("--channels", type=int, default=32)
    timing.add_argument("--message", type=int)
    timing.add_argument("--batch", type=int, default=64)
    timing.add_argument("--gradient", type=int, default=6)
    timing.add_argument("--steps", type=int, default=5)
    timing.add_argument("--bf16", action="store_true")
    timing.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.command == "check":
        check(args.folder)
    else:
        bench(args)


if __name__ == "__main__":
    main()
