"""What the samples of a strip weigh, as LLVM IR: from sums over their classes to losses and to factors on dscores.

The same as ``weighing``, in registers. A loss of ``strips`` is emitted twice, with one class or the other:

===========  ==========================================================================
``Alike``    every sample weighs 1 and has its label as its only target: nothing is read
``Weighed``  there may be weights, targets and places for losses; see ``options``
===========  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from .logarithm import logarithm
from .repeats import loop
from .samples import Strip
from .simd import INDEX

_DOUBLE = ir.DoubleType()
Pair = list[Any]  # of vectors: a number for each lane of a strip


class Given(NamedTuple):
    """Arguments of a strip loss that are about weights: addresses, 0 for none, and the bits of a float64."""

    first: Any  # the number of the strip's first sample
    weights: Any
    hits: Any
    base: Any
    base_sum: Any
    losses: Any


class Alike:
    """Every sample weighs 1."""

    def __init__(self, strip: Strip, scale: Any, given: Given) -> None:
        self._strip, self._builder = strip, strip.builder
        self._scale = strip.wide(self._builder.bitcast(scale, _DOUBLE))
        self.factors = [strip.narrowed(self._scale)] * 2  # on slopes of an SVM, and on what softmax takes off a label

    def hinges(self, total: Any, costs: Pair) -> None:
        """Deliver the loss of an SVM."""
        self._strip.deliver(total, self._strip.over_samples(costs, self._builder.fadd, 0.0), _DOUBLE(0.0))

    def base_costs(self, peaks: Pair) -> Pair:
        """What a softmax costs for targets that all classes have, before the logarithm."""
        return self._strip.zeros()

    def logarithms(self, total: Any, sums: Pair, below: Pair, base_costs: Pair) -> tuple[Pair, Pair]:
        """Deliver the loss of a softmax; returns factors on exponentials, and what is taken off the labels' dscores."""
        strip, builder = self._strip, self._builder
        # One logarithm for all: a sum lies between 1 and C, so no product of a strip's leaves the range of float64.
        product = strip.over_samples(sums, builder.fmul, 1.0)
        log = builder.call(strip.vectors.declare("llvm.log.f64", _DOUBLE, _DOUBLE), [product])
        lower = strip.over_samples([strip.widened(one) for one in below], builder.fadd, 0.0)
        strip.deliver(total, builder.fsub(log, lower), _DOUBLE(0.0))
        return [strip.narrowed(builder.fdiv(self._scale, sum_)) for sum_ in sums], self.factors

    def weighed(self, dscore: Any, factor: Any) -> Any:
        """The product of a dscore and its factor."""
        return self._builder.fmul(dscore, factor)

    def without_base(self, j: Any, v: int, dscore: Any) -> Any:
        """The dscore of class j less what its target is."""
        return dscore


