"""``jitloss check``: every implementation against central differences and against the reference.

The differences are of fourth order, (8 (f(+h) − f(−h)) − (f(+2h) − f(−2h))) / 12h, taken of the float64 reference,
whose value, not gradient, they test. Problems with a margin near the hinge's kink are drawn again: there the loss
has no derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import reference
from .implementations import IMPLEMENTATIONS
from .losses import LOSSES

STEP = 1e-3
# Fourth-order differences of a loss of size 10 in float64: h⁴ and eps / h both leave about 1e-12, sums a little more.
# Against the reference: some hundred roundings of the dtype.
DIFFERENCES_TOLERANCE = {"float64": 1e-9, "float32": 2e-5}
REFERENCE_TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
SHAPES = [(1, 1, 1), (7, 5, 3), (40, 17, 10), (300, 33, 26)]
REG = 0.1


@dataclass(frozen=True)
class Check:
    """One implementation on one problem."""

    loss: str
    implementation: str
    dtype: str
    shape: tuple[int, int, int]
    loss_error: float  # relative, against the reference
    reference_error: float  # of dW and dX, against the reference
    differences_error: float  # of dW and dX, against central differences

    @property
    def passed(self) -> bool:
        allowed = REFERENCE_TOLERANCE[self.dtype]
        near = self.loss_error <= allowed and self.reference_error <= allowed
        return near and self.differences_error <= DIFFERENCES_TOLERANCE[self.dtype]


def central_differences(f: Callable[[], float], x: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """The derivative of ``f()`` by each of the flat `entries` of x, which is changed in place and restored."""
    flat, derivatives = x.reshape(-1), np.empty(len(entries))
    for position, entry in enumerate(entries):
        before = flat[entry]
        values = []
        for steps in (1, -1, 2, -2):
            flat[entry] = before + steps * STEP
            values.append(f())
        flat[entry] = before
        derivatives[position] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * STEP)
    return derivatives


def check_all(seed: int = 0) -> list[Check]:
    """Check every implementation, loss and dtype on every shape."""
    return [
        check
        for loss in LOSSES
        for shape in SHAPES
        for dtype in ("float64", "float32")
        for check in _check_problem(loss, shape, dtype, seed)
    ]


def _check_problem(loss: str, shape: tuple[int, int, int], dtype: str, seed: int) -> list[Check]:
    random = np.random.default_rng(seed)
    W, X, y = smooth_problem(random, shape, dtype)
    row_loss, wide = LOSSES[loss].reference, (W.astype(np.float64), X.astype(np.float64))
    expected, gradients = reference.linear_loss(row_loss, *wide, y, 0.5 * REG, ("W", "X"))
    differences = []
    for array in wide:
        entries = random.permutation(array.size)[:12]
        slopes = central_differences(
            lambda: reference.linear_loss(row_loss, *wide, y, 0.5 * REG, ())[0], array, entries
        )
        differences.append((entries, slopes))
    checks = []
    for name in IMPLEMENTATIONS:
        value, *found = LOSSES[loss].function(W, X, y, REG, wrt=("W", "X"), implementation=name)
        against_reference = max(_error(a, b, b) for a, b in zip(found, gradients, strict=True))
        against_differences = max(
            _error(a.reshape(-1)[entries], slopes, b)
            for a, b, (entries, slopes) in zip(found, gradients, differences, strict=True)
        )
        loss_error = abs(value - expected) / max(abs(expected), 1.0)
        checks.append(Check(loss, name, dtype, shape, loss_error, against_reference, against_differences))
    return checks


def smooth_problem(
    random: np.random.Generator, shape: tuple[int, int, int], dtype: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W, X, y with no margin near 0, so that the hinge is smooth within reach of the differences."""
    n_rows, n_features, n_classes = shape
    W = (random.standard_normal((n_features, n_classes)) / np.sqrt(n_features)).astype(dtype)
    X, y = np.empty((n_rows, n_features), dtype), random.integers(0, n_classes, n_rows)
    pending = np.arange(n_rows)
    while len(pending):
        X[pending] = random.standard_normal((len(pending), n_features))
        S = X[pending].astype(np.float64) @ W.astype(np.float64)
        margins = S - S[np.arange(len(S)), y[pending]][:, np.newaxis] + 1
        reach = 4 * STEP * max(1.0, float(np.abs(X[pending]).max()), float(np.abs(W).max()))
        pending = pending[(np.abs(margins) < reach).any(axis=1)]
    return W, X, y


def _error(found: np.ndarray, expected: np.ndarray, whole: np.ndarray) -> float:
    """Largest difference, relative to the largest entry of the whole gradient."""
    return float(np.abs(found - expected).max() / max(float(np.abs(whole).max()), 1e-3))
