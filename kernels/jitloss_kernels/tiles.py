"""The register tile: two matrix products whose sums stay in registers. The one place that knows about SIMD.

``dot_tile`` lays vectors along the dimension that is summed over, ``outer_tile`` along one that is not: between them
every product of a loss has a side that is contiguous in memory, and neither needs a transposed copy of X.

============  =================================  ==========================================================
dot_tile      ``out[i, j] += Σ_k a[i, k] b[j, k]``  scores of few classes: rows of X against rows of Wᵀ
outer_tile    ``out[i, j] += Σ_k a[i, k] b[k, j]``  gradients; scores of many classes
============  =================================  ==========================================================

Arrays are flat, and every operand has an offset and strides, counted in items. What Python runs, what the
bounds-checked build compiles and what the tile computes is the plain function; ``overload`` puts the vectors in its
place. A sum is formed in registers and then added to `out` once, so that long sums are sums of short ones.

One tile is `height` rows or classes high, at most ``tallest()``: twenty sums in flight on 32 registers, enough to hide
the latency of the multiply-add, and few enough that none is spilled.
"""

from __future__ import annotations

from functools import cache

from numba import types
from numba.core import config
from numba.extending import intrinsic, overload

from . import pointers
from .jit import Kernel
from .pointers import place
from .simd import INDEX, Vectors, loop, target

# How far ahead in its own row dot_tile prefetches: what the hardware needs to keep streaming across pages.
_AHEAD_BYTES = 512


def tallest() -> int:
    """The height of the highest tile: two vectors a row, and room for the operands."""
    return 10 if target().registers >= 32 else 6


def vector_items(item_bytes: int) -> int:
    """How many items a vector register holds."""
    return target().vector_bytes // item_bytes


def panel_items(item_bytes: int) -> int:
    """How many columns an outer_tile is wide: two vectors."""
    return 2 * vector_items(item_bytes)


def dot_tile(tile, height, a, a0, a_row, rows, b, b0, b_row, n, out, o0, o_row, o_column):
    """out[i, j] += Σ_k a[i, k] b[j, k] for i < rows, j < height ≤ tallest(), k < n."""
    for i in range(rows):
        for j in range(height):
            total = out.dtype.type(0)
            for k in range(n):
                total += a[a0 + i * a_row + k] * b[b0 + j * b_row + k]
            out[o0 + i * o_row + j * o_column] += total


def outer_tile(tile, height, a, a0, a_row, a_k, b, b0, b_k, b_panel, n, out, o0, o_row, o_panel, columns, fresh, ahead):
    """out[i, j] += Σ_k a[i, k] b[k, j] for i < height ≤ tallest(), j < columns, k < n; `fresh`: = instead of +=.

    Columns come in panels of ``panel_items``: panel p starts at ``p * b_panel`` and ``p * o_panel``, so `b` and `out`
    may be stored panel by panel. `ahead` items after what is read of `b` lies what to prefetch, half of it.
    """
    panel = panel_items(out.itemsize)
    for i in range(height):
        for j in range(columns):
            p, column = j // panel, j % panel
            total = out.dtype.type(0)
            for k in range(n):
                total += a[a0 + i * a_row + k * a_k] * b[b0 + k * b_k + p * b_panel + column]
            place = o0 + i * o_row + p * o_panel + column
            out[place] = total if fresh else out[place] + total


@overload(panel_items)
def _panel_items_compiled(item_bytes):
    panel_bytes = panel_items(1)
    return lambda item_bytes: panel_bytes // item_bytes


@overload(dot_tile)
def _dot_tile_compiled(tile, height, a, a0, a_row, rows, b, b0, b_row, n, out, o0, o_row, o_column):
    if config.BOUNDSCHECK:
        return dot_tile

    def through_pointer(tile, height, a, a0, a_row, rows, b, b0, b_row, n, out, o0, o_row, o_column):
        pointers.call(tile, (
            height, place(a, a0), a_row, rows, place(b, b0), b_row, n,
            place(out, o0), o_row, o_column, out.dtype.type(0),
        ))  # fmt: skip

    return through_pointer


