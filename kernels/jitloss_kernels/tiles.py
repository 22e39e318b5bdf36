"""The register tile: two matrix products whose sums stay in registers.

``dot_tile`` lays vectors along the dimension that is summed over, ``outer_tile`` along one that is not: between them
every product of a loss has a side that is contiguous in memory, and neither needs a transposed copy of X.

============  =================================  ==========================================================
dot_tile      ``out[i, j] += Σ_k a[i, k] b[j, k]``  scores of few classes: rows of X against rows of Wᵀ
outer_tile    ``out[i, j] += Σ_k a[i, k] b[k, j]``  gradients; scores of many classes
============  =================================  ==========================================================

Arrays are flat, and every operand has an offset and strides, counted in items. What Python runs, what the
bounds-checked build compiles and what the tile computes is the plain function; ``products`` has the vectors. A sum is
formed in registers and then added to `out` once, so that long sums are sums of short ones.

One tile is `height` rows or classes high, at most ``TALLEST``. On 32 registers it has twenty sums in flight: enough to
hide the latency of the multiply-add, and few enough that none is spilled. On 16 registers twelve have room: a dot tile
reads fewer rows at a time then, and an outer tile computes some of its rows after the others.
"""

from __future__ import annotations

from .shapes import panel_items, vector_items

# The dot tile reads so many rows at a time, or half as many where it has many classes.
DOT_ROWS = 4


def dot_tile(tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead):
    """out[i, j] += Σ_k a[i, k] b[k, j] for i < rows, j < height ≤ TALLEST, k < n.

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


def converting_dot_tile(
    tile, height, a, a0, a_row, copy, c0, c_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead
):
    """dot_tile for an `a` of uint8 or of other floats; a converted `copy` of what is read of it is kept.

    The conversion hides behind the arithmetic: on its own it would take a pass over a block that has left L1.
    """
    for i in range(rows):
        for k in range(n):
            copy[c0 + i * c_row + k] = a[a0 + i * a_row + k]
    dot_tile(tile, height, copy, c0, c_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead)


def outer_tile(tile, height, a, a0, a_row, a_k, b, b0, b_k, b_panel, n, out, o0, o_row, o_panel, columns, fresh, ahead):
    """out[i, j] += Σ_k a[i, k] b[k, j] for i < height ≤ TALLEST, j < columns, k < n; `fresh`: = instead of +=.

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
