"""The plain call, as training loops make it: arrays as NumPy has them most often, and nothing unusual asked for.

After a call that has driven X through the caches, every step of Python takes some microseconds, for all that it needs
comes from memory. So what follows from shapes and dtypes is looked up at once here. This is an abridgement of
``checks`` and ``implementations``: of what is out of the ordinary, be it right or wrong, it leaves everything to them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .checks.arrays import FLOATS, largest_bits, lies_flat
from .weighed import weigh

_INT64 = np.dtype(np.int64)


class Routine(NamedTuple):
    """What is the same for all plain calls of a loss with arrays of the same shapes and dtype."""

    fused: Any  # the engine, which is imported with the first call
    task: Any
    options: Any  # without weights
    shape: tuple[int, int, int]  # (N, D, C)
    nothing: np.ndarray  # of the dtype that is computed in: W's, without what somebody has written to its metadata


def evaluate(
    form: str | None,
    W: Any,
    X: Any,
    y: Any,
    bias: Any,
    sample_weight: Any,
    ignore_index: Any,
    reg: Any,
    reg_scale: Any,
    wrt: Any,
    n_threads: Any,
    implementation: Any,
) -> tuple[Any, ...] | None:
    """The loss and dW, and db where there is a bias and `wrt` does not name W alone; None where this is no plain call.

    With a `form` of None it is not, nor if `wrt` is anything but None and "W".
    """
    if form is None or not _are_plain(W, X, y, reg, reg_scale, n_threads, implementation):
        return None
    if wrt is not None and not (type(wrt) is str and wrt == "W"):
        return None
    dtype, decay = W.dtype, reg_scale * reg
    want_b = wrt is None and bias is not None
    routine = _routine(form, dtype, X.shape, W.shape, y.shape, want_b)
    if routine is None or not decay < np.inf:
        return None
    fused, task, options, shape, nothing = routine
    if bias is not None and not _is_plain_bias(bias, dtype, shape[2]):
        return None
    if sample_weight is None and ignore_index is None:
        own = np.array(y)  # what is checked here cannot be changed by another thread before it is used
        total_weight, weights = float(shape[0]), None
        if largest_bits(own) >= shape[2]:  # a negative label is a huge one
            return None
    else:
        weighed = weigh(form, nothing.dtype, shape, y, sample_weight, ignore_index)
        if weighed is None:
            return None
        own, weights, total_weight, options = weighed
    dW = np.empty(W.shape, nothing.dtype)
    db = np.empty(shape[2], nothing.dtype) if want_b else nothing
    total, penalty = fused.solve(
        task, W.reshape(-1), X.reshape(-1), own, nothing if bias is None else bias, options, (weights,), decay,
        dW.reshape(-1), db, nothing, n_threads,
    )  # fmt: skip
    if fused.is_to_be_redone(task, total):
        return None
    loss = total / total_weight + penalty
    return (loss, dW, db) if want_b else (loss, dW)


def _are_plain(W: Any, X: Any, y: Any, reg: Any, reg_scale: Any, n_threads: Any, implementation: Any) -> bool:
    """Whether all these are of the usual kinds, each on its own."""
    if not (type(W) is type(X) is type(y) is np.ndarray and type(reg) is type(reg_scale) is float):
        return False
    if n_threads is not None and not (type(n_threads) is int and n_threads >= 1):
        return False
    if type(implementation) is not str or implementation not in ("auto", "fused"):
        return False
    if not (X.dtype is W.dtype and y.dtype is _INT64 and reg >= 0.0 and reg_scale >= 0.0):
        return False
    return lies_flat(W) and lies_flat(X)


def _is_plain_bias(bias: Any, dtype: np.dtype[Any], n_classes: int) -> bool:
    return type(bias) is np.ndarray and bias.dtype is dtype and bias.shape == (n_classes,) and lies_flat(bias)


@lru_cache
def _routine(
    form: str,
    dtype: np.dtype[Any],
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    want_b: bool,
) -> Routine | None:
    """None where these do not fit together, or one of them is empty."""
    fit = len(x_shape) == len(w_shape) == 2 and x_shape[1] == w_shape[0] and x_shape[:1] == y_shape
    if not fit or 0 in x_shape or 0 in w_shape or dtype not in FLOATS:
        return None
    from jitloss_kernels import fused

    (n_samples, n_features), n_classes = x_shape, w_shape[1]
    wrt = ("W", "b") if want_b else ("W",)
    task = fused.setup(form, n_samples, n_features, n_classes, dtype, dtype, "flat", False, wrt, True)
    shape = n_samples, n_features, n_classes
    options, _ = fused.options_of(form, dtype, shape, 1 / n_samples)
    return Routine(fused, task, options, shape, np.empty(0, FLOATS[FLOATS.index(dtype)]))
