"""Row losses once more, for strips whose lanes are samples and for plain options, in registers from row to row.

What they compute is said in ``rows``, whose loops keep everything in memory from one class to the next. Here a strip's
peaks, sums and labels' scores stay in registers, and a label is found by comparison in each row instead of looked up:
no number is read as a part of a vector that has just been written in parts. Called by address; see ``native``. A strip
loss is given

============  ====================================================================================
``s``         the address of the strip's scores: `n_rows` rows, `step` items apart
``y``         the address of its labels; `n` of its lanes are samples
``margin``    of an SVM, and the ``power`` of its hinge; the bits of a float64, and 1 or 2
``scale``     the factor on every dscore, the bits of a float64
``total``     where the loss goes, a float64; 0 after it, for no sample is without weight
============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from llvmlite import ir

from .exponential import exponential
from .native import Native
from .simd import INDEX, Vectors, loop

_DOUBLE = ir.DoubleType()
_TINY = {dtype().itemsize: np.finfo(dtype).tiny for dtype in (np.float32, np.float64)}
STRIPS: dict[str, Native] = {}


def strip_loss(emit: Callable[..., None]) -> Native:
    """Enter a loss into the table STRIPS, by its name in ``rows``."""
    # Exact, so that they add up in the order of ``rows``: weights of 1 change no bit of a gradient.
    n_numbers = len(signature(emit).parameters) - 1
    code = STRIPS[emit.__name__] = Native(f"{emit.__name__}_strip", n_numbers, emit, exact=True)
    return code


class _Strip:
    """A panel of lanes, two vectors side by side, and where their labels are."""

    def __init__(self, vectors: Vectors, s: Any, step: Any, n_rows: Any, y: Any, n: Any) -> None:
        self.vectors, self.builder, self.n_rows = vectors, vectors.builder, n_rows
        self._s, self._step, length = vectors.pointer(s), step, vectors.length
        self._wide = ir.VectorType(_DOUBLE, length)
        first = self.builder.inttoptr(y, INDEX.as_pointer())
        self.is_sample, self._labels = [], []
        for v in range(2):
            mask = vectors.first_lanes(self.builder.sub(n, INDEX(v * length)))
            self.is_sample.append(mask)
            self._labels.append(vectors.load_indices(self.builder.gep(first, [INDEX(v * length)]), mask))

    def walk(self, carried: list[list[Any]], row: Callable[..., Any], begin: int = 0) -> list[list[Any]]:
        """Call ``row(j, v, place, score, *carried)`` for both vectors of each row; it returns what is carried on."""
        vectors, builder, n_carried = self.vectors, self.builder, len(carried)

        def both(j: Any, values: list[Any]) -> list[Any]:
            after = []
            for v in range(2):
                at = builder.add(builder.mul(j, self._step), INDEX(v * vectors.length))
                place = builder.gep(self._s, [at])
                after += row(j, v, place, vectors.load(place), *values[v * n_carried : (v + 1) * n_carried])
            return after

        flat = [value[v] for v in range(2) for value in carried]
        flat = loop(builder, INDEX(begin), self.n_rows, 1, flat, both)
        return [[flat[i], flat[n_carried + i]] for i in range(n_carried)]

    def is_label(self, j: Any, v: int) -> Any:
        """The lanes whose label is j."""
        labels = self._labels[v]
        number = j if labels.type.element == j.type else self.builder.trunc(j, labels.type.element)
        return self.builder.icmp_signed("==", labels, self.vectors.splat(number, labels.type))

    def widened(self, value: Any) -> Any:
        """In float64."""
        return value if value.type == self._wide else self.builder.fpext(value, self._wide)

    def narrowed(self, value: Any) -> Any:
        """In the scores' dtype."""
        return value if value.type == self.vectors.type else self.builder.fptrunc(value, self.vectors.type)

    def wide(self, number: Any) -> Any:
        """A float64 in all lanes."""
        return self.vectors.splat(_DOUBLE(number) if isinstance(number, float) else number, self._wide)

    def over_samples(self, values: list[Any], combine: Callable[..., Any], neutral: float) -> Any:
        """All samples' float64 numbers in one."""
        builder = self.builder
        counted = [builder.select(m, v, self.wide(neutral)) for m, v in zip(self.is_sample, values, strict=True)]
        return self.vectors.folded(combine(*counted), combine)

    def deliver(self, total: Any, loss: Any) -> None:
        """Write the loss, and that no sample is without weight."""
        place = self.builder.inttoptr(total, _DOUBLE.as_pointer())
        self.builder.store(loss, place)
        self.builder.store(_DOUBLE(0.0), self.builder.gep(place, [INDEX(1)]))


