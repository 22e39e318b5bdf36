"""A loss is one function of scores: it leaves the dscores in their place.

It works on a *strip*: a matrix of scores, `lanes` wide (a panel of ``tiles``), whose rows are contiguous and a
fixed step apart. All loops run along the lanes and fill vectors whatever the number of classes, because a strip holds
one of two things:

- ``SAMPLES``: each lane is a sample, each row a class (how few classes are kept). Nothing is added across lanes.
- ``CLASSES``: all of it is one sample, whose class c stands in row ``c // lanes``, lane ``c % lanes`` (how many classes
  are kept; what is left of the last row holds −∞, which costs nothing). What lanes have found is combined at the end.

A loss is called with

============  ====================================================================================
``s``         the scores, flat; the strip starts at ``s0``, its ``n_rows`` rows are ``step`` apart
``y``         labels; the strip's first sample is ``first``, and ``n`` of its lanes are samples
``options``   margins, targets, weights: see ``options``
``part``      (2, lanes) scratch of the scores' dtype, flat
``total``     (4, lanes) float64 scratch, flat: sums over classes, losses, weights, hits of each lane
============  ====================================================================================

and leaves in ``total[0]`` the sum of the losses, in ``total[1]`` how many samples without weight have a loss that is
NaN. Their dscores are 0; but 0 times NaN is NaN, so the gradients must pass over their rows of X. Losses are added up
in float64 whatever the scores.

Vectors in registers are faster yet: ``strips`` has code for strips of samples, ``class_strips`` for those of classes
where options are plain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from . import pointers
from .class_strips import CLASS_STRIPS
from .exponential import exp_nonpositive, smallest_normal
from .jit import Kernel, helper, merged, overload
from .native import call_code
from .options import PLAIN, TYPE
from .shapes import panel_items
from .strips import STRIPS
from .weighing import combine, settle_hinges, settle_logarithms, subtract_targets, take_targets

SAMPLES, CLASSES = False, True
# What a score takes, in flops of a matrix product.
SCORE_FLOPS = 64


class RowLoss(NamedTuple):
    """A loss, and a type that stands for it where its code is copied into a kernel instead of called."""

    kernel: Kernel
    tag: Any


class AnyLoss(NamedTuple):
    """Stands for all losses where they are called by address."""


class WestonWatkins(NamedTuple):
    """Stands for weston_watkins."""


class CrammerSinger(NamedTuple):
    """Stands for crammer_singer."""


class Softmax(NamedTuple):
    """Stands for softmax."""


ROWS: dict[str, RowLoss] = {}


def row_loss(tag: type) -> Callable[[Callable[..., Any]], Kernel]:
    """Enter a loss into the table ROWS, by its name."""

    def enter(function: Callable[..., Any]) -> Kernel:
        kernel = Kernel(function)
        ROWS[function.__name__] = RowLoss(kernel, tag())
        return kernel

    return enter


@row_loss(WestonWatkins)
def weston_watkins(s, s0, step, n_rows, one_sample, y, first, n, options, part, total):
    """Sum over j ≠ y of max(0, s_j − s_y + margin)^power: Weston and Watkins (1999)."""
    lanes, zero, one = panel_items(s.itemsize), s.dtype.type(0), s.dtype.type(1)
    margin = s.dtype.type(options.margin)
    _take_labels(s, s0, step, one_sample, y, first, n, part, total, lanes)
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        if options.power == 1:
            for i in range(lanes):
                lacking = row[i] - part[i] + margin
                hinge = zero if lacking <= 0 else lacking  # NaN, which is not <= 0, stays
                total[i] += np.float64(hinge)
                row[i] = zero if hinge == 0 else one
        else:
            for i in range(lanes):
                lacking = row[i] - part[i] + margin
                hinge = zero if lacking <= 0 else lacking
                total[i] += np.float64(hinge) * np.float64(hinge)
                row[i] = hinge + hinge
    if one_sample:
        combine(total, 0, lanes)
    settle_hinges(options, y, one_sample, first, n, part, total, lanes)
    _slope(s, s0, step, n_rows, one_sample, y, first, n, part, lanes)


@row_loss(CrammerSinger)
def crammer_singer(s, s0, step, n_rows, one_sample, y, first, n, options, part, total):
    """max over j ≠ y of max(0, s_j − s_y + margin)^power, the slope at the first such j: Crammer and Singer (2001)."""
    lanes, zero, one = panel_items(s.itemsize), s.dtype.type(0), s.dtype.type(1)
    margin = s.dtype.type(options.margin)
    _take_labels(s, s0, step, one_sample, y, first, n, part, total, lanes)
    for i in range(lanes):
        part[lanes + i] = zero
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            row[i] = row[i] - part[i] + margin
            worst = part[lanes + i]
            # The largest so far; NaN, once there, stays: nothing is <= it, and it is not equal to itself.
            part[lanes + i] = worst if row[i] <= worst or worst != worst else row[i]
    if one_sample:
        worst = part[lanes]
        for i in range(1, lanes):
            worst = worst if part[lanes + i] <= worst or worst != worst else part[lanes + i]
        for i in range(lanes):
            part[lanes + i] = worst
    # What is left to do for each lane: 1 at the first class that lacks as much as the worst, 0 at all others.
    for i in range(lanes):
        total[i] = 0.0 if part[lanes + i] == 0 else 1.0
    if one_sample:
        _mark_first(s, s0, step, n_rows, part[lanes], total, lanes)
    else:
        for j in range(n_rows):
            row = s[s0 + j * step : s0 + j * step + lanes]
            for i in range(lanes):
                found = row[i] == part[lanes + i] and total[i] != 0
                total[i] = 0.0 if found else total[i]
                row[i] = one if found else zero
    for i in range(lanes):
        worst = np.float64(part[lanes + i])
        total[i] = worst if options.power == 1 else worst * worst
    if options.power == 2:
        for j in range(n_rows):
            row = s[s0 + j * step : s0 + j * step + lanes]
            for i in range(lanes):
                row[i] *= zero if row[i] == 0 else part[lanes + i] + part[lanes + i]
    settle_hinges(options, y, one_sample, first, n, part, total, lanes)
    _slope(s, s0, step, n_rows, one_sample, y, first, n, part, lanes)


@row_loss(Softmax)
def softmax(s, s0, step, n_rows, one_sample, y, first, n, options, part, total):
    """log Σ_j exp(s_j) − s_y, shifted by the largest score so that no exponential overflows: Bridle (1989)."""
    lanes, zero = panel_items(s.itemsize), s.dtype.type(0)
    tiny = smallest_normal(zero)
    for i in range(lanes):
        part[i] = s[s0 + i]
        total[i] = 0.0
    for j in range(1, n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            part[i] = row[i] if row[i] > part[i] else part[i]
    if one_sample:
        largest = part[0]
        for i in range(1, lanes):
            largest = part[i] if part[i] > largest else largest
        for i in range(lanes):
            part[i] = largest
    for i in range(n):
        part[lanes + i] = s[_label(s0, step, lanes, one_sample, y[first + i], i)]
    take_targets(options, s, s0, step, n_rows, one_sample, y, first, n, part, total, lanes)
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            row[i] = exp_nonpositive(row[i] - part[i])
        for i in range(lanes):  # apart: converting in between would halve the vectors of float32
            total[i] += np.float64(row[i])
    if one_sample:
        combine(total, 0, lanes)
    settle_logarithms(options, s, s0, step, n_rows, one_sample, first, n, part, total, lanes)
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            dscore = row[i] * part[i]
            row[i] = zero if dscore < tiny else dscore  # a number below the normal ones slows every product down
    subtract_targets(options, s, s0, step, n_rows, one_sample, n, part, total, lanes)
    for i in range(n):
        s[_label(s0, step, lanes, one_sample, y[first + i], i)] -= part[lanes + i]


@merged
def _mark_first(s, s0, step, n_rows, worst, total, lanes):
    """1 at the first class of one sample that lacks as much as the `worst`, if that is anything; 0 at all others."""
    open_ = total[0] != 0
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            found = open_ and row[i] == worst
            open_ = open_ and not found
            row[i] = 1 if found else 0


@merged
def _take_labels(s, s0, step, one_sample, y, first, n, part, total, lanes):
    """Put the score of each lane's label into `part`, and −∞, below every margin, into its place; clear the sums."""
    for i in range(lanes):
        part[i] = 0
        total[i] = 0.0
    for i in range(n):
        label = _label(s0, step, lanes, one_sample, y[first + i], i)
        part[i] = s[label]
        s[label] = -np.inf
    if one_sample:
        for i in range(1, lanes):
            part[i] = part[0]


