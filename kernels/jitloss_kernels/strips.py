"""Row losses once more, for strips whose lanes are samples, in registers from row to row.

What they compute is said in ``rows``, whose loops keep everything in memory from one class to the next. Here a strip's
peaks, sums and labels' scores stay in registers, and a label is found by comparison in each row instead of looked up:
no number is read as a part of a vector that has just been written in parts. Each is there twice, for plain options and
for others (``strip_weights``). Called by address; see ``native``. A strip loss is given

============  ====================================================================================
``s``         the address of the strip's scores: `n_rows` rows, `step` items apart
``y``         the address of its labels; `n` of its lanes are samples
``margin``    of an SVM, and the ``power`` of its hinge; the bits of a float64, and 1 or 2
``scale``     the factor on every dscore, the bits of a float64
``total``     where two float64 go: the loss, and how many samples without weight have one that is NaN
``first``     and what else ``strip_weights.Given`` names
============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from .exponential import exponential
from .native import Native
from .samples import Strip
from .simd import INDEX
from .strip_weights import Alike, Given, Weighed

_DOUBLE = ir.DoubleType()
N_NUMBERS = 9 + len(Given._fields)


class StripLoss(NamedTuple):
    """The code of a loss: for samples that weigh all alike, and for any."""

    plain: Native
    weighed: Native


STRIPS: dict[str, StripLoss] = {}


def strip_loss(emit: Callable[..., None]) -> Callable[..., None]:
    """Enter a loss into the table STRIPS, by its name in ``rows``."""

    def of(weights: type[Alike]) -> Callable[..., None]:
        def emit_for(vectors: Any, s: Any, step: Any, n_rows: Any, y: Any, n: Any, *others: Any) -> None:
            margin, power, scale, total, *given = others
            strip = Strip(vectors, s, step, n_rows, y, n)
            emit(strip, weights(strip, scale, Given(*given)), margin, power, total)

        return emit_for

    # Exact, so that they add up in the order of ``rows``: weights of 1 change no bit of a gradient.
    STRIPS[emit.__name__] = StripLoss(
        Native(f"{emit.__name__}_strip", N_NUMBERS, of(Alike), exact=True),
        Native(f"{emit.__name__}_strip_weighed", N_NUMBERS, of(Weighed), exact=True),
    )
    return emit


@strip_loss
def softmax(strip, weights, margin, power, total):
    """``rows.softmax``: one pass for the peaks, one for exponentials and their sums, one for dscores."""
    vectors, builder = strip.vectors, strip.builder

    def peak(j, v, place, score, highest):
        return [builder.select(builder.fcmp_ordered(">", score, highest), score, highest)]

    (peaks,) = strip.walk([strip.top()], peak, begin=1)
    base_costs = weights.base_costs(peaks)

    def exponentiate(j, v, place, score, sum_, target):
        below = builder.fsub(score, peaks[v])
        value = exponential(vectors, below)
        vectors.store(value, place)
        return builder.fadd(sum_, strip.widened(value)), builder.select(strip.is_label(j, v), below, target)

    sums, targets = strip.walk([strip.zeros(), [vectors.zero] * 2], exponentiate)
    factors, of_labels = weights.logarithms(total, sums, targets, base_costs)

    def slope(j, v, place, value):
        dscore = weights.without_base(j, v, strip.normal(weights.weighed(value, factors[v])))
        of_label = builder.select(strip.is_label(j, v), of_labels[v], vectors.zero)
        vectors.store(builder.fsub(dscore, of_label), place)
        return []

    strip.walk([], slope)


@strip_loss
def weston_watkins(strip, weights, margin, power, total):
    """``rows.weston_watkins``: one pass for the labels' scores, one for hinges, one for the labels' dscores."""
    vectors, builder = strip.vectors, strip.builder

    def find(j, v, place, score, target):
        return [builder.select(strip.is_label(j, v), score, target)]

    (targets,) = strip.walk([[vectors.zero] * 2], find)
    margin = strip.narrowed(strip.wide(builder.bitcast(margin, _DOUBLE)))
    squared = builder.icmp_signed("==", power, INDEX(2))

    def hinge(j, v, place, score, sum_, slopes):
        lacking = builder.fadd(builder.fsub(score, targets[v]), margin)
        kept = builder.or_(builder.fcmp_ordered("<=", lacking, vectors.zero), strip.is_label(j, v))
        cost, slope = strip.hinge(lacking, kept, squared)
        vectors.store(weights.weighed(slope, weights.factors[v]), place)
        return builder.fadd(sum_, cost), builder.fadd(slopes, slope)

    costs, slopes = strip.walk([strip.zeros(), [vectors.zero] * 2], hinge)
    # The score of a label is no answer if it is infinite: 0 times infinity is NaN.
    zeros = [builder.fmul(strip.widened(target), strip.wide(0.0)) for target in targets]
    weights.hinges(total, [builder.fadd(*pair) for pair in zip(costs, zeros, strict=True)])
    of_labels = [weights.weighed(slope, builder.fneg(weights.factors[v])) for v, slope in enumerate(slopes)]

    def settle(j, v, place, dscore):
        vectors.store(builder.select(strip.is_label(j, v), of_labels[v], dscore), place)
        return []

    strip.walk([], settle)