@overload(outer_tile)
def _outer_tile_compiled(
    tile, height, a, a0, a_row, a_k, b, b0, b_k, b_panel, n, out, o0, o_row, o_panel, columns, fresh, ahead
):
    if config.BOUNDSCHECK:
        return outer_tile

    def through_pointer(
        tile, height, a, a0, a_row, a_k, b, b0, b_k, b_panel, n, out, o0, o_row, o_panel, columns, fresh, ahead
    ):
        pointers.call(tile, (
            height, place(a, a0), a_row, a_k, place(b, b0), b_k, b_panel, n,
            place(out, o0), o_row, o_panel, columns, fresh, ahead, out.dtype.type(0),
        ))  # fmt: skip

    return through_pointer


@cache
def compiled(item_type):
    """The addresses of both tiles for "float32" or "float64" arrays; compiled, or loaded from disk, the first time."""
    item = getattr(types, item_type)
    return (
        pointers.address_of(_dot_tile, (types.int64,) * 10 + (item,)),
        pointers.address_of(_outer_tile, (types.int64,) * 14 + (item,)),
    )


@Kernel
def _dot_tile(height, a, a_row, rows, b, b_row, n, out, o_row, o_column, like):
    """dot_tile on addresses."""
    _dot_tile_ir(height, a, a_row, rows, b, b_row, n, out, o_row, o_column, like)


@Kernel
def _outer_tile(height, a, a_row, a_k, b, b_k, b_panel, n, out, o_row, o_panel, columns, fresh, ahead, like):
    """outer_tile on addresses."""
    _outer_tile_ir(height, a, a_row, a_k, b, b_k, b_panel, n, out, o_row, o_panel, columns, fresh, ahead, like)


def _for_each_height(builder, height, emit):
    """A copy of the tile for each height, and a jump to the right one."""
    after = builder.append_basic_block("done")
    chosen = builder.switch(height, after)
    for literal in range(1, tallest() + 1):
        block = builder.append_basic_block(f"height_{literal}")
        chosen.add_case(INDEX(literal), block)
        builder.position_at_end(block)
        emit(literal)
        builder.branch(after)
    builder.position_at_end(after)


@intrinsic
def _dot_tile_ir(typingctx, height, a, a_row, rows, b, b_row, n, out, o_row, o_column, like):
    def codegen(context, builder, signature, arguments):
        height, a_, a_row, rows, b_, b_row, n, out_, o_row, o_column, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        a_at, b_at, out_at = (vectors.pointer(address) for address in (a_, b_, out_))
        last, whole = builder.sub(rows, INDEX(1)), builder.and_(n, INDEX(-vectors.length))
        ahead = INDEX(_AHEAD_BYTES // vectors.item_bytes)

        def tile(classes):
            n_rows = 4 if 2 * classes <= tallest() else 2
            b_rows = [builder.gep(b_at, [builder.mul(INDEX(j), b_row)]) for j in range(classes)]

            def some_rows(first, _):
                # Beyond the last row the last row is read again, and not stored.
                wanted = [builder.add(first, INDEX(i)) for i in range(n_rows)]
                read = [builder.select(builder.icmp_signed("<", i, last), i, last) for i in wanted]
                a_rows = [builder.gep(a_at, [builder.mul(i, a_row)]) for i in read]

                def step(k, sums, mask=None):
                    left = [vectors.load(builder.gep(row, [k]), mask) for row in a_rows]
                    for row in a_rows:
                        vectors.prefetch(builder.gep(row, [builder.add(k, ahead)]))
                    sums = list(sums)
                    for j, row in enumerate(b_rows):
                        right = vectors.load(builder.gep(row, [k]), mask)
                        for i in range(n_rows):
                            sums[i * classes + j] = vectors.multiply_add(left[i], right, sums[i * classes + j])
                    return sums

                sums = loop(builder, INDEX(0), whole, vectors.length, [vectors.zero] * (n_rows * classes), step)
                before = builder.block
                with builder.if_then(builder.icmp_signed("<", whole, n)):
                    ends = step(whole, sums, vectors.first_lanes(builder.sub(n, whole)))
                    inside = builder.block
                for i in range(n_rows):
                    totals = [_either(builder, sums, before, ends, inside, i * classes + j) for j in range(classes)]
                    sums[i * classes : (i + 1) * classes] = totals
                for i in range(n_rows):
                    with builder.if_then(builder.icmp_signed("<", wanted[i], rows)):
                        for j in range(classes):
                            offset = builder.add(builder.mul(wanted[i], o_row), builder.mul(INDEX(j), o_column))
                            place = builder.gep(out_at, [offset])
                            total = vectors.sum(sums[i * classes + j])
                            builder.store(builder.fadd(builder.load(place), total), place)
                return []

            loop(builder, INDEX(0), rows, n_rows, [], some_rows)

        _for_each_height(builder, height, tile)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 10, like), codegen


