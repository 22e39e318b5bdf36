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

# Where a prefetch puts a line. What is used much later must not push out of L1 what is used now.
L1, L2 = 3, 2


def tallest() -> int:
    """The height of the highest tile: two vectors a row, and room for the operands."""
    return 10 if target().registers >= 32 else 6


def vector_items(item_bytes: int) -> int:
    """How many items a vector register holds."""
    return target().vector_bytes // item_bytes


def panel_items(item_bytes: int) -> int:
    """How many columns an outer_tile is wide: two vectors."""
    return 2 * vector_items(item_bytes)


def dot_tile(tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead):
    """out[i, j] += Σ_k a[i, k] b[k, j] for i < rows, j < height ≤ tallest(), k < n.

    `b` comes in panels of ``panel_items`` features, filled up with zeros: panel by panel, its rows one after the other.
    A sum over a long k is made in several calls, the `first` and the `last` of which say so; in between `parts` holds a
    vector for each i and j, `rows` rounded up to a multiple of 4. `ahead` items after what is read of `a` lies what to
    prefetch.
    """
    panel = panel_items(out.itemsize)
    for i in range(rows):
        for j in range(height):
            part = p0 + (i * height + j) * vector_items(out.itemsize)
            total = out.dtype.type(0) if first else parts[part]
            for k in range(n):
                total += a[a0 + i * a_row + k] * b[b0 + (k // panel * height + j) * panel + k % panel]
            if last:
                out[o0 + i * o_row + j * o_column] += total
            else:
                parts[part] = total


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


def transpose_tile(tile, a, a0, a_row, rows, columns, out, o0, o_row, filled):
    """out[j, i] = a[i, j] for i < rows, j < columns; `filled`: zeros after that, up to a whole panel."""
    for j in range(columns):
        for i in range(panel_items(out.itemsize) if filled else rows):
            out[o0 + j * o_row + i] = a[a0 + i * a_row + j] if i < rows else out.dtype.type(0)


@overload(panel_items)
def _panel_items_compiled(item_bytes):
    panel_bytes = panel_items(1)
    return lambda item_bytes: panel_bytes // item_bytes


@overload(vector_items)
def _vector_items_compiled(item_bytes):
    vector_bytes = vector_items(1)
    return lambda item_bytes: vector_bytes // item_bytes


@overload(dot_tile)
def _dot_tile_compiled(
    tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead
):
    if config.BOUNDSCHECK:
        return dot_tile

    def through_pointer(
        tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead
    ):
        pointers.call(tile, (
            height, place(a, a0), a_row, rows, place(b, b0), n, place(parts, p0), first, last,
            place(out, o0), o_row, o_column, ahead, out.dtype.type(0),
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


@overload(transpose_tile)
def _transpose_tile_compiled(tile, a, a0, a_row, rows, columns, out, o0, o_row, filled):
    if config.BOUNDSCHECK:
        return transpose_tile

    def through_pointer(tile, a, a0, a_row, rows, columns, out, o0, o_row, filled):
        pointers.call(tile, (place(a, a0), a_row, rows, columns, place(out, o0), o_row, filled, out.dtype.type(0)))

    return through_pointer


@cache
def compiled(item_type):
    """The addresses of the tiles for "float32" or "float64" arrays; compiled, or loaded from disk, the first time."""
    item = getattr(types, item_type)
    return (
        pointers.address_of(_dot_tile, (types.int64,) * 13 + (item,)),
        pointers.address_of(_outer_tile, (types.int64,) * 14 + (item,)),
        pointers.address_of(_transpose_tile, (types.int64,) * 7 + (item,)),
    )


@Kernel
def _dot_tile(height, a, a_row, rows, b, n, parts, first, last, out, o_row, o_column, ahead, like):
    """dot_tile on addresses."""
    _dot_tile_ir(height, a, a_row, rows, b, n, parts, first, last, out, o_row, o_column, ahead, like)


@Kernel
def _outer_tile(height, a, a_row, a_k, b, b_k, b_panel, n, out, o_row, o_panel, columns, fresh, ahead, like):
    """outer_tile on addresses."""
    _outer_tile_ir(height, a, a_row, a_k, b, b_k, b_panel, n, out, o_row, o_panel, columns, fresh, ahead, like)


@Kernel
def _transpose_tile(a, a_row, rows, columns, out, o_row, filled, like):
    """transpose_tile on addresses."""
    _transpose_tile_ir(a, a_row, rows, columns, out, o_row, filled, like)


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
def _dot_tile_ir(typingctx, height, a, a_row, rows, b, n, parts, first, last, out, o_row, o_column, ahead, like):
    def codegen(context, builder, signature, arguments):
        height, a_, a_row, rows, b_, n, parts_, first, last, out_, o_row, o_column, ahead, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        length, panel = vectors.length, 2 * vectors.length
        a_at, b_at, parts_at, out_at = (vectors.pointer(address) for address in (a_, b_, parts_, out_))
        first, last = (builder.icmp_signed("!=", flag, INDEX(0)) for flag in (first, last))
        last_row, whole = builder.sub(rows, INDEX(1)), builder.and_(n, INDEX(-panel))
        masks = [vectors.first_lanes(builder.sub(builder.sub(n, whole), INDEX(v * length))) for v in range(2)]

        def tile(classes):
            n_rows = 4 if 2 * classes <= tallest() else 2
            n_sums = n_rows * classes

            def some_rows(top, _):
                # Beyond the last row the last row is read again, and not stored.
                wanted = [builder.add(top, INDEX(i)) for i in range(n_rows)]
                read = [builder.select(builder.icmp_signed("<", i, last_row), i, last_row) for i in wanted]
                a_rows = [builder.gep(a_at, [builder.mul(i, a_row)]) for i in read]
                far = builder.gep(a_at, [builder.add(ahead, builder.mul(builder.sdiv(top, INDEX(2)), a_row))])
                far_rows = [builder.gep(far, [builder.mul(INDEX(i), a_row)]) for i in range(n_rows // 2)]
                part = builder.gep(parts_at, [builder.mul(top, INDEX(classes * length))])
                part_places = [builder.gep(part, [INDEX(s * length)]) for s in range(n_sums)]

                def step(k, sums, masks=(None, None)):
                    sums = list(sums)
                    panel_at = builder.gep(b_at, [builder.mul(k, INDEX(classes))])
                    for v in range(2):
                        places = [builder.gep(row, [builder.add(k, INDEX(v * length))]) for row in a_rows]
                        left = [vectors.load(place, masks[v]) for place in places]
                        for row in far_rows:
                            vectors.prefetch(builder.gep(row, [builder.add(k, INDEX(v * length))]), L2)
                        for j in range(classes):
                            right = vectors.load(builder.gep(panel_at, [INDEX(j * panel + v * length)]))
                            for i in range(n_rows):
                                sums[i * classes + j] = vectors.multiply_add(left[i], right, sums[i * classes + j])
                    return sums

                begin = builder.block
                with builder.if_then(builder.not_(first)):
                    before = [vectors.load(place) for place in part_places]
                    loaded = builder.block
                zeros = [vectors.zero] * n_sums
                sums = [_either(builder, zeros, begin, before, loaded, s) for s in range(n_sums)]
                sums = loop(builder, INDEX(0), whole, panel, sums, step)
                begin = builder.block
                with builder.if_then(builder.icmp_signed("<", whole, n)):
                    ends = step(whole, sums, masks)
                    inside = builder.block
                sums = [_either(builder, sums, begin, ends, inside, s) for s in range(n_sums)]
                with builder.if_else(last) as (deliver, keep):
                    with deliver:
                        totals = vectors.sums(sums)
                        for i in range(n_rows):
                            with builder.if_then(builder.icmp_signed("<", wanted[i], rows)):
                                for j in range(classes):
                                    offset = builder.add(builder.mul(wanted[i], o_row), builder.mul(INDEX(j), o_column))
                                    place = builder.gep(out_at, [offset])
                                    builder.store(builder.fadd(builder.load(place), totals[i * classes + j]), place)
                    with keep:
                        for value, place in zip(sums, part_places, strict=True):
                            vectors.store(value, place)
                return []

            loop(builder, INDEX(0), rows, n_rows, [], some_rows)

        _for_each_height(builder, height, tile)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 13, like), codegen


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
                far = builder.gep(b_at, [builder.add(builder.add(builder.mul(p, b_panel), column), ahead)])

                def step(k, sums):
                    row = builder.gep(b_top, [builder.mul(k, b_k)])
                    right = [vectors.load(builder.gep(row, [INDEX(v * length)]), masks[v]) for v in range(wide)]
                    odd = builder.and_(k, INDEX(1))
                    line = builder.add(builder.mul(builder.ashr(k, INDEX(1)), b_k), builder.mul(odd, INDEX(length)))
                    vectors.prefetch(builder.gep(far, [line]), L2)
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
                    vectors.prefetch(spot, L1)
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


@intrinsic
def _transpose_tile_ir(typingctx, a, a_row, rows, columns, out, o_row, filled, like):
    def codegen(context, builder, signature, arguments):
        a_, a_row, rows, columns, out_, o_row, filled, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        length, nothing = vectors.length, INDEX(0)
        a_at, out_at = vectors.pointer(a_), vectors.pointer(out_)
        filled = builder.icmp_signed("!=", filled, INDEX(0))
        width = builder.select(filled, INDEX(2 * length), rows)

        def some_columns(j, _):
            n_columns = builder.sub(columns, j)

            def square(i, _):
                n_rows = builder.sub(rows, i)
                read, kept = [], vectors.first_lanes(builder.sub(width, i))
                for q in range(length):
                    n_wanted = builder.select(builder.icmp_signed("<", INDEX(q), n_rows), n_columns, nothing)
                    row = builder.gep(a_at, [builder.add(builder.mul(builder.add(i, INDEX(q)), a_row), j)])
                    read.append(vectors.load(row, vectors.first_lanes(n_wanted)))
                for q, value in enumerate(vectors.transposed(read)):
                    with builder.if_then(builder.icmp_signed("<", INDEX(q), n_columns)):
                        place = builder.add(builder.mul(builder.add(j, INDEX(q)), o_row), i)
                        vectors.store(value, builder.gep(out_at, [place]), kept)
                return []

            loop(builder, nothing, width, length, [], square)
            return []

        loop(builder, nothing, columns, length, [], some_columns)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 7, like), codegen
