"""Tiles that choose a class as the pivot, and leave it out where they move W and dW like ``moves`` (see ``pivots``)."""

import numpy as np

from .moves import transpose
from .native import native
from .shapes import panel_items
from .simd import INDEX, loop


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


@native(pivot_tile)
def choosing(vectors, a, rows, classes, out):
    builder, length = vectors.builder, vectors.length
    a_at, out_at = vectors.pointer(a), vectors.pointer(out)
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


@native(difference_tile)
def subtracting(vectors, a, rows, classes, pivot, out):
    builder, panel = vectors.builder, INDEX(2 * vectors.length)
    a_at, out_at = vectors.pointer(a), vectors.pointer(out)
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


@native(completion_tile)
def completing(vectors, a, rows, classes, pivot, out):
    builder, length, panel = vectors.builder, vectors.length, INDEX(2 * vectors.length)
    a_at, out_at = vectors.pointer(a), vectors.pointer(out)
    last = builder.sub(classes, INDEX(1))

    def add(j, sums):
        column = builder.gep(a_at, [builder.mul(j, panel)])
        parts = [vectors.load(builder.gep(column, [INDEX(v * length)])) for v in range(2)]
        return [builder.fsub(*pair) for pair in zip(sums, parts, strict=True)]

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
