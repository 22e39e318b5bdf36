"""Tiles that choose a class as the pivot, and leave it out where they move W and dW like ``moves`` (see ``pivots``)."""

from functools import cache

import numpy as np
from numba import types
from numba.core import config
from numba.extending import intrinsic, overload

from . import pointers
from .jit import Kernel
from .moves import transpose
from .pointers import place
from .shapes import panel_items
from .simd import INDEX, Vectors, loop


def pivot_tile(tile, a, a0, rows, classes, out, o0):
    """The number of the class, of `classes` in a row, whose largest weight is the smallest, goes to `o0`.

    After that there is scratch for a panel.
    """
    pivot, smallest = 0, np.inf
    for j in range(classes):
        peak = out.dtype.type(0)
        for i in range(rows):
            size = abs(a[a0 + i * classes + j])
            peak = size if size > peak else peak
        if peak < smallest:
            pivot, smallest = j, peak
    out[o0] = pivot


def difference_tile(tile, a, a0, rows, classes, pivot, out, o0):
    """A panel of columns from `rows` rows of `classes` weights: those of each class minus those of the pivot.

    Filled up with zeros. The last class stands in the place of the pivot.
    """
    panel, last = panel_items(out.itemsize), classes - 1
    for j in range(last):
        of = last if j == pivot else j
        for i in range(panel):
            top = a0 + i * classes
            out[o0 + j * panel + i] = a[top + of] - a[top + pivot] if i < rows else out.dtype.type(0)


def completion_tile(tile, a, a0, rows, classes, pivot, out, o0):
    """`rows` rows of a gradient of all `classes` from a panel of columns: the pivot's is minus the sum of those."""
    panel, last = panel_items(out.itemsize), classes - 1
    for i in range(rows):
        total = out.dtype.type(0)
        for j in range(last):
            total -= a[a0 + j * panel + i]
        for j in range(classes):
            of = pivot if j == last else j
            out[o0 + i * classes + j] = total if j == pivot else a[a0 + of * panel + i]


@overload(pivot_tile)
def _pivot_tile_compiled(tile, a, a0, rows, classes, out, o0):
    if config.BOUNDSCHECK:
        return pivot_tile

    def through_pointer(tile, a, a0, rows, classes, out, o0):
        pointers.call(tile, (place(a, a0), rows, classes, place(out, o0), out.dtype.type(0)))

    return through_pointer


@overload(difference_tile)
def _difference_tile_compiled(tile, a, a0, rows, classes, pivot, out, o0):
    if config.BOUNDSCHECK:
        return difference_tile

    def through_pointer(tile, a, a0, rows, classes, pivot, out, o0):
        pointers.call(tile, (place(a, a0), rows, classes, pivot, place(out, o0), out.dtype.type(0)))

    return through_pointer


@overload(completion_tile)
def _completion_tile_compiled(tile, a, a0, rows, classes, pivot, out, o0):
    if config.BOUNDSCHECK:
        return completion_tile

    def through_pointer(tile, a, a0, rows, classes, pivot, out, o0):
        pointers.call(tile, (place(a, a0), rows, classes, pivot, place(out, o0), out.dtype.type(0)))

    return through_pointer


@cache
def compiled(item_type):
    """The addresses of the three tiles for "float32" or "float64" arrays."""
    item = getattr(types, item_type)
    return (
        pointers.address_of(_pivot_tile, (types.int64,) * 4 + (item,)),
        pointers.address_of(_difference_tile, (types.int64,) * 5 + (item,)),
        pointers.address_of(_completion_tile, (types.int64,) * 5 + (item,)),
    )


@Kernel
def _pivot_tile(a, rows, classes, out, like):
    """pivot_tile on addresses."""
    _pivot_tile_ir(a, rows, classes, out, like)


@Kernel
def _difference_tile(a, rows, classes, pivot, out, like):
    """difference_tile on addresses."""
    _difference_tile_ir(a, rows, classes, pivot, out, like)


@Kernel
def _completion_tile(a, rows, classes, pivot, out, like):
    """completion_tile on addresses."""
    _completion_tile_ir(a, rows, classes, pivot, out, like)


