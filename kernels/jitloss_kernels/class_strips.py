"""Row losses once more, for strips that hold all classes of one sample, and for plain options.

What ``strips`` is to few classes, this is to many: sums stay in registers, from lane to lane too. Both are called with
the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .exponential import exponential
from .native import Native
from .samples import Sample
from .simd import INDEX
from .strips import N_NUMBERS

_DOUBLE = ir.DoubleType()
CLASS_STRIPS: dict[str, Native] = {}


def class_strip_loss(emit: Callable[..., None]) -> Callable[..., None]:
    """Enter a loss into the table CLASS_STRIPS, by its name in ``rows``."""

    def emit_all(vectors: Any, s: Any, step: Any, n_rows: Any, y: Any, n: Any, *others: Any) -> None:
        margin, power, scale, total, *_ = others
        emit(Sample(vectors, s, step, n_rows, y), margin, power, vectors.builder.bitcast(scale, _DOUBLE), total)

    CLASS_STRIPS[emit.__name__] = Native(f"{emit.__name__}_class_strip", N_NUMBERS, emit_all, exact=True)
    return emit


@class_strip_loss
def softmax(sample, margin, power, scale, total):
    """``rows.softmax``: one pass for the peak, one for exponentials and their sum, one for dscores."""
    vectors, builder = sample.vectors, sample.builder

    def larger(one, other):
        return builder.select(builder.fcmp_ordered(">", one, other), one, other)

    (peaks,) = sample.walk([sample.top()], lambda j, v, place, score, highest: [larger(score, highest)], begin=1)
    peak = sample.over_classes(peaks, larger)
    below, peak = builder.fsub(builder.load(sample.of_label), peak), vectors.splat(peak)

    def exponentiate(j, v, place, score, sum_):
        value = exponential(vectors, builder.fsub(score, peak))
        vectors.store(value, place)
        return [builder.fadd(sum_, sample.widened(value))]

    (sums,) = sample.walk([sample.zeros()], exponentiate)
    sum_ = sample.over_classes(sums, builder.fadd)
    log = builder.call(vectors.declare("llvm.log.f64", _DOUBLE, _DOUBLE), [sum_])
    sample.deliver(total, builder.fsub(log, sample.widened(below)), _DOUBLE(0.0))
    factor = vectors.splat(sample.narrowed(builder.fdiv(scale, sum_)))

    def slope(j, v, place, value):
        vectors.store(sample.normal(builder.fmul(value, factor)), place)
        return []

    sample.walk([], slope)
    builder.store(builder.fsub(builder.load(sample.of_label), sample.narrowed(scale)), sample.of_label)


@class_strip_loss
def weston_watkins(sample, margin, power, scale, total):
    """``rows.weston_watkins``: one pass for hinges, with −∞ in the place of the label's score."""
    vectors, builder = sample.vectors, sample.builder
    target = builder.load(sample.of_label)
    builder.store(vectors.element(float("-inf")), sample.of_label)
    of_label, scale = vectors.splat(target), sample.narrowed(scale)
    margins = vectors.splat(sample.narrowed(builder.bitcast(margin, _DOUBLE)))
    scales = vectors.splat(scale)
    squared = builder.icmp_signed("==", power, INDEX(2))

    def hinge(j, v, place, score, sum_, slopes):
        lacking = builder.fadd(builder.fsub(score, of_label), margins)
        cost, slope = sample.hinge(lacking, builder.fcmp_ordered("<=", lacking, vectors.zero), squared)
        vectors.store(builder.fmul(slope, scales), place)
        return builder.fadd(sum_, cost), builder.fadd(slopes, slope)

    costs, slopes = sample.walk([sample.zeros(), [vectors.zero] * 2], hinge)
    # The score of a label is no answer if it is infinite: 0 times infinity is NaN.
    nothing = builder.fmul(sample.widened(target), _DOUBLE(0.0))
    sample.deliver(total, builder.fadd(sample.over_classes(costs, builder.fadd), nothing), _DOUBLE(0.0))
    of_all = sample.over_classes(slopes, builder.fadd)
    builder.store(builder.fmul(builder.fneg(scale), of_all), sample.of_label)
