"""TwoLayerNet.loss against its vectorised NumPy reference: the medians of calls in turn, with the same threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from jitloss import TwoLayerNet
from jitloss.compare.machine import available_cores

SHAPES = {"batch 200×3072, H = 50": (200, 3072, 50, 10), "large 10000×3072, H = 100": (10_000, 3072, 100, 10)}
ROUNDS, TURN = 9, 0.4  # seconds of calls a turn


def a_turn(call: Callable[[], object]) -> float:
    """The median time of calls, once the other side's threads no longer spin."""
    time.sleep(0.15)
    call()
    seconds, end = [], time.perf_counter() + TURN
    while time.perf_counter() < end or len(seconds) < 2:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main() -> None:
    print(f"{available_cores()} threads a side; medians of {ROUNDS} turns of {TURN} s")
    for name, (n_rows, n_features, n_hidden, n_outputs) in SHAPES.items():
        for dtype in ("float64", "float32"):
            random = np.random.default_rng(0)
            X, y = random.standard_normal((n_rows, n_features), dtype), random.integers(0, n_outputs, n_rows)
            net = TwoLayerNet(n_features, n_hidden, n_outputs, std=1e-2, rng=0, dtype=dtype)
            sides = {side: [] for side in ("numpy", "fused")}
            with threadpool_limits(available_cores()):
                for _ in range(ROUNDS):
                    for side, seconds in sides.items():
                        seconds.append(a_turn(partial(net.loss, X, y, 0.1, implementation=side)))
            numpy, fused = (np.array(seconds) for seconds in sides.values())
            print(
                f"{name:26} {dtype}   NumPy {1e3 * np.median(numpy):8.2f} ms   fused {1e3 * np.median(fused):8.2f} ms"
                f"   ratio {np.median(numpy / fused):.2f}"
            )


if __name__ == "__main__":
    main()
