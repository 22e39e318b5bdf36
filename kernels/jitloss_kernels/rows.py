"""A loss is one function of scores: it leaves the dscores in their place, and the sum of the losses in total[0].

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
``scale``     factor on every dscores: 1 / N for the mean
``peak``      (lanes,) scratch of the scores' dtype
``total``     (lanes,) float64 scratch: sums are added up in float64 whatever the scores
============  ====================================================================================
"""

from __future__ import annotations

from math import log

import numpy as np
from numba import types
from numba.core import config
from numba.extending import overload

from . import pointers
from .exponential import exp_nonpositive, smallest_normal
from .jit import Kernel, helper, merged
from .shapes import panel_items
from .tags import TAGS, Softmax, Svm

SAMPLES, CLASSES = False, True
# What a score takes, in flops of a matrix product.
SCORE_FLOPS = 64


@Kernel
def svm(s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total):
    """Sum over j ≠ y of max(0, s_j − s_y + 1): Weston and Watkins (1999)."""
    lanes, zero, one = panel_items(s.itemsize), s.dtype.type(0), s.dtype.type(1)
    loss = 0.0
    for i in range(lanes):
        peak[i] = zero
        total[i] = 0.0
    # `peak` is the score of the label. Infinite, it is no answer: 0 times infinity is NaN.
    for i in range(n):
        label = _label(s0, step, lanes, one_sample, y[first + i], i)
        peak[i] = s[label]
        loss += 0.0 * float(peak[i])
        s[label] = -np.inf  # below every margin
    if one_sample:
        peak[:] = peak[0]
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            margin = row[i] - peak[i] + one
            hinge = zero if margin <= 0 else margin  # NaN, which is not <= 0, stays
            total[i] += np.float64(hinge)
            row[i] = zero if hinge == 0 else one
    for i in range(lanes if one_sample else n):
        loss += total[i]
    # From here on `peak` is the number of violated margins.
    for i in range(lanes):
        peak[i] = zero
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            peak[i] += row[i]
            row[i] *= scale
    if one_sample:
        _combine(peak)
    for i in range(n):
        s[_label(s0, step, lanes, one_sample, y[first + i], i)] = -scale * peak[i]
    total[0] = loss


@Kernel
def softmax(s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total):
    """log Σ_j exp(s_j) − s_y, shifted by the largest score so that no exponential overflows: Bridle (1989)."""
    lanes, loss, zero = panel_items(s.itemsize), 0.0, s.dtype.type(0)
    tiny = smallest_normal(zero)
    for i in range(lanes):
        peak[i] = s[s0 + i]
        total[i] = 0.0
    for j in range(1, n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            peak[i] = row[i] if row[i] > peak[i] else peak[i]
    if one_sample:
        largest = peak[0]
        for i in range(1, lanes):
            largest = peak[i] if peak[i] > largest else largest
        peak[:] = largest
    for i in range(n):
        loss -= float(s[_label(s0, step, lanes, one_sample, y[first + i], i)] - peak[i])
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            row[i] = exp_nonpositive(row[i] - peak[i])
        for i in range(lanes):  # apart: converting in between would halve the vectors of float32
            total[i] += np.float64(row[i])
    if one_sample:
        _combine(total)
    # One logarithm for all: a total lies between 1 and C, so no product of a strip's leaves the range of float64.
    product = 1.0
    for i in range(n):
        product *= total[i]
    loss += log(product)
    for i in range(lanes):
        peak[i] = scale / total[i]
    for j in range(n_rows):
        row = s[s0 + j * step : s0 + j * step + lanes]
        for i in range(lanes):
            dscore = row[i] * peak[i]
            row[i] = zero if dscore < tiny else dscore  # a number below the normal ones slows every product down
    for i in range(n):
        s[_label(s0, step, lanes, one_sample, y[first + i], i)] -= scale
    total[0] = loss


ROWS = {Svm: svm, Softmax: softmax}


def rows(address, loss, s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total):
    """The sum of the losses of a strip; `loss` is their tag, `address` what ``compiled`` returns for it."""
    ROWS[type(loss)].python(s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total)
    return total[0]


@overload(rows)
def _rows_compiled(address, loss, s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total):
    row_loss = helper(ROWS[loss.instance_class].python)

    def directly(address, loss, s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total):
        row_loss(s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total)
        return total[0]

    def through_pointer(address, loss, s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total):
        pointers.call(address, (s, s0, step, n_rows, one_sample, y, first, n, scale, peak, total))
        return total[0]

    return directly if config.BOUNDSCHECK else through_pointer  # there, an IndexError has to reach the caller


def compiled(loss, item_type):
    """The address of the row function of a loss, by its name, for "float32" or "float64" scores."""
    scores, labels, totals = (types.Array(getattr(types, name), 1, "C") for name in (item_type, "int64", "float64"))
    index = types.int64
    signature = (scores, index, index, index, index, labels, index, index, scores.dtype, scores, totals)
    return pointers.address_of(ROWS[type(TAGS[loss])], signature)


@merged
def _label(s0, step, lanes, one_sample, label, lane):
    """Where the score of `label` stands."""
    if one_sample:
        return s0 + label // lanes * step + label % lanes
    return s0 + label * step + lane


@merged
def _combine(parts):
    """Put the sum of all lanes into every lane; in order, one after the other."""
    total = parts[0]
    for i in range(1, len(parts)):
        total += parts[i]
    parts[:] = total
