"""What the samples of a strip weigh: from sums over their classes to losses, and to factors on their dscores.

The four functions without an underscore are all that a loss of ``rows`` has to do with options. Compiled for PLAIN
options they leave out everything that weighs, and take half as long to compile. Arguments are those of ``rows``.

Where all lanes are samples loops have a length that is known when they are compiled: they are made of whole vectors.
"""

from __future__ import annotations

from math import log

import numpy as np

from .jit import merged, overload
from .logarithm import log_from_one
from .options import PLAIN
from .pointers import given, load, store


@merged
def combine(parts, at, lanes):
    """Put the sum of all lanes into every lane; in order, one after the other."""
    total = parts[at]
    for i in range(1, lanes):
        total += parts[at + i]
    for i in range(lanes):
        parts[at + i] = total


def settle_hinges(options, y, one_sample, first, n, part, total, lanes):
    """The loss of a strip of an SVM; factors on its slopes go to the second half of `part`."""
    if options.plain:
        _add_hinges(n, options.scale, part, total, lanes)
    else:
        _take_weights(y, first, n, options.weights, options.hits, total, lanes)
        _weigh_hinges(one_sample, n, options.scale, part, total, lanes)
        _hand_out(first, n, options.losses, part.dtype.type, total, lanes)


@overload(settle_hinges)
def _settle_hinges_compiled(options, y, one_sample, first, n, part, total, lanes):
    def plainly(options, y, one_sample, first, n, part, total, lanes):
        _add_hinges(n, options.scale, part, total, lanes)

    return plainly if options is PLAIN else settle_hinges


def take_targets(options, s, s0, step, n_rows, one_sample, y, first, n, part, total, lanes):
    """The weights of a strip's samples, and what their scores cost before the logarithm."""
    if not options.plain:
        _take_weights(y, first, n, options.weights, options.hits, total, lanes)
        for i in range(lanes):
            total[lanes + i] = total[3 * lanes + i] * np.float64(part[i] - part[lanes + i]) if i < n else 0.0
        if options.base_sum != 0:
            _add_base(s, s0, step, n_rows, one_sample, options.base, part, total, lanes)


@overload(take_targets)
def _take_targets_compiled(options, s, s0, step, n_rows, one_sample, y, first, n, part, total, lanes):
    if options is PLAIN:
        return lambda options, s, s0, step, n_rows, one_sample, y, first, n, part, total, lanes: None
    return take_targets


def settle_logarithms(options, s, s0, step, n_rows, one_sample, first, n, part, total, lanes):
    """The loss of a strip of a softmax; factors on exponentials, and on targets, go to `part`."""
    if options.plain:
        _add_logarithms(n, options.scale, part, total, lanes)
    else:
        _weigh_logarithms(one_sample, n, options.scale, options.base_sum, part, total, lanes)
        _hand_out(first, n, options.losses, part.dtype.type, total, lanes)
        if total[1] > 0:
            _clear_weightless(s, s0, step, n_rows, part, lanes)


@overload(settle_logarithms)
def _settle_logarithms_compiled(options, s, s0, step, n_rows, one_sample, first, n, part, total, lanes):
    def plainly(options, s, s0, step, n_rows, one_sample, first, n, part, total, lanes):
        _add_logarithms(n, options.scale, part, total, lanes)

    return plainly if options is PLAIN else settle_logarithms


def subtract_targets(options, s, s0, step, n_rows, one_sample, n, part, total, lanes):
    """Take the base of the targets off the dscores; what is taken off the label's goes to `part`."""
    if not options.plain:
        if options.base_sum != 0:
            _subtract_base(s, s0, step, n_rows, one_sample, options.base, part, lanes)
        for i in range(lanes):
            part[lanes + i] *= part.dtype.type(total[3 * lanes + i])


@overload(subtract_targets)
def _subtract_targets_compiled(options, s, s0, step, n_rows, one_sample, n, part, total, lanes):
    if options is PLAIN:
        return lambda options, s, s0, step, n_rows, one_sample, n, part, total, lanes: None
    return subtract_targets


@merged
def _take_weights(y, first, n, weights, hits, total, lanes):
    """The weight of each sample of a strip, and what it counts towards its label."""
    for i in range(2 * lanes):
        total[2 * lanes + i] = 1.0
    if given(weights) and n == lanes:
        for i in range(lanes):
            total[2 * lanes + i] = load(weights, first + i, 0.0)
    elif given(weights):
        for i in range(n):
            total[2 * lanes + i] = load(weights, first + i, 0.0)
    if given(hits):
        for i in range(n):
            total[3 * lanes + i] = load(hits, y[first + i], 0.0)


