"""The plain call, as training loops make it: W, X and y as NumPy has them most often, and nothing asked for.

After a call that has driven X through the caches, every step of Python takes some microseconds, for all that it needs
comes from memory. So what follows from shapes and dtypes is looked up at once here. This is an abridgement of
``checks`` and ``implementations``: of what is out of the ordinary, be it right or wrong, it leaves everything to them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .checks.arrays import FLOATS, largest_bits

_INT64 = np.dtype(np.int64)


class Routine(NamedTuple):
    """What is the same for all plain calls of a loss with arrays of the same shapes and dtype."""

    fused: Any  # the engine, which is imported with the first call
    task: Any
    options: Any
    arrays: tuple[np.ndarray | None, ...]
    nothing: np.ndarray


def evaluate(
    form: str | None, W: Any, X: Any, y: Any, reg: Any, reg_scale: Any, n_threads: Any, implementation: Any
) -> tuple[float, np.ndarray] | None:
    """The loss and dW by the fused engine; None, and nothing done, where this is no plain call, or `form` is None."""
    if not (type(W) is type(X) is type(y) is np.ndarray and type(reg) is type(reg_scale) is float):
        return None
    if n_threads is not None and not (type(n_threads) is int and n_threads >= 1):
        return None
    if form is None or type(implementation) is not str or implementation not in ("auto", "fused"):
        return None
    dtype, decay = W.dtype, reg_scale * reg
    if not (X.dtype is dtype and y.dtype is _INT64 and reg >= 0.0 and reg_scale >= 0.0 and decay < np.inf):
        return None
    routine = _routine(form, dtype, X.shape, W.shape, y.shape)
    w, x = W.flags, X.flags
    if routine is None or not (w.c_contiguous and w.aligned and x.c_contiguous and x.aligned):
        return None
    own = np.array(y)  # what is checked here cannot be changed by another thread before it is used
    if largest_bits(own) >= W.shape[1]:  # a negative label is a huge one
        return None
    fused, task, options, arrays, nothing = routine
    dW = np.empty(W.shape, dtype)
    total, penalty = fused.solve(
        task, W.reshape(-1), X.reshape(-1), own, nothing, options, arrays, decay,
        dW.reshape(-1), nothing, nothing, n_threads,
    )  # fmt: skip
    return None if fused.is_to_be_redone(task, total) else (total / len(own) + penalty, dW)


@lru_cache
def _routine(
    form: str, dtype: np.dtype[Any], x_shape: tuple[int, ...], w_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> Routine | None:
    """None where these do not fit together, or one of them is empty."""
    fit = len(x_shape) == len(w_shape) == 2 and x_shape[1] == w_shape[0] and x_shape[:1] == y_shape
    if not fit or 0 in x_shape or 0 in w_shape or dtype not in FLOATS:
        return None
    from jitloss_kernels import fused

    (n_samples, n_features), n_classes = x_shape, w_shape[1]
    task = fused.setup(form, n_samples, n_features, n_classes, dtype, dtype, "flat", False, ("W",), True)
    options, arrays = fused.options_of(form, dtype, (n_samples, n_features, n_classes), 1 / n_samples)
    return Routine(fused, task, options, arrays, np.empty(0, dtype))
