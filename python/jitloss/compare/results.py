"""The figures of one contender on one case, and whether its answer is right."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..losses import LOSSES
from ..reference import linear_loss
from .cases import Case
from .contenders import Answer
from .first_call import FirstCall

# How far rounding alone may move the loss and the largest entry of the gradient, relative to the float64 truth.
# float64: sums of up to 10⁵ terms of size 1, with a wide margin; float32: the same number of ulps.
TOLERANCE = {"float64": 1e-11, "float32": 1e-4}
KINK = {"float64": 1e-14, "float32": 1e-5}  # margins nearer to 0, relative to the scores, may round to either side
NOISY = 0.3  # quartiles further apart than this share of the median


def _json(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if np.isfinite(value) else None


@dataclass(frozen=True)
class Verdict:
    """How far an answer is from the float64 reference."""

    loss_error: float
    gradient_error: float
    right: bool


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    case: str
    says: str
    shape: tuple[int, int, int]
    loss: str
    dtype: str
    contender: str
    verdict: Verdict
    seconds: tuple[float, ...]  # of every counted call, scaled to all rows
    measured_rows: int
    extra_bytes: int | None
    first: FirstCall | None = None
    n_lanes: int = 1

    @property
    def title(self) -> str:
        """Name and shape; a shape that has no name is its own."""
        shape = "×".join(map(str, self.shape))
        return shape if self.case.replace("x", "×") == shape else f"{self.case} {shape}"

    @property
    def approximate(self) -> bool:
        """Whether the time was scaled up from fewer rows."""
        return self.measured_rows < self.shape[0]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.seconds) < 2:
            return self.median, self.median
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third

    @property
    def noisy(self) -> bool:
        first, third = self.quartiles
        return third - first > NOISY * self.median

    @property
    def gflops(self) -> float:
        """Nominal: two matrix products of 2·N·D·C flops each."""
        n_rows, n_features, n_classes = self.shape
        return 4 * n_rows * n_features * n_classes / self.median / 1e9

    def calls_to_pay_off(self, other: Row) -> float | None:
        """How many calls until a cold start has paid off against `other`; infinity if it never does."""
        if self.first is None or other.first is None:
            return None
        ahead = self.first.cold - other.first.cold
        gain = other.median - self.median
        return max(1.0, ahead / gain) if gain > 0 else float("inf")

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a JSON file."""
        return {
            **{name: getattr(self, name) for name in ("case", "says", "shape", "loss", "dtype", "contender")},
            "right": self.verdict.right,
            "loss_error": _json(self.verdict.loss_error),
            "gradient_error": _json(self.verdict.gradient_error),
            "median_s": self.median,
            "quartiles_s": self.quartiles,
            "calls": len(self.seconds),
            "noisy": self.noisy,
            "approximate": self.approximate,
            "measured_rows": self.measured_rows,
            "gflops": self.gflops,
            "extra_bytes": self.extra_bytes,
            "first_call_cold_s": self.first.cold if self.first else None,
            "first_call_cached_s": self.first.cached if self.first else None,
        }


def judge(loss: str, case: Case, answer: Answer) -> Verdict:
    """Compare an answer with the reference in float64 on the same numbers."""
    W, X = (np.asarray(array, np.float64) for array in (case.W, case.X))  # a copy only of float32
    true_loss, (true_gradient,) = linear_loss(LOSSES[loss].reference, W, X, case.y)
    size = float(np.abs(true_gradient).max()) or 1.0
    errors = np.abs(answer[1] - true_gradient)
    loss_error = abs(answer[0] - true_loss) / (abs(true_loss) or 1.0)
    allowed = np.full_like(errors, TOLERANCE[case.dtype] * size)
    if loss == "svm":
        allowed += _kinks(W, X, case.y, KINK[case.dtype])
    right = loss_error <= TOLERANCE[case.dtype] and bool((errors <= allowed).all())
    return Verdict(loss_error, float(errors.max()) / size, right)


def _kinks(W: np.ndarray, X: np.ndarray, y: np.ndarray, near: float) -> np.ndarray:
    """How far margins whose side rounding decides may move each entry of dW: a sample's x each, and no more."""
    S, rows = X @ W, np.arange(len(X))
    margins = S - S[rows, y][:, np.newaxis] + 1
    close = (np.abs(margins) < near * max(1.0, float(np.abs(S).max()))).astype(np.float64)
    close[rows, y] = close.sum(axis=1)
    return np.asarray(np.abs(X).T @ close / len(X))
