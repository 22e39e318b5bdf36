"""The tile that puts scores from one row a column into one row a class, or back (see ``pivots``)."""

from functools import cache

import numpy as np
from numba import types
from numba.core import config
from numba.extending import intrinsic, overload

from . import pointers
from .jit import Kernel
from .pointers import place
from .simd import INDEX, Vectors, loop

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


@overload(exchange_tile)
def _exchange_tile_compiled(tile, s, s0, step, columns, pivot, n_marking):
    if config.BOUNDSCHECK:
        return exchange_tile

    def through_pointer(tile, s, s0, step, columns, pivot, n_marking):
        pointers.call(tile, (place(s, s0), step, columns, pivot, n_marking, s.dtype.type(0)))

    return through_pointer


@cache
def compiled(item_type):
    """The address of the tile for "float32" or "float64" arrays."""
    return pointers.address_of(_exchange_tile, (types.int64,) * 5 + (getattr(types, item_type),))


@Kernel
def _exchange_tile(s, step, columns, pivot, n_marking, like):
    """exchange_tile on addresses."""
    _exchange_tile_ir(s, step, columns, pivot, n_marking, like)


@intrinsic
def _exchange_tile_ir(typingctx, s, step, columns, pivot, n_marking, like):
    def codegen(context, builder, signature, arguments):
        s_, step, columns, pivot, n_marking, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        s_at = vectors.pointer(s_)
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
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 5, like), codegen
