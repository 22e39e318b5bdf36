"""Verdicts from paired figures. The same functions judge a run of the gate and its replays in the proof.

Noise of a shared machine only ever adds time, in bursts that last for seconds. So a side's figure is the mean of the
lower half of its processes' (of their logarithms), and the *slowdown* is the difference between the sides. A benchmark
is flagged if its slowdown comes near its floor in the first pairs. What is flagged is measured again, in fresh pairs,
and only those count: it is a regression if the slowdown is above the floor, and if exchanging the two sides in pairs
at random makes one as large as that in less than `ALPHA` of the cases (`scipy.stats.permutation_test`), corrected for
the number of benchmarks that were flagged (Benjamini and Hochberg, `scipy.stats.false_discovery_control`). So noise has
to strike twice, and the second time without having been picked. Intervals are bootstrapped over pairs. Figures that do
not vary are compared as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from .plan import CONTROLS, ONCE, Benchmark
from .turns import Run

ALPHA = 0.01  # chance of any false alarm among what is flagged, by the confirming pairs alone
RESAMPLES = 9999  # all ways to exchange the sides of up to 13 pairs; a sample of them beyond
SCREEN_P, SCREEN_SHARE = 0.13, 0.75  # flagged: below this p, and above this share of the floor
CONTROL_FLOOR = 0.05  # how far the controls may be apart, or their interval open
LEAST_PAIRS = 5  # fewer can say nothing

SAME, FASTER, WORSE, ACCEPTED, NOT_CONFIRMED, UNCLEAR, NEW, GONE, UNMEASURED = (
    "same", "better", "WORSE", "accepted", "not confirmed", "unclear", "new", "GONE", "not measured"
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What is said of one benchmark; `ratio` is after / before, with its 95 % interval."""

    name: str
    unit: str
    floor: float
    before: float
    after: float
    ratio: float
    low: float
    high: float
    p: float
    pairs: int
    word: str
    reason: str = ""


def flagged(runs: Sequence[Run], benchmarks: Iterable[Benchmark]) -> list[Benchmark]:
    """What looks worse in the first pairs and has to be measured again."""
    return [b for b in benchmarks if b.kind != ONCE and _looks_worse(_Evidence(runs, b, "screen"))]


def verdicts(
    runs: Sequence[Run], benchmarks: Sequence[Benchmark], accepted: Mapping[str, tuple[float, str]] | None = None
) -> list[Verdict]:
    """One for each benchmark; `accepted` gives new floors with their reasons."""
    again = [b for b in benchmarks if b.name in confirmed(runs)]
    chances = [_Evidence(runs, b, "confirm").p() for b in again]
    corrected = stats.false_discovery_control(chances) if again else []
    p = dict(zip((b.name for b in again), map(float, corrected), strict=True))
    return [_verdict(runs, b, p.get(b.name, 1.0), (accepted or {}).get(b.name)) for b in benchmarks]


def confirmed(runs: Iterable[Run]) -> set[str]:
    """The names of what was measured again."""
    measured = set().union(*(run.figures for run in runs if run.stage == "confirm"))
    return measured - {control.name for control in CONTROLS}


def slowdown(before: np.ndarray, after: np.ndarray, axis: int = -1) -> np.ndarray:
    """log(after / before) of the two sides' lower halves."""
    return _low(after, axis) - _low(before, axis)