@merged
def _slope(s, s0, step, n_rows, one_sample, y, first, n, part, lanes):
    """Put factors on the slopes that the classes of an SVM have, and what they add up to into the label's place."""
    zero = s.dtype.type(0)
    for i in range(lanes):
        part[i] = zero
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            part[i] += row[i]
            row[i] = zero if part[lanes + i] == 0 else row[i] * part[lanes + i]
    if one_sample:
        combine(part, 0, lanes)
    for i in range(lanes):
        part[i] = zero if part[lanes + i] == 0 else -part[lanes + i] * part[i]
    for i in range(n):
        s[_label(s0, step, lanes, one_sample, y[first + i], i)] = part[i]


def rows(loss, s, s0, step, n_rows, one_sample, y, first, n, options, part, total):
    """Run a loss on a strip; `loss` is what ``tag`` returns for it."""
    _of_tag(type(loss)).python(s, s0, step, n_rows, one_sample, y, first, n, options, part, total)


@overload(rows)
def _rows_compiled(loss, s, s0, step, n_rows, one_sample, y, first, n, options, part, total):
    if pointers.by_address():

        def through_pointer(loss, s, s0, step, n_rows, one_sample, y, first, n, options, part, total):
            if options.strip_loss != 0:
                call_code(options.strip_loss, (
                    s, s0, step, n_rows, y, first, n, options.margin, options.power, options.scale, total, 0,
                    first, options.weights, options.hits, options.base, options.base_sum, options.losses,
                ))  # fmt: skip
            else:
                pointers.call(options.row_loss, (s, s0, step, n_rows, one_sample, y, first, n, options, part, total))

        return through_pointer
    row_loss = helper(_of_tag(loss.instance_class).python)

    def directly(loss, s, s0, step, n_rows, one_sample, y, first, n, options, part, total):
        row_loss(s, s0, step, n_rows, one_sample, y, first, n, options, part, total)

    return directly  # so that an IndexError reaches the caller


