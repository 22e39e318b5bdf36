"""How far gradients are from the truth, which NumPy computes in the widest format it has."""

from __future__ import annotations

import numpy as np

from . import calls, problems, yardsticks
from .losses import DTYPES, LOSSES

SHAPE, SEEDS = (200, 300, 10), 3


def largest_error(loss: str, implementation: str, dtype: str) -> float:
    """The largest error of an entry of dW, relative to its largest entry; the worst of a few seeds."""
    import jitloss

    function, worst = getattr(jitloss, f"{loss}_loss"), 0.0
    for seed in range(SEEDS):
        W, X, y = problems.generated(SHAPE, dtype, seed)
        truth = yardsticks.numpy_loss(loss, W.astype(np.longdouble), X.astype(np.longdouble), y)[1]
        found = function(W, X, y, implementation=implementation)[1]
        worst = max(worst, float(np.abs(found - truth).max() / np.abs(truth).max()))
    return worst


class Error:
    """The largest relative error of dW."""

    unit = "relative error"
    param_names = ["loss", "implementation", "dtype"]
    params = [LOSSES, ["numpy", "jit", "fused"], DTYPES]

    def track_error(self, loss, implementation, dtype):
        try:
            return largest_error(loss, implementation, dtype)
        except ValueError as error:
            raise calls.lacking(error) from error
