"""A strip as LLVM IR: two vectors of lanes side by side, walked row by row; see ``rows``.

The vocabulary of ``strips``, ``class_strips`` and ``strip_weights``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .simd import INDEX, Vectors, loop

_DOUBLE = ir.DoubleType()


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
        """In float64."""
        return value if value.type == self._wide else self.builder.fpext(value, self._wide)

    def narrowed(self, value: Any) -> Any:
        """In the scores' dtype."""
        return value if value.type == self.vectors.type else self.builder.fptrunc(value, self.vectors.type)

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
