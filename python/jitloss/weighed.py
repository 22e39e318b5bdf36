"""Weights and labels to ignore of a plain call: looked at and copied by compiled code.

As in ``plain``, of what is out of the ordinary, be it right or wrong, everything is left to ``checks``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .checks.arrays import FLOATS, lies_flat

_INT64, _FLOAT64 = np.dtype(np.int64), np.dtype(np.float64)
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_NO_LABELS, _NO_WEIGHTS = np.empty(0, _INT64), np.empty(0)
# Of weights that add up to less the reciprocal could be infinite; if it is to be looked into, then not here.
_SMALL_SUM = 1e-290


class Weighed(NamedTuple):
    """Labels and weights of our own: what was checked cannot be changed by another thread before it is used."""

    labels: np.ndarray
    weights: np.ndarray  # 0 for labels to ignore, which are 0 now
    total: float
    options: Any


def weigh(
    form: str, dtype: np.dtype[Any], shape: tuple[int, int, int], y: np.ndarray, given: Any, ignored: Any
) -> Weighed | None:
    """Take labels and the weights `given`, but for labels to be `ignored`. None: this is not plain."""
    if given is None:
        given = _NO_WEIGHTS
    elif not (type(given) is np.ndarray and given.shape == y.shape):
        return None
    elif given.dtype is not _FLOAT64 or not lies_flat(given):
        if given.dtype not in FLOATS:
            return None
        given = np.array(given, _FLOAT64)
    ignores = ignored is not None
    if ignores and not (type(ignored) is int and _LEAST <= ignored <= _MOST):
        return None
    take, with_weights, template, by_address = _weighing(form, dtype, shape)
    # One array: of two large ones malloc gives the pages back to the system each time, to be cleared anew.
    room = np.empty(2 * len(y))
    labels, weights = room[: len(y)].view(_INT64), room[len(y) :]
    given_labels = y if lies_flat(y) else np.array(y)
    where = take(given_labels, given, ignores, ignored if ignores else 0, shape[2], labels, weights)
    if where == 0:
        return None
    total = np.add.reduce(weights).item()
    if total < _SMALL_SUM:
        return None
    return Weighed(labels, weights, total, with_weights(template, 1 / total, where if by_address else weights))


class Weighing(NamedTuple):
    """What is the same for all weighed plain calls of a loss with arrays of the same shapes and dtype."""

    take: Any
    with_weights: Any
    template: Any  # options that lack their weights
    by_address: bool


@lru_cache
def _weighing(form: str, dtype: np.dtype[Any], shape: tuple[int, int, int]) -> Weighing:
    from jitloss_kernels import fused, labels, options, pointers, workers

    template, _ = fused.options_of(form, dtype, shape, 1.0, 1.0, 1, 0.0, None, _NO_WEIGHTS)
    arguments = _NO_LABELS, _NO_WEIGHTS, True, 0, 0, _NO_LABELS, _NO_WEIGHTS
    take = workers.entry(labels.take, "labels", arguments)
    return Weighing(take, options.with_weights, template, pointers.by_address())
