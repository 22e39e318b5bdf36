"""Timing that can be trusted on a shared machine: sides in turn, medians, quartiles; and peak memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from jitloss_kernels import memory

from .contenders import Call

MOST_CALLS = 500  # of one contender in one turn


@dataclass(frozen=True)
class Effort:
    """How long to look.

    After another side's turn, calls are discarded for `settle` seconds: OpenBLAS keeps its threads spinning for a
    tenth of a second after a product (measured), which takes a core away from whoever comes next.
    """

    rounds: int
    settle: float
    turn: float
    python_call: float  # seconds that one call of an interpreted contender may take


FULL = Effort(rounds=4, settle=0.15, turn=0.08, python_call=0.08)
QUICK = Effort(rounds=2, settle=0.15, turn=0.05, python_call=0.03)


def alternate(calls: dict[str, Call], effort: Effort, step: Callable[[str], None]) -> dict[str, list[float]]:
    """Seconds of every counted call, the sides taking turns, each second round in reverse order."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(effort.rounds):
        names = list(calls) if turn % 2 == 0 else list(reversed(calls))
        for name in names:
            step(name)
            call, settled = calls[name], time.perf_counter() + effort.settle
            call()
            while time.perf_counter() < settled:
                call()
            ends = time.perf_counter() + effort.turn
            for _ in range(MOST_CALLS):
                start = time.perf_counter()
                call()
                stop = time.perf_counter()
                seconds[name].append(stop - start)
                if stop > ends:
                    break
    return seconds


def affordable_rows(prepare: Callable[[int], Call], n_rows: int, budget: float) -> int:
    """How many rows an interpreted contender can do in `budget` seconds, from a taste of a few."""
    taste = min(n_rows, 4)
    call = prepare(taste)
    call()
    start = time.perf_counter()
    call()
    per_row = (time.perf_counter() - start) / taste
    return max(taste, min(n_rows, int(budget / per_row)))


def extra_memory(call: Call) -> int:
    """Peak bytes that a call holds beyond its inputs and the gradient it returns, as NumPy allocates them."""
    call()
    memory.SHARED.forget()  # or the scratch that is kept from the call before would not be seen
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        _, gradient = call()
        return max(0, tracemalloc.get_traced_memory()[1] - before - gradient.nbytes)
    finally:
        tracemalloc.stop()
