"""The tile that puts scores from one row a column into one row a class, or back (see ``pivots``)."""

from functools import cache

from numba import types
from numba.core import config
from numba.extending import intrinsic, overload

from . import pointers
from .jit import Kernel
from .pointers import place
from .simd import INDEX, Vectors, loop


def exchange_tile(tile, s, s0, step, columns, pivot):
    """Exchange the rows `pivot` and `columns`, the last one, of a matrix whose rows are `step` long, in whole vectors.

    What comes from the last row is NaN where a number above it is not finite: 0 times infinity is NaN.
    """
    last = s0 + columns * step
    for i in range(step):
        moved = s[last + i]
        for j in range(columns):
            moved += s.dtype.type(0) * s[s0 + j * step + i]
        s[last + i] = s[s0 + pivot * step + i]
        s[s0 + pivot * step + i] = moved


@overload(exchange_tile)
def _exchange_tile_compiled(tile, s, s0, step, columns, pivot):
    if config.BOUNDSCHECK:
        return exchange_tile

    def through_pointer(tile, s, s0, step, columns, pivot):
        pointers.call(tile, (place(s, s0), step, columns, pivot, s.dtype.type(0)))

    return through_pointer


@cache
def compiled(item_type):
    """The address of the tile for "float32" or "float64" arrays."""
    return pointers.address_of(_exchange_tile, (types.int64,) * 4 + (getattr(types, item_type),))


@Kernel
def _exchange_tile(s, step, columns, pivot, like):
    """exchange_tile on addresses."""
    _exchange_tile_ir(s, step, columns, pivot, like)


@intrinsic
def _exchange_tile_ir(typingctx, s, step, columns, pivot, like):
    def codegen(context, builder, signature, arguments):
        s_, step, columns, pivot, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        s_at = vectors.pointer(s_)
        last, chosen = (builder.gep(s_at, [builder.mul(row, step)]) for row in (columns, pivot))

        def some_rows(i, _):
            def mark(j, moved):
                above = vectors.load(builder.gep(s_at, [builder.add(builder.mul(j, step), i)]))
                return [vectors.multiply_add(above, vectors.zero, moved[0])]

            ones, others = builder.gep(last, [i]), builder.gep(chosen, [i])
            (moved,) = loop(builder, INDEX(0), columns, 1, [vectors.load(ones)], mark)
            vectors.store(vectors.load(others), ones)
            vectors.store(moved, others)
            return []

        loop(builder, INDEX(0), step, vectors.length, [], some_rows)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4, like), codegen
