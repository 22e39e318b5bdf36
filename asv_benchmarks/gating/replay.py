"""How often the gate would be right: verdicts replayed from the recorded figures of runs of the same code.

The pairs of all A/A runs, in the order in which they were measured, are cut into blocks of neighbours; a replayed run
draws blocks at random until it has its pairs, swaps the two sides of a block at random (they are the same code), and
slows one side's figures of the chosen benchmarks down by a known factor. What decides is `decide`, as in the gate
itself. Blocks keep the noise of a minute together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy import stats

from . import decide
from .plan import CONTROLS, ONCE, Benchmark
from .turns import Run

BLOCK = 4  # pairs


@dataclass(frozen=True)
class Rate:
    """So many of so many replays, with the 95 % interval of Clopper and Pearson; and how many could not say."""

    effect: float
    hits: int
    replays: int
    unsure: int = 0

    def __str__(self) -> str:
        low, high = stats.binomtest(self.hits, self.replays).proportion_ci(0.95, method="exact")
        return f"{self.hits} of {self.replays} ({self.hits / self.replays:.1%}; {low:.1%} – {high:.1%})"


def rate(
    records: Sequence[Sequence[Run]],
    benchmarks: Sequence[Benchmark],
    slowed: str,
    effect: float,
    pairs: tuple[int, int, int],
    replays: int,
    seed: int = 0,
) -> Rate:
    """Share of replays that end in a regression of a benchmark whose name matches `slowed`, by a factor 1 + effect.

    `pairs` are those of the first look, of the confirmation, and of the first look at compiling.
    """
    random = np.random.default_rng(seed)
    timed = [b for b in benchmarks if b.kind != ONCE]
    blocks = _blocks(records)
    hits = unsure = 0
    for _ in range(replays):
        chosen = {b.name for b in timed if re.search(slowed, b.name)} if effect else set()
        runs = _draw(blocks, "screen", pairs[0], chosen, 1 + effect, random)
        again = decide.flagged(runs, timed)
        if again:
            kept = {b.name for b in (*again, *CONTROLS)}
            runs += _only(_draw(blocks, "confirm", pairs[1], chosen, 1 + effect, random), kept)
        found = decide.verdicts(runs, timed)
        worse = {v.name for v in found if v.word == decide.WORSE}
        hit = bool(worse & chosen if effect else worse)
        hits += hit
        unsure += not hit and decide.exit_status(found, decide.too_noisy(runs)) == 3
    return Rate(effect, hits, replays, unsure)


def _blocks(records: Sequence[Sequence[Run]]) -> list[list[tuple[Run, Run]]]:
    """Neighbouring pairs (before, after) of each record, in blocks; only those with every kind of figure in them."""
    found = []
    for runs in records:
        screen = sorted((r for r in runs if r.stage == "screen"), key=lambda r: (r.pair, r.side == "after"))
        pairs = [tuple(both) for _, both in groupby(screen, key=lambda r: r.pair)]
        found += [pairs[i : i + BLOCK] for i in range(0, len(pairs) - BLOCK + 1, BLOCK)]
    return found


def _draw(
    blocks: Sequence[Sequence[tuple[Run, Run]]], stage: str, n_pairs: int, slowed: set[str], factor: float,
    random: np.random.Generator,
) -> list[Run]:  # fmt: skip
    runs: list[Run] = []
    pair = 0
    while pair < n_pairs:
        block, swap = blocks[random.integers(len(blocks))], random.random() < 0.5
        for both in block[: n_pairs - pair]:
            for run, side in zip(both[::-1] if swap else both, ("before", "after"), strict=True):
                figures = {
                    name: value * (factor if side == "after" and name in slowed else 1)
                    for name, value in run.figures.items()
                }
                runs.append(Run(stage, pair, side, run.at, figures))
            pair += 1
    return runs


def _only(runs: Iterable[Run], names: set[str]) -> list[Run]:
    return [
        Run(run.stage, run.pair, run.side, run.at, {k: v for k, v in run.figures.items() if k in names}) for run in runs
    ]