@strip_loss
def softmax(vectors, s, step, n_rows, y, n, margin, power, scale, total):
    """``rows.softmax``: one pass for the peaks, one for exponentials and their sums, one for dscores."""
    builder, strip = vectors.builder, _Strip(vectors, s, step, n_rows, y, n)

    def peak(j, v, place, score, highest):
        return [builder.select(builder.fcmp_ordered(">", score, highest), score, highest)]

    tops = [vectors.load(builder.gep(vectors.pointer(s), [INDEX(v * vectors.length)])) for v in range(2)]
    (peaks,) = strip.walk([tops], peak, begin=1)

    def exponentiate(j, v, place, score, sum_, target):
        below = builder.fsub(score, peaks[v])
        value = exponential(vectors, below)
        vectors.store(value, place)
        return builder.fadd(sum_, strip.widened(value)), builder.select(strip.is_label(j, v), below, target)

    sums, targets = strip.walk([[strip.wide(0.0)] * 2, [vectors.zero] * 2], exponentiate)
    # One logarithm for all: a sum lies between 1 and C, so no product of a strip's leaves the range of float64.
    product = strip.over_samples(sums, builder.fmul, 1.0)
    logarithm = builder.call(vectors.declare("llvm.log.f64", _DOUBLE, _DOUBLE), [product])
    below = strip.over_samples([strip.widened(target) for target in targets], builder.fadd, 0.0)
    strip.deliver(total, builder.fsub(logarithm, below))
    scale = strip.wide(builder.bitcast(scale, _DOUBLE))
    factors, whole = [strip.narrowed(builder.fdiv(scale, sum_)) for sum_ in sums], strip.narrowed(scale)
    tiny = vectors.constant(_TINY[vectors.item_bytes])

    def slope(j, v, place, value):
        dscore = builder.fmul(value, factors[v])
        dscore = builder.select(builder.fcmp_ordered("<", dscore, tiny), vectors.zero, dscore)
        of_label = builder.select(strip.is_label(j, v), whole, vectors.zero)
        vectors.store(builder.fsub(dscore, of_label), place)
        return []

    strip.walk([], slope)


@strip_loss
def weston_watkins(vectors, s, step, n_rows, y, n, margin, power, scale, total):
    """``rows.weston_watkins``: one pass for the labels' scores, one for hinges, one for the labels' dscores."""
    builder, strip = vectors.builder, _Strip(vectors, s, step, n_rows, y, n)

    def find(j, v, place, score, target):
        return [builder.select(strip.is_label(j, v), score, target)]

    (targets,) = strip.walk([[vectors.zero] * 2], find)
    margin, scale = (strip.narrowed(strip.wide(builder.bitcast(number, _DOUBLE))) for number in (margin, scale))
    squared = builder.icmp_signed("==", power, INDEX(2))
    one = vectors.constant(1.0)

    def hinge(j, v, place, score, sum_, slopes):
        lacking = builder.fadd(builder.fsub(score, targets[v]), margin)
        kept = builder.or_(builder.fcmp_ordered("<=", lacking, vectors.zero), strip.is_label(j, v))
        lacking = builder.select(kept, vectors.zero, lacking)  # NaN, which is not <= 0, stays
        wide = strip.widened(lacking)
        cost = builder.select(squared, builder.fmul(wide, wide), wide)
        step_ = builder.select(builder.fcmp_ordered("==", lacking, vectors.zero), vectors.zero, one)
        slope = builder.select(squared, builder.fadd(lacking, lacking), step_)
        vectors.store(builder.fmul(slope, scale), place)
        return builder.fadd(sum_, cost), builder.fadd(slopes, slope)

    costs, slopes = strip.walk([[strip.wide(0.0)] * 2, [vectors.zero] * 2], hinge)
    # The score of a label is no answer if it is infinite: 0 times infinity is NaN.
    zeros = [builder.fmul(strip.widened(target), strip.wide(0.0)) for target in targets]
    costs = [builder.fadd(*pair) for pair in zip(costs, zeros, strict=True)]
    strip.deliver(total, strip.over_samples(costs, builder.fadd, 0.0))
    of_labels = [builder.fmul(builder.fneg(scale), slope) for slope in slopes]

    def settle(j, v, place, dscore):
        vectors.store(builder.select(strip.is_label(j, v), of_labels[v], dscore), place)
        return []

    strip.walk([], settle)
