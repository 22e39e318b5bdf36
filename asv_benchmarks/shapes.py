"""Shapes that fall off a cliff, if there are any: ``python asv_benchmarks/shapes.py``.

A seeded log-uniform sample of shapes and the edges of what people have, each against the frozen NumPy yardstick. Where
we take more than 1.1 times NumPy's time, the shape is measured again, longer, and what is confirmed is listed; calls of
less than 20 µs are excused. Losses and dtypes take turns from shape to shape. Exit status 1 if a cliff is found.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product

import numpy as np
from rich.progress import track

from benchmarks import problems, yardsticks
from jitloss.compare import machine, measure
from jitloss.losses import LOSSES

LIMIT, EXCUSED = 1.1, 20e-6
MOST_FLOPS, MOST_BYTES = 2e9, 512 << 20
EDGES = [
    *((1, d, c) for d, c in product((1, 64, 3073), (2, 10, 1000))),
    *((n, d, 2) for n, d in product((100, 10_000, 100_000), (1, 30, 500))),
    *((n, 1, c) for n, c in product((100, 10_000), (3, 100, 1000))),
    *((n, 5000, 3000) for n in (1, 2, 3, 4, 8, 16, 20, 21, 24, 32)),
]
FIRST = measure.Effort(rounds=2, settle=0.25, turn=0.04, python_call=0)
AGAIN = measure.Effort(rounds=6, settle=0.25, turn=0.1, python_call=0)


def sample(n_shapes: int, seed: int) -> list[tuple[int, int, int]]:
    """Log-uniform shapes with N in 1 … 10⁵, D in 1 … 5000, C in 2 … 3000, none too large to measure often."""
    random, found = np.random.default_rng(seed), []
    while len(found) < n_shapes:
        low, high = np.log([1, 1, 2]), np.log([1e5, 5000, 3000])
        n, d, c = (int(x) for x in np.exp(random.uniform(low, high)).round())
        if 4 * n * d * c <= MOST_FLOPS and 8 * (n * d + d * c + n * c) <= MOST_BYTES:
            found.append((n, d, c))
    return found


def compare(shape: tuple[int, int, int], loss: str, dtype: str, n_threads: int, effort: measure.Effort):
    """Median seconds, ours and NumPy's."""
    case, function = problems.generated(shape, dtype), LOSSES[loss].function
    calls = {
        "ours": lambda: function(case.W, case.X, case.y, n_threads=n_threads),
        "numpy": lambda: yardsticks.numpy_loss(loss, case.W, case.X, case.y),
    }
    seconds = measure.alternate(calls, effort, lambda _: None)
    return float(np.median(seconds["ours"])), float(np.median(seconds["numpy"]))


def is_cliff(ours: float, numpy: float) -> bool:
    return ours > LIMIT * numpy and ours >= EXCUSED


def show(point, ours: float, numpy: float) -> str:
    (n, d, c), loss, dtype = point
    return (
        f"{n:>7}×{d}×{c:<6} {loss:8}{dtype:8} ours {1e6 * ours:10.1f} µs  NumPy {1e6 * numpy:10.1f} µs  "
        f"ours / NumPy {ours / numpy:.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=int, default=200, help="size of the sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=machine.available_cores())
    parser.add_argument("--all", action="store_true", help="list every point, not the worst alone")
    chosen = parser.parse_args()
    kinds = list(product(LOSSES, ("float64", "float32")))
    points = [(s, *kinds[i % 4]) for i, s in enumerate(EDGES + sample(chosen.shapes, chosen.seed))]
    found = []
    with machine.blas_threads(chosen.threads):
        for point in track(points, "shapes", disable=not sys.stderr.isatty()):
            ours, numpy = compare(*point, chosen.threads, FIRST)
            if is_cliff(ours, numpy):
                ours, numpy = compare(*point, chosen.threads, AGAIN)
            found.append((ours / numpy, point, ours, numpy))
            if chosen.all:
                print(show(*found[-1][1:]), flush=True)
    ratios = [ratio for ratio, *_ in found]
    cliffs = sorted((row for row in found if is_cliff(*row[2:])), reverse=True)
    excused = sum(ours > LIMIT * numpy and ours < EXCUSED for _, _, ours, numpy in found)
    header = machine.describe(chosen.threads)
    print(f"{header['cpu']}, {chosen.threads} threads, {header['launch']}; {len(points)} shapes, seed {chosen.seed}")
    print(f"ours / NumPy: median {np.median(ratios):.2f}, nine in ten below {np.quantile(ratios, 0.9):.2f}")
    print(f"above {LIMIT}: {len(cliffs)}; excused, for a call takes less than {1e6 * EXCUSED:.0f} µs: {excused}")
    worst = max((row for row in found if row[2] >= EXCUSED), default=None)
    if worst:
        print("the worst: " + show(*worst[1:]))
    for row in cliffs:
        print(show(*row[1:]))
    return 1 if cliffs else 0


if __name__ == "__main__":
    sys.exit(main())