_TYPES = {"f": "float32", "d": "float64"}


@cache
def compiled(loss, char, plain, of_samples):
    """The addresses of a loss, by its name, as options hold them; for scores of a dtype, by its character.

    The name of a dtype would take longer to ask for than all else that is done here.
    """
    if not pointers.by_address():
        return 0, 0
    if of_samples and loss in STRIPS:
        code = STRIPS[loss].plain if plain else STRIPS[loss].weighed
        return 0, code.address(_TYPES[char])
    if plain and not of_samples and loss in CLASS_STRIPS:
        return 0, CLASS_STRIPS[loss].address(_TYPES[char])
    index = types.int64
    scores, labels, totals = (types.Array(getattr(types, name), 1, "C") for name in (_TYPES[char], "int64", "float64"))
    options = PLAIN if plain else TYPE
    signature = (scores, index, index, index, index, labels, index, index, options, scores, totals)
    return pointers.address_of(ROWS[loss].kernel, signature), 0


def tag(loss):
    """What a kernel is compiled for: the loss where its code is copied in, else any."""
    return AnyLoss() if pointers.by_address() else ROWS[loss].tag


def _of_tag(tag):
    """The kernel that a type stands for."""
    (kernel,) = (row.kernel for row in ROWS.values() if type(row.tag) is tag)
    return kernel


@merged
def _label(s0, step, lanes, one_sample, label, lane):
    """Where the score of `label` stands."""
    if one_sample:
        return s0 + label // lanes * step + label % lanes
    return s0 + label * step + lane
