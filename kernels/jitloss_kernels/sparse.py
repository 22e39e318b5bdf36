"""The way back through a ReLU: what comes through units that are on, and a product that skips those that are off.

``gate_tile`` notes the samples for which a unit is on, a bit for each; ``sparse_outer_tile`` goes from bit to bit, with
one row of sums in registers. Unlike ``outer_tile`` it reads `b` anew for every row, which takes as long as the
arithmetic if it comes from L1. So `b` is a *slab*: a few panels wide, with its rows one after the other.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from .memory import CACHE_LINE
from .native import native
from .products import L2
from .repeats import each_bit, loop
from .shapes import panel_items, sums_in_flight
from .simd import INDEX

# A bit for each.
MOST_TERMS = 64
# A slab stays in an L1 of 32 KB beside what is written.
_SLAB_BYTES = 24 << 10


def widest():
    """How many panels a slab has: as many as have their sums in registers, and fit into L1."""
    return min(sums_in_flight() // 2, _SLAB_BYTES // (MOST_TERMS * panel_items(1)))


def gate_tile(tile, hidden, h0, h_row, rows, slopes, s0, n, marks, m0):
    """hidden[i, k] = slopes[i, k] where a unit is on, else 0, for i < rows, k < n ≤ MOST_TERMS; rows are `h_row` apart.

    A unit is on where hidden[i, k] is not <= 0: NaN is. Bit k of marks[i] says so.
    """
    for i in range(rows):
        found = np.uint64(0)
        for k in range(n):
            if hidden[h0 + i * h_row + k] <= 0:
                hidden[h0 + i * h_row + k] = 0
            else:
                hidden[h0 + i * h_row + k] = slopes[s0 + i * h_row + k]
                found |= np.uint64(1) << np.uint64(k)
        marks[m0 + i] = found


def sparse_outer_tile(
    tile, height, a, a0, a_row, marks, m0, rows, b, b0, out, o0, o_row, o_panel, fresh, far, f0, far_row
):
    """out[i, j] += Σ_k a[i, k] b[k, j] for i < rows, and the k of the bits of marks[i]; `fresh`: = instead of +=.

    `b` is a slab, `height` panels wide: panel p of `out` starts at ``p * o_panel``. Of another array a row from `far`
    on is fetched for each i, as long as one of `b`; those rows are `far_row` apart.
    """
    panel = panel_items(out.itemsize)
    for i in range(rows):
        for j in range(height * panel):
            total = out.dtype.type(0)
            for k in range(MOST_TERMS):
                if marks[m0 + i] >> np.uint64(k) & np.uint64(1):
                    total += a[a0 + i * a_row + k] * b[b0 + k * height * panel + j]
            place = o0 + i * o_row + j // panel * o_panel + j % panel
            out[place] = total if fresh else out[place] + total


@native(gate_tile)
def gate(vectors, hidden, h_row, rows, slopes, n, marks):
    builder, length = vectors.builder, vectors.length
    hidden_at, slopes_at = vectors.pointer(hidden), vectors.pointer(slopes)
    marks_at, packed = builder.inttoptr(marks, INDEX.as_pointer()), ir.IntType(length)

    def row(i, _):
        top = builder.mul(i, h_row)

        def some(k, found):
            inside, at = vectors.first_lanes(builder.sub(n, k)), builder.add(top, k)
            place = builder.gep(hidden_at, [at])
            # Lanes outside are read as 0, which is off.
            is_off = builder.fcmp_ordered("<=", vectors.load(place, inside), vectors.zero)
            slopes = vectors.load(builder.gep(slopes_at, [at]), inside)
            vectors.store(builder.select(is_off, vectors.zero, slopes), place, inside)
            is_on = builder.zext(builder.bitcast(builder.not_(is_off), packed), INDEX)
            return [builder.or_(found[0], builder.shl(is_on, k))]

        (found,) = loop(builder, INDEX(0), n, length, [INDEX(0)], some)
        builder.store(found, builder.gep(marks_at, [i]))
        return []

    loop(builder, INDEX(0), rows, 1, [], row)


@native(sparse_outer_tile)
def sparse_outer(vectors, panels, a, a_row, marks, rows, b, out, o_row, o_panel, fresh, far, far_row):
    builder, length, wide = vectors.builder, vectors.length, 2 * panels
    a_at, b_at, out_at, far_at = (vectors.pointer(address) for address in (a, b, out, far))
    marks_at, fresh = builder.inttoptr(marks, INDEX.as_pointer()), builder.icmp_signed("!=", fresh, INDEX(0))

    def row(i, _):
        top = builder.gep(a_at, [builder.mul(i, a_row)])
        soon = builder.gep(far_at, [builder.mul(i, far_row)])
        for line in range(0, wide * length * vectors.item_bytes, CACHE_LINE):
            vectors.prefetch(builder.gep(soon, [INDEX(line // vectors.item_bytes)]), L2)

        def term(k, sums):
            left = vectors.splat(builder.load(builder.gep(top, [k])))
            right = builder.gep(b_at, [builder.mul(k, INDEX(wide * length))])
            return [
                vectors.multiply_add(left, vectors.load(builder.gep(right, [INDEX(v * length)])), total)
                for v, total in enumerate(sums)
            ]

        sums = each_bit(builder, builder.load(builder.gep(marks_at, [i])), [vectors.zero] * wide, term)
        for v, total in enumerate(sums):
            at = builder.add(builder.mul(i, o_row), builder.mul(INDEX(v // 2), o_panel))
            place = builder.gep(out_at, [builder.add(at, INDEX(v % 2 * length))])
            sums[v] = total, place
        with builder.if_else(fresh) as (write, add):
            with write:
                for total, place in sums:
                    vectors.store(total, place)
            with add:
                for total, place in sums:
                    vectors.store(builder.fadd(vectors.load(place), total), place)
        return []

    loop(builder, INDEX(0), rows, 1, [], row)