def _either(builder, first, first_block, second, second_block, index):
    """What arrives from one of two blocks."""
    value = builder.phi(first[index].type)
    value.add_incoming(first[index], first_block)
    value.add_incoming(second[index], second_block)
    return value


@intrinsic
def _outer_tile_ir(
    typingctx, height, a, a_row, a_k, b, b_k, b_panel, n, out, o_row, o_panel, columns, fresh, ahead, like
):
    def codegen(context, builder, signature, arguments):
        height, a_, a_row, a_k, b_, b_k, b_panel, n, out_, o_row, o_panel, columns, fresh_, ahead, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        length, fresh = vectors.length, builder.icmp_signed("!=", fresh_, INDEX(0))
        a_at, b_at, out_at = (vectors.pointer(address) for address in (a_, b_, out_))
        panels = builder.sdiv(columns, INDEX(2 * length))
        left_over = builder.srem(columns, INDEX(2 * length))

        def tile(rows):
            a_rows = [builder.mul(INDEX(i), a_row) for i in range(rows)]

            def panel(p, wide, masks=(None, None), column=None):
                column = INDEX(0) if column is None else column
                b_top = builder.gep(b_at, [builder.add(builder.mul(p, b_panel), column)])

                def step(k, sums):
                    row = builder.gep(b_top, [builder.mul(k, b_k)])
                    right = [vectors.load(builder.gep(row, [INDEX(v * length)]), masks[v]) for v in range(wide)]
                    vectors.prefetch(_half_ahead(builder, b_top, k, b_k, ahead, length))
                    top = builder.gep(a_at, [builder.mul(k, a_k)])
                    sums = list(sums)
                    for i in range(rows):
                        left = vectors.splat(builder.load(builder.gep(top, [a_rows[i]])))
                        for v in range(wide):
                            sums[i * wide + v] = vectors.multiply_add(left, right[v], sums[i * wide + v])
                    return sums

                out_top = builder.gep(out_at, [builder.add(builder.mul(p, o_panel), column)])
                places = [
                    builder.gep(out_top, [builder.add(builder.mul(INDEX(i), o_row), INDEX(v * length))])
                    for i in range(rows)
                    for v in range(wide)
                ]
                for spot in places:
                    vectors.prefetch(spot)
                sums = loop(builder, INDEX(0), n, 1, [vectors.zero] * (rows * wide), step)
                with builder.if_else(fresh) as (write, add):
                    with write:
                        for s, place in enumerate(places):
                            vectors.store(sums[s], place, masks[s % wide])
                    with add:
                        for s, place in enumerate(places):
                            before = vectors.load(place, masks[s % wide])
                            vectors.store(builder.fadd(before, sums[s]), place, masks[s % wide])

            def whole_panel(p, _):
                panel(p, 2)
                return []

            loop(builder, INDEX(0), panels, 1, [], whole_panel)

            def single_vector(column, _):
                mask = vectors.first_lanes(builder.sub(left_over, column))
                panel(panels, 1, [mask], column)
                return []

            loop(builder, INDEX(0), left_over, length, [], single_vector)

        _for_each_height(builder, height, tile)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 14, like), codegen


def _half_ahead(builder, b_top, k, b_k, ahead, length):
    """The line to prefetch in step k: both lines of a row in two steps, and of every second row."""
    odd = builder.and_(k, INDEX(1))
    row = builder.mul(builder.or_(k, INDEX(1)), b_k)
    line = builder.mul(odd, INDEX(length))
    return builder.gep(b_top, [builder.add(builder.add(row, line), ahead)])
