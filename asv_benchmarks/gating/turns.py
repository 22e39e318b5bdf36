"""The two sides in turn, a fresh process each: A B, B A, A B, … What a process found is a `Run`; its figures are the
evidence, two processes side by side in time are a pair.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.startup import count_compiled

from .plan import CALLS, COLD, CONTROLS, FIRST, ONCE, Benchmark
from .sides import Side
from .worker import uses_blas

SECONDS = 0.04  # of counted calls of one benchmark in one process
_NAMES = {
    "import": "startup.Import.timeraw_import",
    "first call": "startup.FirstCallCached.timeraw_first_call",
}


@dataclass
class Run:
    """What one side found in its turn."""

    stage: str  # "screen" or "confirm"
    pair: int
    side: str
    at: float  # seconds since the epoch
    figures: dict[str, float] = field(default_factory=dict)


def compile_both(sides: Sequence[Side], benchmarks: Sequence[Benchmark]) -> None:
    """Fill each side's own cache, so that nothing is compiled later; both at once, for nothing is timed."""
    asked = {"do": CALLS, "names": [b.name for b in _of(benchmarks, CALLS)], "seconds": 0.0}
    with ThreadPoolExecutor(len(sides)) as pool:
        list(pool.map(lambda side: (side.run(asked), side.run({"do": FIRST})), sides))


def figures_once(sides: Sequence[Side], benchmarks: Sequence[Benchmark]) -> list[Run]:
    """What does not vary from process to process."""
    asked_for = {b.name for b in _of(benchmarks, ONCE)}
    runs = []
    for side in sides if asked_for else ():
        figures = side.run({"do": ONCE})
        runs.append(Run("once", 0, side.name, time.time(), {k: v for k, v in figures.items() if k in asked_for}))
    return runs


def take_turns(
    stage: str,
    sides: tuple[Side, Side],
    benchmarks: Sequence[Benchmark],
    pairs: int,
    cold_pairs: int,
    until: float,
    step: Callable[[int], None],
) -> list[Run]:
    """So many pairs of runs, fewer if time (`time.monotonic`) runs out; compiling is measured in the first alone."""
    runs: list[Run] = []
    longest = 0.0
    for pair in range(pairs):
        started = time.monotonic()
        if pair and started + longest > until:
            break
        chosen = [b for b in benchmarks if b.kind != COLD or pair < cold_pairs]
        order = sides if pair % 2 == 0 else sides[::-1]
        runs += [Run(stage, pair, side.name, time.time(), _one_turn(side, chosen)) for side in order]
        longest = max(longest, time.monotonic() - started)
        step(pair + 1)
    return runs


def _one_turn(side: Side, benchmarks: Sequence[Benchmark]) -> dict[str, float]:
    figures = {}
    if calls := sorted((b.name for b in (*_of(benchmarks, CALLS), *CONTROLS)), key=uses_blas):
        figures |= side.run({"do": CALLS, "names": calls, "seconds": SECONDS})
    if _of(benchmarks, FIRST):
        found = side.run({"do": FIRST})
        figures |= {name: found[key] for key, name in _NAMES.items()}
    if _of(benchmarks, COLD):
        with TemporaryDirectory() as empty:
            found = side.run({"do": FIRST}, cache=Path(empty))
            figures["startup.FirstCallCold.timeraw_first_call"] = found["first call"]
            figures["startup.Compiled.track_compiled"] = count_compiled(Path(empty))
    asked_for = {b.name for b in (*benchmarks, *CONTROLS)}
    return {name: value for name, value in figures.items() if name in asked_for}


def _of(benchmarks: Iterable[Benchmark], kind: str) -> list[Benchmark]:
    return [b for b in benchmarks if b.kind == kind]
