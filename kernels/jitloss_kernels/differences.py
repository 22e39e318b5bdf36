"""Tiles that choose a class as the pivot, and leave it out where they move W and dW like ``moves`` (see ``pivots``)."""

import numpy as np

from .moves import transpose
from .native import native
from .repeats import loop
from .shapes import TALLEST, panel_items, vector_items
from .simd import INDEX


def pivot_tile(tile, a, a0, rows, classes, out, o0):
    """The number of the class, of `classes` in a row, whose largest weight is the smallest, goes to `o0`.

    After that there is scratch for ``peak_items``: a row holds at most one class more than a tile.
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
    """Panels of columns from `rows` rows of `classes` weights: those of each class minus those of the pivot.

    The last panel is filled up with zeros. The last class stands in the place of the pivot.
    """
    panel, last = panel_items(out.itemsize), classes - 1
    for i in range(-(-rows // panel) * panel):
        top, to = a0 + i * classes, o0 + i // panel * panel * last + i % panel
        for j in range(last):
            of = last if j == pivot else j
            out[to + j * panel] = a[top + of] - a[top + pivot] if i < rows else out.dtype.type(0)


def completion_tile(tile, a, a0, rows, classes, pivot, out, o0):
    """`rows` rows of a gradient of all `classes` from panels of columns: the pivot's is minus the sum of those."""
    panel, last = panel_items(out.itemsize), classes - 1
    for i in range(rows):
        top = a0 + i // panel * panel * last + i % panel
        total = out.dtype.type(0)
        for j in range(last):
            total -= a[top + j * panel]
        for j in range(classes):
            of = pivot if j == last else j
            out[o0 + i * classes + j] = total if j == pivot else a[top + of * panel]


def peak_items(item_bytes):
    """How many items hold a number for each class, in whole vectors."""
    return -(-(TALLEST + 1) // vector_items(item_bytes)) * vector_items(item_bytes)


@native(pivot_tile)
def choosing(vectors, a, rows, classes, out):
    builder, length = vectors.builder, vectors.length
    a_at, out_at = vectors.pointer(a), vectors.pointer(out)
    columns = range(0, peak_items(vectors.item_bytes), length)
    masks = [vectors.first_lanes(builder.sub(classes, INDEX(column))) for column in columns]

    def row(i, peaks):
        top = builder.gep(a_at, [builder.mul(i, classes)])
        loaded = [vectors.load(builder.gep(top, [INDEX(column)]), masks[column // length]) for column in columns]
        sizes = [vectors.absolute(value) for value in loaded]
        larger = [builder.fcmp_ordered(">", *pair) for pair in zip(sizes, peaks, strict=True)]
        return [builder.select(*three) for three in zip(larger, sizes, peaks, strict=True)]

    found = loop(builder, INDEX(0), rows, 1, [vectors.zero] * len(columns), row)
    for column, peaks in zip(columns, found, strict=True):
        vectors.store(peaks, builder.gep(out_at, [INDEX(1 + column)]))

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
    last = builder.sub(classes, INDEX(1))

    def one(a_at, out_at, n):
        def read(row, column, mask):
            top = builder.gep(a_at, [builder.mul(row, classes)])
            subtracted = vectors.splat(builder.load(builder.gep(top, [pivot])))
            return builder.fsub(vectors.load(builder.gep(top, [column]), mask), subtracted)

        def place(of):
            goes = builder.and_(builder.icmp_signed("!=", of, pivot), builder.icmp_signed("<", of, classes))
            column = builder.select(builder.icmp_signed("==", of, last), pivot, of)
            return builder.gep(out_at, [builder.mul(column, panel)]), goes

        transpose(vectors, n, classes, panel, read, place)

    _each_panel(vectors, a, classes, out, last, rows, one)


@native(completion_tile)
def completing(vectors, a, rows, classes, pivot, out):
    builder, length, panel = vectors.builder, vectors.length, INDEX(2 * vectors.length)
    last = builder.sub(classes, INDEX(1))

    def one(a_at, out_at, n):
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
            return builder.gep(out_at, [builder.mul(row, classes)]), builder.icmp_signed("<", row, n)

        transpose(vectors, classes, n, classes, read, place)

    _each_panel(vectors, a, last, out, classes, rows, one)


def _each_panel(vectors, a, a_width, out, out_width, rows, one):
    """``one(a, out, n)`` for each panel of `rows` rows, n of them; its numbers lie in one run, so many for each row."""
    builder, panel = vectors.builder, INDEX(2 * vectors.length)
    a_at, out_at = vectors.pointer(a), vectors.pointer(out)

    def some(i, _):
        left = builder.sub(rows, i)
        n = builder.select(builder.icmp_signed("<", left, panel), left, panel)
        one(*(builder.gep(at, [builder.mul(i, width)]) for at, width in ((a_at, a_width), (out_at, out_width))), n)
        return []

    loop(builder, INDEX(0), rows, 2 * vectors.length, [], some)
