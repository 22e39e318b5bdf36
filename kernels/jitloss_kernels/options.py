"""What is asked of a loss besides its scores: margins, targets and weights. They act in the row stage alone.

With w_i the weight of a sample and, for its label y, the *targets* ``t_c = hits[y] · [c = y] + base[c]`` of all
classes, softmax costs ``w_i Σ_c t_c (log Σ_j exp(s_j) − s_c)``; an SVM has no base and costs ``w_i hits[y]`` times its
loss. Label smoothing ε and class weights v are such targets: ``hits = (1 − ε) v`` and ``base = ε v / C``.

What weighs nothing costs exactly nothing, also where it is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from .jit import merged
from .pointers import given, load
from .shapes import panel_items

Place = int | np.ndarray  # of an array: see ``pointers.given``


class Options(NamedTuple):
    """One type for all calls, whatever they ask for."""

    margin: float
    power: int
    scale: float  # factor on every dscores: 1 / N for the mean
    plain: bool  # every sample weighs 1, has its label as its only target, and hands out no loss of its own
    base_sum: float
    hits: Place  # (C,) float64
    base: Place  # (C,) of the scores' dtype, filled up with zeros to whole panels
    weights: Place  # (N,) float64
    losses: Place  # (N,) of the scores' dtype: each sample's loss is written here
    row_loss: int  # the address of the loss, compiled for options of this kind,
    strip_loss: int  # or of its code for strips of this kind, where there is one; else 0


class Plain(NamedTuple("Fields", [(name, Any) for name in Options._fields])):  # type: ignore[misc]
    """Options that are plain, by another name: what is compiled for it leaves out all that weighs."""


# Of an Options whose arrays come as addresses, and of the same bits known to be plain.
_FIELDS = (types.float64, types.int64, types.float64, types.boolean, types.float64, *(types.int64,) * 6)
TYPE, PLAIN = types.NamedTuple(_FIELDS, Options), types.NamedTuple(_FIELDS, Plain)
_NOTHING = {char: np.empty(0, char) for char in "fd"}


def make(
    compiled: Callable[[str, str, bool, bool], tuple[int, int]],
    loss: str,
    dtype: np.dtype[Any],
    of_samples: bool,
    scale: float,
    margin: float = 1.0,
    power: int = 1,
    smoothing: float = 0.0,
    class_weight: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    losses: np.ndarray | None = None,
    n_classes: int = 0,
) -> tuple[Options, tuple[np.ndarray | None, ...]]:
    """The Options of a call, and the arrays that have to live as long as they are used.

    All arrays are contiguous and float64, but `losses`, which is of the compute `dtype`. `of_samples`: whether strips
    are (see ``rows``). `compiled` has `row_loss` and `strip_loss`, for a dtype's character, for plain options or others
    and for strips of samples or of classes; 0 where nothing is called by address.
    """
    plain = weights is class_weight is losses is None and not smoothing
    addresses = compiled(loss, dtype.char, plain, of_samples)
    by_address = addresses != (0, 0)
    if plain and by_address:
        return _plain(addresses, scale, margin, power), ()
    hits = base = None
    base_sum = 0.0
    if smoothing or class_weight is not None:
        per_class = np.ones(n_classes) if class_weight is None else class_weight
        hits = (1.0 - smoothing) * per_class
    if smoothing:
        panel = panel_items(dtype.itemsize)
        base = np.zeros(-(-n_classes // panel) * panel, dtype)
        base[:n_classes] = smoothing / n_classes * per_class
        base_sum = float(smoothing / n_classes * per_class.sum())
    arrays = (hits, base, weights, losses)
    if by_address:
        places: list[Place] = [0 if a is None else a.__array_interface__["data"][0] for a in arrays]
    else:
        kinds = ("d", dtype.char, "d", dtype.char)
        places = [_NOTHING[kind] if a is None else a for a, kind in zip(arrays, kinds, strict=True)]
    return Options(margin, power, scale, plain, base_sum, *places, *addresses), arrays


def with_weights(template: Options, scale: float, weights: Place) -> Options:
    """Options that differ from a `template` in these alone: ``make`` takes six times as long."""
    margin, power, _, plain, base_sum, hits, base, _, losses, row_loss, strip_loss = template
    return Options(margin, power, scale, plain, base_sum, hits, base, weights, losses, row_loss, strip_loss)


@lru_cache
def _plain(addresses: tuple[int, int], scale: float, margin: float, power: int) -> Options:
    """Nothing but a margin: made once for many calls."""
    return Options(margin, power, scale, True, 0.0, 0, 0, 0, 0, *addresses)


@merged
def weightless(options, label, sample):
    """Whether a sample counts for nothing."""
    hit = load(options.hits, label, 0.0) if given(options.hits) else 1.0
    return (given(options.weights) and load(options.weights, sample, 0.0) == 0) or hit + options.base_sum == 0
