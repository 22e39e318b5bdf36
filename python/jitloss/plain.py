"""The plain call, as training loops make it: arrays as NumPy has them most often, and nothing unusual asked for.

After a call that has driven X through the caches, every step of Python takes some microseconds, for all that it needs
comes from memory. So what follows from shapes and dtypes is looked up at once here. This is an abridgement of
``checks`` and ``implementations``: of what is out of the ordinary, be it right or wrong, it leaves everything to them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .checks.arrays import FLOATS, largest_bits
from .checks.options import LARGE, leave_out

_INT64 = np.dtype(np.int64)
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
# Of weights that add up to less the reciprocal could be infinite; if it is to be looked into, then not here.
_SMALL_SUM = 1e-290


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
    own = np.array(y)  # what is checked here cannot be changed by another thread before it is used
    total_weight, arrays = float(shape[0]), ()
    if sample_weight is not None or ignore_index is not None:
        weights = _weights(own, sample_weight, ignore_index)
        total_weight = 0.0 if weights is None else np.add.reduce(weights).item()
        if total_weight < _SMALL_SUM:
            return None
        options, arrays = fused.options_of(form, dtype, shape, 1 / total_weight, 1.0, 1, 0.0, None, weights)
    if largest_bits(own) >= shape[2]:  # a negative label is a huge one
        return None
    dW = np.empty(W.shape, nothing.dtype)
    db = np.empty(shape[2], nothing.dtype) if want_b else nothing
    total, penalty = fused.solve(
        task, W.reshape(-1), X.reshape(-1), own, nothing if bias is None else bias, options, arrays, decay,
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
    return _lies_flat(W) and _lies_flat(X)


def _is_plain_bias(bias: Any, dtype: np.dtype[Any], n_classes: int) -> bool:
    return type(bias) is np.ndarray and bias.dtype is dtype and bias.shape == (n_classes,) and _lies_flat(bias)


def _lies_flat(array: np.ndarray) -> bool:
    """Whether a kernel can read it as it lies."""
    flags = array.flags
    return bool(flags.c_contiguous and flags.aligned)


def _weights(own: np.ndarray, given: Any, ignored: Any) -> np.ndarray | None:
    """What each sample weighs, in float64: 0 for labels to be `ignored`, which become 0. None: this is not plain."""
    weights = None
    if given is not None:
        if not (type(given) is np.ndarray and given.shape == own.shape and given.dtype in FLOATS):
            return None
        weights = np.array(given, np.float64)
        if largest_bits(weights) >= LARGE:  # among them what is negative, infinite or NaN
            return None
    if ignored is not None:
        if not (type(ignored) is int and _LEAST <= ignored <= _MOST):  # older NumPys round what is beyond to compare it
            return None
        weights = leave_out(own, weights, own != ignored)
    return weights


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
