"""The tile that puts scores from one row a column into one row a class, or back (see ``pivots``)."""

import numpy as np

from .native import native
from .repeats import loop
from .simd import INDEX

# A score of a million has ten digits after the point.
_FARTHEST = 1e6


def exchange_tile(tile, s, s0, step, columns, pivot, n_marking):
    """Exchange the rows `pivot` and `columns`, the last one, of a matrix whose rows are `step` long, in whole vectors.

    What comes from the last row is NaN where one of the `n_marking` first rows has NaN or more than a million.
    """
    last = s0 + columns * step
    for i in range(step):
        moved = s[last + i]
        for j in range(n_marking):
            moved = moved if abs(s[s0 + j * step + i]) <= _FARTHEST else s.dtype.type(np.nan)
        s[last + i] = s[s0 + pivot * step + i]
        s[s0 + pivot * step + i] = moved


@native(exchange_tile)
def exchanging(vectors, s, step, columns, pivot, n_marking):
    builder, s_at = vectors.builder, vectors.pointer(s)
    far, unknown = (vectors.splat(vectors.element(value)) for value in (_FARTHEST, float("nan")))
    last, chosen = (builder.gep(s_at, [builder.mul(row, step)]) for row in (columns, pivot))

    def some_rows(i, _):
        def mark(j, moved):
            above = vectors.load(builder.gep(s_at, [builder.add(builder.mul(j, step), i)]))
            near = builder.fcmp_ordered("<=", vectors.absolute(above), far)
            return [builder.select(near, moved[0], unknown)]

        ones, others = builder.gep(last, [i]), builder.gep(chosen, [i])
        (moved,) = loop(builder, INDEX(0), n_marking, 1, [vectors.load(ones)], mark)
        vectors.store(vectors.load(others), ones)
        vectors.store(moved, others)
        return []

    loop(builder, INDEX(0), step, vectors.length, [], some_rows)