def _low(figures: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean logarithm of the lower half, the middle one among it."""
    ordered = np.moveaxis(np.sort(figures, axis=axis), axis, -1)
    with np.errstate(divide="ignore"):
        return np.log(ordered[..., : (ordered.shape[-1] + 1) // 2]).mean(axis=-1)


def too_noisy(runs: Sequence[Run]) -> str:
    """Why nothing can be said, from controls that are the same code on both sides; empty if all is well."""
    for control in CONTROLS:
        for stage in ("screen", "confirm"):
            seen = _Evidence(runs, control, stage)
            if stage == "confirm" and not seen.pairs:
                continue
            if seen.pairs < LEAST_PAIRS:
                return f"{seen.pairs} pairs of runs in the time given; {LEAST_PAIRS} are needed"
            low, high = seen.interval()
            if low > 1 + CONTROL_FLOOR or high < 1 / (1 + CONTROL_FLOOR) or high / low > (1 + CONTROL_FLOOR) ** 2:
                return f"{control.name}, the same code on both sides, differs by a factor of {low:.3f} to {high:.3f}"
    return ""


def exit_status(found: Sequence[Verdict], noise: str) -> int:
    """0 nothing worse, 1 a regression that replicated, 2 broken, 3 too noisy to say."""
    words = {v.word for v in found}
    if GONE in words:
        return 2
    if WORSE in words:
        return 1
    return 3 if noise or words & {UNCLEAR, UNMEASURED} else 0


class _Evidence:
    """The figures of one benchmark in one stage, paired."""

    def __init__(self, runs: Sequence[Run], benchmark: Benchmark, stage: str) -> None:
        self.benchmark = benchmark
        found: dict[str, dict[int, float]] = {"before": {}, "after": {}}
        for run in runs:
            if run.stage == stage and benchmark.name in run.figures:
                found[run.side][run.pair] = run.figures[benchmark.name]
        both = sorted(found["before"].keys() & found["after"].keys())
        self.only = {side for side, figures in found.items() if figures} if not both else set()
        self.before, self.after = (np.array([found[side][pair] for pair in both]) for side in ("before", "after"))
        self.pairs = len(both)

    @property
    def is_constant(self) -> bool:
        """Whether nothing varies from process to process, as no time ever does: a count, or a single figure."""
        return self.pairs < 2 or (np.ptp(self.before) == 0 and np.ptp(self.after) == 0)

    @cached_property
    def ratio(self) -> float:
        if np.array_equal(self.before, self.after):  # 0 on both sides is no change
            return 1.0
        return math.exp(slowdown(self.before, self.after))

    @property
    def ends(self) -> tuple[float, float]:
        """The figures of the two sides."""
        return math.exp(_low(self.before)), math.exp(_low(self.after))

    def p(self) -> float:
        """Chance of such a slowdown if the sides did not differ."""
        if self.is_constant:
            return float(self.ratio <= 1)
        if self.ratio <= 1:
            return 1.0
        return float(
            stats.permutation_test(
                (self.before, self.after), slowdown, permutation_type="samples", alternative="greater",
                vectorized=True, n_resamples=RESAMPLES, rng=np.random.default_rng(0),
            ).pvalue
        )  # fmt: skip

    def interval(self) -> tuple[float, float]:
        """95 % of the ratio."""
        if self.is_constant:
            return self.ratio, self.ratio
        ends = stats.bootstrap(
            (self.before, self.after), slowdown, paired=True, vectorized=True, n_resamples=2000, method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        return math.exp(ends.low), math.exp(ends.high)

    def beyond(self, floor: float) -> bool:
        before, after = self.ends
        return self.ratio > 1 + floor and after - before > self.benchmark.least


def _looks_worse(seen: _Evidence) -> bool:
    if not seen.pairs or not seen.beyond(SCREEN_SHARE * seen.benchmark.floor):
        return False
    # Three pairs, as there are of cold starts, can at best be all of one sign: 1 in 8.
    return seen.p() <= SCREEN_P


def _verdict(runs: Sequence[Run], benchmark: Benchmark, p: float, accepted: tuple[float, str] | None) -> Verdict:
    stages = [_Evidence(runs, benchmark, stage) for stage in ("once", "screen", "confirm")]
    seen = next((s for s in reversed(stages) if s.pairs), None)
    floor, reason = accepted or (benchmark.floor, "")
    if seen is None:
        only = set().union(*(s.only for s in stages))
        word = {frozenset({"before"}): GONE, frozenset({"after"}): NEW}.get(frozenset(only), UNMEASURED)
        if word == GONE and accepted:
            word = ACCEPTED
        nan = math.nan
        return Verdict(benchmark.name, benchmark.unit, floor, nan, nan, nan, nan, nan, nan, 0, word, reason)
    low, high = seen.interval()
    word = _word(seen, stages, floor, p, low, high)
    if accepted and word in (SAME, NOT_CONFIRMED) and seen.beyond(benchmark.floor):
        word = ACCEPTED
    return Verdict(
        benchmark.name, benchmark.unit, floor, *seen.ends,
        seen.ratio, low, high, p, seen.pairs, word, reason,
    )  # fmt: skip


def _word(seen: _Evidence, stages: list[_Evidence], floor: float, p: float, low: float, high: float) -> str:
    once, screen, confirm = stages
    if seen is once:
        return WORSE if seen.beyond(floor) else FASTER if seen.ratio < 1 / (1 + floor) else SAME
    if seen is confirm and seen.pairs < LEAST_PAIRS:
        return UNCLEAR  # time ran out
    if seen is confirm:
        if seen.beyond(floor) and p <= ALPHA:
            return WORSE
        # Far above the floor and yet not significant: too few or too scattered pairs.
        return UNCLEAR if seen.beyond(floor) and low > 1 else NOT_CONFIRMED
    if _looks_worse(screen):
        return UNCLEAR if screen.beyond(floor) else SAME  # no time was left to measure it again
    return FASTER if high < 1 and seen.ratio < 1 / (1 + floor) else SAME