@intrinsic
def _pivot_tile_ir(typingctx, a, rows, classes, out, like):
    def codegen(context, builder, signature, arguments):
        a_, rows, classes, out_, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        a_at, out_at, length = vectors.pointer(a_), vectors.pointer(out_), vectors.length
        masks = [vectors.first_lanes(builder.sub(classes, INDEX(v * length))) for v in range(2)]

        def row(i, peaks):
            top = builder.gep(a_at, [builder.mul(i, classes)])
            sizes = [vectors.absolute(vectors.load(builder.gep(top, [INDEX(v * length)]), masks[v])) for v in range(2)]
            larger = [builder.fcmp_ordered(">", *pair) for pair in zip(sizes, peaks, strict=True)]
            return [builder.select(*three) for three in zip(larger, sizes, peaks, strict=True)]

        for v, peaks in enumerate(loop(builder, INDEX(0), rows, 1, [vectors.zero] * 2, row)):
            vectors.store(peaks, builder.gep(out_at, [INDEX(1 + v * length)]))

        def one(j, best):
            pivot, smallest = best
            peak = builder.load(builder.gep(out_at, [builder.add(j, INDEX(1))]))
            less = builder.fcmp_ordered("<", peak, smallest)
            return [builder.select(less, j, pivot), builder.select(less, peak, smallest)]

        infinite = vectors.element(float("inf"))
        pivot, _ = loop(builder, INDEX(0), classes, 1, [INDEX(0), infinite], one)
        builder.store(builder.sitofp(pivot, vectors.element), out_at)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4, like), codegen


@intrinsic
def _difference_tile_ir(typingctx, a, rows, classes, pivot, out, like):
    def codegen(context, builder, signature, arguments):
        a_, rows, classes, pivot, out_, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        a_at, out_at, panel = vectors.pointer(a_), vectors.pointer(out_), INDEX(2 * vectors.length)
        last = builder.sub(classes, INDEX(1))

        def read(row, column, mask):
            top = builder.gep(a_at, [builder.mul(row, classes)])
            subtracted = vectors.splat(builder.load(builder.gep(top, [pivot])))
            return builder.fsub(vectors.load(builder.gep(top, [column]), mask), subtracted)

        def place(of):
            goes = builder.and_(builder.icmp_signed("!=", of, pivot), builder.icmp_signed("<", of, classes))
            column = builder.select(builder.icmp_signed("==", of, last), pivot, of)
            return builder.gep(out_at, [builder.mul(column, panel)]), goes

        transpose(vectors, rows, classes, panel, read, place)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 5, like), codegen


@intrinsic
def _completion_tile_ir(typingctx, a, rows, classes, pivot, out, like):
    def codegen(context, builder, signature, arguments):
        a_, rows, classes, pivot, out_, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        a_at, out_at = vectors.pointer(a_), vectors.pointer(out_)
        length, panel = vectors.length, INDEX(2 * vectors.length)
        last = builder.sub(classes, INDEX(1))

        def add(j, sums):
            column = builder.gep(a_at, [builder.mul(j, panel)])
            return [
                builder.fsub(total, vectors.load(builder.gep(column, [INDEX(v * length)])))
                for v, total in enumerate(sums)
            ]

        rest = loop(builder, INDEX(0), last, 1, [vectors.zero] * 2, add)

        def read(of, row, mask):
            column = builder.select(builder.icmp_signed("==", of, last), pivot, of)
            top = builder.select(builder.icmp_signed("<", column, last), builder.mul(column, panel), INDEX(0))
            value = vectors.load(builder.gep(a_at, [builder.add(top, row)]), mask)
            of_pivot = builder.select(builder.icmp_signed("==", row, INDEX(0)), *rest)
            return builder.select(builder.icmp_signed("==", of, pivot), of_pivot, value)

        def place(row):
            return builder.gep(out_at, [builder.mul(row, classes)]), builder.icmp_signed("<", row, rows)

        transpose(vectors, classes, rows, classes, read, place)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 6, like), codegen