class Weighed(Alike):
    """Samples have weights of their own, or more targets than one; what weighs nothing costs nothing, NaN or not."""

    def __init__(self, strip: Strip, scale: Any, given: Given) -> None:
        super().__init__(strip, scale, given)
        builder = self._builder
        self._given, self._one, self._zero = given, strip.wide(1.0), strip.wide(0.0)
        self._base_sum = strip.wide(builder.bitcast(given.base_sum, _DOUBLE))
        self._hits = self._where(given.hits, self._hits_of_labels, [self._one] * 2)
        self._targets = [builder.fadd(hit, self._base_sum) for hit in self._hits]
        weights = self._where(given.weights, self._weights_of_samples, [self._one] * 2)
        nothing = [builder.fcmp_ordered("==", targets, self._zero) for targets in self._targets]
        self._weights = [
            builder.select(none, self._zero, weight) for none, weight in zip(nothing, weights, strict=True)
        ]
        self._scaled = [builder.fmul(weight, self._scale) for weight in self._weights]
        # Hits are factors of their own for softmax, whose base they are no part of; an SVM has none.
        self._of_labels = [builder.fmul(*pair) for pair in zip(self._weights, self._hits, strict=True)]
        self.factors = [strip.narrowed(builder.fmul(weight, self._scale)) for weight in self._of_labels]

    def hinges(self, total: Any, costs: Pair) -> None:
        self._deliver(total, self._of_labels, costs)

    def base_costs(self, peaks: Pair) -> Pair:
        def walk() -> Pair:
            def cost(j: Any, v: int, place: Any, score: Any, sum_: Any) -> list[Any]:
                builder, base = self._builder, self._base_of(j)
                product = builder.fmul(base, builder.fsub(peaks[v], score))
                # What has no base costs nothing, −∞ or not.
                none = builder.fcmp_ordered("==", base, self._strip.vectors.zero)
                return [builder.fadd(sum_, self._strip.widened(builder.select(none, base, product)))]

            return self._strip.walk([self._strip.zeros()], cost)[0]

        return self._where(self._given.base, walk, self._strip.zeros())

    def logarithms(self, total: Any, sums: Pair, below: Pair, base_costs: Pair) -> tuple[Pair, Pair]:
        strip, builder = self._strip, self._builder
        costs, factors, of_labels = [], [], []
        for v in range(2):
            lower = builder.fmul(self._hits[v], strip.widened(below[v]))
            logs = builder.fmul(self._targets[v], logarithm(builder, sums[v]))
            costs.append(builder.fadd(builder.fsub(base_costs[v], lower), logs))
            factor = builder.fdiv(builder.fmul(self._scaled[v], self._targets[v]), sums[v])
            factors.append(strip.narrowed(self._unless_weightless(self._weights[v], factor)))
            of_labels.append(builder.fmul(strip.narrowed(self._scaled[v]), strip.narrowed(self._hits[v])))
        self._deliver(total, self._weights, costs)
        return factors, of_labels

    def weighed(self, dscore: Any, factor: Any) -> Any:
        none = self._builder.fcmp_ordered("==", factor, self._strip.vectors.zero)
        return self._builder.select(none, self._strip.vectors.zero, super().weighed(dscore, factor))

    def without_base(self, j: Any, v: int, dscore: Any) -> Any:
        def less() -> Pair:
            taken = self._builder.fmul(self._strip.narrowed(self._scaled[v]), self._base_of(j))
            return [self._builder.fsub(dscore, taken)]

        return self._where(self._given.base, less, [dscore])[0]

    def _where(self, address: Any, there: Callable[[], Pair], otherwise: Pair) -> Pair:
        """What comes of an array if there is one."""
        builder = self._builder
        begin = builder.block
        with builder.if_then(builder.icmp_signed("!=", address, INDEX(0))):
            values = there()
            inside = builder.block
        results = []
        for value, other in zip(values, otherwise, strict=True):
            result = builder.phi(value.type)
            result.add_incoming(value, inside)
            result.add_incoming(other, begin)
            results.append(result)
        return results

    def _weights_of_samples(self) -> Pair:
        """The weights; 0 where there is no sample."""
        strip = self._strip
        first = self._item(self._given.weights, self._given.first, _DOUBLE)
        return [
            strip.vectors.load_items(self._builder.gep(first, [INDEX(v * strip.vectors.length)]), _DOUBLE, mask)
            for v, mask in enumerate(strip.is_sample)
        ]

    def _hits_of_labels(self) -> Pair:
        """What a sample counts towards its label: looked for class by class, as labels are."""

        def look(j: Any, found: list[Any]) -> list[Any]:
            hit = self._strip.wide(self._builder.load(self._item(self._given.hits, j, _DOUBLE)))
            return [self._builder.select(self._strip.is_label(j, v), hit, found[v]) for v in range(2)]

        return loop(self._builder, INDEX(0), self._strip.n_rows, 1, self._strip.zeros(), look)

    def _base_of(self, j: Any) -> Any:
        """The target of class j besides labels', in all lanes."""
        vectors = self._strip.vectors
        return vectors.splat(self._builder.load(self._item(self._given.base, j, vectors.element)))

    def _item(self, address: Any, index: Any, element: ir.Type) -> Any:
        """The place of an item of an array."""
        return self._builder.gep(self._builder.inttoptr(address, element.as_pointer()), [index])

    def _unless_weightless(self, weight: Any, value: Any) -> Any:
        return self._builder.select(self._builder.fcmp_ordered("==", weight, self._zero), self._zero, value)

    def _deliver(self, total: Any, weights: Pair, costs: Pair) -> None:
        """Write the weighed loss, how many that weigh nothing are NaN, and each sample's loss where that is wanted."""
        strip, builder = self._strip, self._builder
        losses, missed = [], []
        for v in range(2):
            losses.append(self._unless_weightless(weights[v], builder.fmul(weights[v], costs[v])))
            nan = builder.fcmp_unordered("uno", costs[v], costs[v])
            is_missed = builder.and_(nan, builder.fcmp_ordered("==", weights[v], self._zero))
            missed.append(builder.select(is_missed, self._one, self._zero))
        with builder.if_then(builder.icmp_signed("!=", self._given.losses, INDEX(0))):
            first = self._item(self._given.losses, self._given.first, strip.vectors.element)
            for v, mask in enumerate(strip.is_sample):
                place = builder.gep(first, [INDEX(v * strip.vectors.length)])
                strip.vectors.store(strip.narrowed(losses[v]), place, mask)
        sums = (strip.over_samples(numbers, builder.fadd, 0.0) for numbers in (losses, missed))
        strip.deliver(total, *sums)
