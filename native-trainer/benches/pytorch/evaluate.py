"""The last job of a chain: accuracy of the averaged weights of a state, by every selection rule; see README.md."""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from torch import Tensor

import state
import sudoku
from model import Config, Model, halts
from relational import Relational, make
from rules import Guesses, choose, segments_spent, wilson
from sudoku import Symmetries


def load_model(folder: Path, prefix: str, device: torch.device, dtype: torch.dtype) -> tuple[Model | Relational, dict]:
    """The weights of a state under `average` or `raw`, and the state's facts."""
    # Vectors that are not trained are kept once, beside the average.
    buffers = {"average.H_init", "average.L_init"}
    tensors, facts = state.load(folder, lambda name: name.startswith(prefix + ".") or name in buffers)
    model = make(Config(**facts["config"]), dtype)
    model.load_state_dict({name.split(".", 1)[1]: t.float() for name, t in tensors.items()})
    return model.to(device).eval(), facts


class Reasoner:
    """Runs batches of one size."""

    def __init__(self, model: Model | Relational, segments: int, batch: int):
        self.model, self.segments, self.batch = model, segments, batch

    @torch.no_grad()
    def run(self, questions: Tensor, symmetries: Symmetries) -> tuple[Guesses, Tensor]:
        """Guesses [batch, 1] at the images of `questions` [batch, 81], and the grids [segment, batch, 81]; mapped back."""
        images = symmetries.apply(questions)
        z_h, z_l = self.model.initial(len(images))
        at = torch.full((len(images),), self.segments + 1, device=images.device)
        grids = []
        for k in range(1, self.segments + 1):
            before = z_h
            fresh = torch.full_like(images[:, 0], k == 1, dtype=torch.bool)
            z_h, z_l, logits, q = self.model.segment(z_h, z_l, images, fresh=fresh)
            halted = halts(q)
            at = torch.where(halted & (at > k), k, at)
            grids.append(symmetries.undo(logits.argmax(-1) + self.model.config.first_answer).to(torch.uint8))
        residual = (z_h.float() - before.float()).square().mean((1, 2)).sqrt()
        solved = sudoku.solved(questions.long(), grids[-1].long())
        guesses = Guesses(grids[-1], halted, at, q[:, 0], residual, solved)
        return Guesses(*(t[:, None] for t in vars(guesses).values())), torch.stack(grids)

    def guess(self, questions: Tensor, guesses: int, only_digits: bool, generator) -> tuple[Guesses, Tensor]:
        """All guesses at all puzzles, and the first guess after each segment, [segment, puzzle, 81].

        The first guess is at the puzzle as it stands, the others at random symmetric images.
        """
        n, device = len(questions), questions.device
        rows = torch.arange(n * guesses, device=device)
        parts, firsts = [], []
        for at in range(0, len(rows), self.batch):
            own = rows[at : at + self.batch]
            # One size, one compilation: the last batch is filled up with its own first row.
            padded = torch.cat([own, own[:1].expand(self.batch - len(own))])
            symmetries = Symmetries(self.batch, device, generator)
            symmetries = (symmetries.only_digits() if only_digits else symmetries).without(padded % guesses == 0)
            found, grids = self.run(questions[padded // guesses], symmetries)
            parts.append(Guesses(*(t[: len(own)] for t in vars(found).values())))
            firsts.append(grids[:, : len(own)][:, own % guesses == 0])
        whole = [torch.cat(ts) for ts in zip(*(vars(p).values() for p in parts))]
        return Guesses(*(t.view(n, guesses, *t.shape[2:]) for t in whole)), torch.cat(firsts, 1)


def score(guesses: Guesses, firsts: Tensor, answers: Tensor, counts: list[int], segments: int) -> dict:
    """Everything that is reported of one set of puzzles."""
    n = len(answers)
    out = {"by_segment": (firsts == answers).all(2).sum(1).tolist(), "guesses": {}}
    out["cells"] = float((firsts[-1] == answers).float().mean())
    right = (guesses.grids == answers[:, None]).all(2)
    halted = guesses.halted[:, 0]
    out["halted"] = wilson(int(halted.sum()), n)
    out["right_if_halted"] = wilson(int((right[:, 0] & halted).sum()), int(halted.sum()))
    for k in counts:
        some = guesses.first(k)
        picked = {rule: right[:, :k].gather(1, i[:, None]).sum() for rule, i in choose(some).items()}
        rules = {rule: wilson(int(count), n) for rule, count in picked.items()}
        # Looks at the answers: what a perfect rule would get, for comparison only.
        rules["oracle"] = wilson(int(right[:, :k].any(1).sum()), n)
        out["guesses"][str(k)] = {"rules": rules, "segments": segments_spent(some, segments)}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="packed puzzles (pack.py)")
    parser.add_argument("--set", default="test")
    parser.add_argument("--rows", type=int, help="only the first rows")
    parser.add_argument("--filled", type=float, nargs="+", default=[0.0], help="shares of the blanks filled in")
    parser.add_argument("--guesses", type=int, nargs="+", default=[1, 9, 64], help="the largest are run, all are scored")
    parser.add_argument("--segments", type=int, nargs="+", default=[16])
    parser.add_argument("--only-digits", action="store_true", help="guesses differ by digits only, not all symmetries")
    parser.add_argument("--weights", choices=("average", "raw"), default="average")
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON file; grows with every case")
    args = parser.parse_args()

    device = torch.device(args.device)
    torch.set_float32_matmul_precision("high")
    model, facts = load_model(args.state, args.weights, device, getattr(torch, args.dtype))
    if device.type == "cuda" and not args.no_compile:
        for level in model.levels():
            level.compile(dynamic=False)
    questions, answers = (t[: args.rows] for t in sudoku.load(args.data, args.set, device))
    generator = torch.Generator(device).manual_seed(args.seed)
    results = {"step": facts["step"], "set": args.set, "n": len(questions), "weights": args.weights, "cases": []}
    results |= {"dtype": args.dtype, "symmetries": "digits" if args.only_digits else "all", "seed": args.seed}
    batch = min(args.batch, len(questions) * max(args.guesses))
    for filled in args.filled:
        share = torch.full((len(questions),), filled, device=device)
        easier = sudoku.reveal(questions, answers, share, generator) if filled else questions
        for segments in args.segments:
            began = time.time()
            reasoner = Reasoner(model, segments, batch)
            found, firsts = reasoner.guess(easier, max(args.guesses), args.only_digits, generator)
            case = {"filled": filled, "segments": segments} | score(found, firsts, answers, args.guesses, segments)
            results["cases"].append(case | {"seconds": round(time.time() - began, 2)})
            for k, scored in case["guesses"].items():
                for rule, p in scored["rules"].items():
                    spread = f"[{100 * p['low']:.2f}, {100 * p['high']:.2f}]"
                    cost = scored["segments"].get(rule)
                    head = f"{args.set} filled {filled:.0%} segments {segments} guesses {k:>3} {rule:<16}"
                    print(f"{head} {100 * p['value']:6.2f} % {spread} n={p['n']} cost {cost}", flush=True)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            temporary = args.out.with_name(args.out.name + ".tmp")
            temporary.write_text(json.dumps(results, indent=1))
            os.replace(temporary, args.out)


if __name__ == "__main__":
    main()