@merged
def _add_hinges(n, scale, part, total, lanes):
    """The loss of a strip whose samples all weigh 1.

    The score of a label, still in `part`, is no answer if it is infinite: 0 times infinity is NaN.
    """
    loss = 0.0
    if n == lanes:
        for i in range(lanes):
            loss += total[i] + 0.0 * np.float64(part[i])
    else:
        for i in range(n):
            loss += total[i] + 0.0 * np.float64(part[i])
    for i in range(lanes):
        part[lanes + i] = scale
    total[0], total[1] = loss, 0.0


@merged
def _weigh_hinges(one_sample, n, scale, part, total, lanes):
    """Weigh the losses of an SVM; factors on its slopes go to the second half of `part`."""
    missed = 0.0
    for i in range(lanes):
        factor = total[2 * lanes + i] * total[3 * lanes + i] if i < n else 0.0
        found = total[i] + 0.0 * np.float64(part[i])
        total[lanes + i] = factor * found if factor != 0 else 0.0
        missed += 1.0 if factor == 0 and found != found and i < n else 0.0
        part[lanes + i] = factor * scale
    if one_sample:
        for i in range(1, lanes):
            part[lanes + i] = part[lanes]
    total[1] = missed


@merged
def _add_base(s, s0, step, n_rows, one_sample, base, peak, total, lanes):
    """Σ_c base_c (peak − s_c) of each sample, added to its loss; what has no base costs nothing, −∞ or not."""
    for j in range(n_rows):
        for i in range(lanes):
            target = load(base, j * lanes + i if one_sample else j, peak[i])
            total[lanes + i] += np.float64(target * (peak[i] - s[s0 + j * step + i])) if target != 0 else 0.0
    if one_sample:
        combine(total, lanes, lanes)


@merged
def _subtract_base(s, s0, step, n_rows, one_sample, base, part, lanes):
    """Take the base of the targets off the dscores."""
    for j in range(n_rows):
        for i in range(lanes):
            target = load(base, j * lanes + i if one_sample else j, part[i])
            s[s0 + j * step + i] -= part[lanes + i] * target


@merged
def _add_logarithms(n, scale, part, total, lanes):
    """The loss of a strip whose samples all weigh 1; factors on exponentials, and on onehot(y), go to `part`."""
    # One logarithm for all: a sum lies between 1 and C, so no product of a strip's leaves the range of float64.
    loss, product = 0.0, 1.0
    for i in range(n):
        loss += np.float64(part[i] - part[lanes + i])
        product *= total[i]
    for i in range(lanes):
        part[i] = scale / total[i]
        part[lanes + i] = scale
    total[0], total[1] = loss + log(product), 0.0


@merged
def _weigh_logarithms(one_sample, n, scale, base_sum, part, total, lanes):
    """Weigh the losses of a softmax; factors as in _add_logarithms.

    Σ_c t_c goes with the logarithm, and with the probabilities.
    """
    missed = 0.0
    for i in range(lanes):
        targets = total[3 * lanes + i] + base_sum
        weight = total[2 * lanes + i] if targets != 0 and i < n else 0.0
        found = total[lanes + i] + targets * log_from_one(total[i])
        total[lanes + i] = weight * found if weight != 0 else 0.0
        missed += 1.0 if weight == 0 and found != found and i < n else 0.0
        part[i] = weight * scale * targets / total[i] if weight != 0 else 0.0
        part[lanes + i] = weight * scale
    if one_sample:
        for i in range(1, lanes):
            part[i], part[lanes + i] = part[0], part[lanes]
    total[1] = missed


@merged
def _clear_weightless(s, s0, step, n_rows, part, lanes):
    """0 in place of exponentials whose factor is 0: they may be NaN."""
    for j in range(n_rows):
        for i in range(lanes):
            if part[i] == 0:
                s[s0 + j * step + i] = 0


@merged
def _hand_out(first, n, losses, item, total, lanes):
    """Add up a strip's losses; each goes to its place if that is asked for."""
    loss = 0.0
    for i in range(lanes):
        loss += total[lanes + i]  # 0 where there is no sample
    if given(losses):
        for i in range(n):
            store(losses, first + i, item(total[lanes + i]))
    total[0] = loss
