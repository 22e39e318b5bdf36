"""The nets that the stress command calls, drawn like its ``cases``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from cases import LAYOUTS, MOST_FLOPS, TOLERANCE, difference, laid_out

from jitloss import TwoLayerNet

NAMES = ("W1", "b1", "W2", "b2")


@dataclass
class Case:
    """The loss of a net, or its scores where there is no y."""

    number: int
    net: TwoLayerNet
    layout: str
    X: np.ndarray
    y: np.ndarray | None
    reg: float
    n_threads: int | None
    engine = "net"  # what it is counted as

    def __str__(self) -> str:
        n_hidden, n_outputs = self.net.params["W2"].shape
        shape = f"{self.X.shape[0]}×{self.X.shape[1]}, {n_hidden} hidden, {n_outputs} outputs"
        asked = f"reg={self.reg}, n_threads={self.n_threads}, {'scores' if self.y is None else 'loss'}"
        dtype = self.net.params["W1"].dtype
        return f"case {self.number}: net {shape} {dtype}, X {self.X.dtype} {self.layout}; {asked}"


def draw(seed: int, number: int) -> Case:
    """Case `number` of the run that began with `seed`."""
    random = np.random.default_rng([seed, number])
    dtype = str(random.choice(["float64", "float32"]))
    while True:
        n, d, h, c = (int(x) for x in np.exp(random.uniform(0, np.log([5000, 3000, 300, 60]))).round())
        if 4 * n * h * (d + c) <= MOST_FLOPS:
            break
    net = TwoLayerNet(d, h, c, std=d**-0.5, rng=random, dtype=dtype)
    net.params["b1"][:] = random.choice([-3, 0, 0, 3]) * random.random(h)  # most units off, half of them, or few
    X = random.standard_normal((n, d)).astype(dtype)
    if random.random() < 0.15:
        X = random.integers(0, 4, (n, d), dtype=np.uint8)
    layout = str(random.choice(LAYOUTS))
    y = None if random.random() < 0.2 else random.integers(0, c, n)
    n_threads = random.choice([None, 1, 2, 3, 4, 99])
    return Case(number, net, layout, laid_out(X, layout), y, float(random.choice([0, 0.01])), n_threads)


def run(case: Case, X: np.ndarray | None = None, n_threads: int | None = None) -> tuple[Any, ...]:
    """The loss and all gradients, or the scores."""
    threads = case.n_threads if n_threads is None else n_threads
    found = case.net.loss(case.X if X is None else X, case.y, case.reg, n_threads=threads)
    return (found,) if case.y is None else (found[0], *(found[1][name] for name in NAMES))


def mismatch(case: Case, found: tuple[Any, ...]) -> str:
    """What is wrong with a result: far from the float64 reference, or not the bits of one thread and a plain X."""
    params, dtype = case.net.params, case.net.params["W1"].dtype.name
    exact = TwoLayerNet(*params["W1"].shape, params["W2"].shape[1])
    exact.params = {name: array.astype(np.float64) for name, array in params.items()}
    X = case.X.astype(np.float64)
    expected = exact.loss(X, case.y, case.reg, implementation="numpy")
    truths = (expected,) if case.y is None else (expected[0], *(expected[1][name] for name in NAMES))
    units = X @ exact.params["W1"] + exact.params["b1"]
    near = TOLERANCE[dtype] * max(1.0, float(np.abs(units).max(initial=0)))
    names = ("scores",) if case.y is None else ("loss", *NAMES)
    alone = run(case, np.ascontiguousarray(case.X, case.X.dtype.newbyteorder("=")), 1)
    for name, a, b, true in zip(names, found, alone, truths, strict=True):
        size = max(1.0, float(np.abs(true).max(initial=0)))
        worst = float(np.abs(np.asarray(a, np.float64) - true).max(initial=0))
        # Where rounding decides whether a unit is on, a gradient may have all that comes through it, or nothing.
        if not worst <= TOLERANCE[dtype] * size and not (name in NAMES and (np.abs(units) < near).any()):
            return f"{name} is off by {worst:.3g} where its largest entry is {size:.3g}"
        if not np.array_equal(a, b):
            return f"{name} has other bits on one thread, for C-ordered X: {difference(a, b, true)}"
    return ""
