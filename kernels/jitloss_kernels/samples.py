"""A strip as LLVM IR: two vectors of lanes side by side, walked row by row; see ``rows``.

The vocabulary of ``strips``, ``class_strips`` and ``strip_weights``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .repeats import loop
from .simd import INDEX, Vectors

_DOUBLE = ir.DoubleType()
_TINY = {dtype().itemsize: np.finfo(dtype).tiny for dtype in (np.float32, np.float64)}


class Lanes:
    """The lanes of a strip, whatever they hold."""

    def __init__(self, vectors: Vectors, s: Any, step: Any, n_rows: Any) -> None:
        self.vectors, self.builder, self.n_rows = vectors, vectors.builder, n_rows
        self._s, self._step = vectors.pointer(s), step
        self._wide = ir.VectorType(_DOUBLE, vectors.length)

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

    def top(self) -> list[Any]:
        """The first row."""
        length = self.vectors.length
        return [self.vectors.load(self.builder.gep(self._s, [INDEX(v * length)])) for v in range(2)]

    def widened(self, value: Any) -> Any:
        """A number, or a vector of them, in float64."""
        return self._converted(value, self.builder.fpext, _DOUBLE, self._wide)

    def narrowed(self, value: Any) -> Any:
        """A number, or a vector of them, in the scores' dtype."""
        return self._converted(value, self.builder.fptrunc, self.vectors.element, self.vectors.type)

    def _converted(self, value: Any, convert: Callable[..., Any], element: ir.Type, vector: ir.Type) -> Any:
        wanted = vector if isinstance(value.type, ir.VectorType) else element
        return value if value.type == wanted else convert(value, wanted)

    def hinge(self, lacking: Any, is_nothing: Any, squared: Any) -> tuple[Any, Any]:
        """What it costs to lack so much of a margin, in float64, and its slope; where it `is_nothing`, 0."""
        builder, zero = self.builder, self.vectors.zero
        lacking = builder.select(is_nothing, zero, lacking)  # NaN, which is not <= 0, stays
        wide = self.widened(lacking)
        cost = builder.select(squared, builder.fmul(wide, wide), wide)
        step = builder.select(builder.fcmp_ordered("==", lacking, zero), zero, self.vectors.constant(1.0))
        return cost, builder.select(squared, builder.fadd(lacking, lacking), step)

    def normal(self, dscore: Any) -> Any:
        """0 where a dscore is below the normal numbers, which slow every product down."""
        is_below = self.builder.fcmp_ordered("<", dscore, self.vectors.constant(_TINY[self.vectors.item_bytes]))
        return self.builder.select(is_below, self.vectors.zero, dscore)

    def wide(self, number: Any) -> Any:
        """A float64 in all lanes."""
        return self.vectors.splat(_DOUBLE(number) if isinstance(number, float) else number, self._wide)

    def zeros(self) -> list[Any]:
        """0 in float64, twice."""
        return [self.wide(0.0)] * 2

    def deliver(self, total: Any, loss: Any, missed: Any) -> None:
        """Write the loss, and how many samples without weight have a loss that is NaN."""
        place = self.builder.inttoptr(total, _DOUBLE.as_pointer())
        self.builder.store(loss, place)
        self.builder.store(missed, self.builder.gep(place, [INDEX(1)]))


class Strip(Lanes):
    """Lanes that hold a sample each, and where their labels are."""

    def __init__(self, vectors: Vectors, s: Any, step: Any, n_rows: Any, y: Any, n: Any) -> None:
        super().__init__(vectors, s, step, n_rows)
        first = self.builder.inttoptr(y, INDEX.as_pointer())
        self.is_sample, self._labels = [], []
        for v in range(2):
            mask = vectors.first_lanes(self.builder.sub(n, INDEX(v * vectors.length)))
            self.is_sample.append(mask)
            self._labels.append(vectors.load_indices(self.builder.gep(first, [INDEX(v * vectors.length)]), mask))

    def is_label(self, j: Any, v: int) -> Any:
        """The lanes whose label is j."""
        labels = self._labels[v]
        number = j if labels.type.element == j.type else self.builder.trunc(j, labels.type.element)
        return self.builder.icmp_signed("==", labels, self.vectors.splat(number, labels.type))

    def over_samples(self, values: list[Any], combine: Callable[..., Any], neutral: float) -> Any:
        """All samples' float64 numbers in one."""
        builder = self.builder
        counted = [builder.select(m, v, self.wide(neutral)) for m, v in zip(self.is_sample, values, strict=True)]
        return self.vectors.folded(combine(*counted), combine)


class Sample(Lanes):
    """Lanes that hold the classes of one sample; what is left of the last row holds −∞."""

    def __init__(self, vectors: Vectors, s: Any, step: Any, n_rows: Any, y: Any) -> None:
        super().__init__(vectors, s, step, n_rows)
        builder, lanes = self.builder, 2 * vectors.length
        label = builder.load(builder.inttoptr(y, INDEX.as_pointer()))
        row = builder.mul(builder.sdiv(label, INDEX(lanes)), step)
        self.of_label = builder.gep(self._s, [builder.add(row, builder.srem(label, INDEX(lanes)))])

    def over_classes(self, values: list[Any], combine: Callable[..., Any]) -> Any:
        """All classes' numbers in one."""
        return self.vectors.folded(combine(*values), combine)
