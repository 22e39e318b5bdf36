"""What a lane of a net does with a block of rows once it has hidden = X W1 + b1: forward, and back to dW1.

Hidden units and scores lie one row a unit, dscores and dhidden take their place.
"""

from __future__ import annotations

from .jit import helper, merged, out_of_line
from .moves import copy_tile
from .panels import place_of
from .rows import SAMPLES
from .rows import rows as rows_of_strip
from .sparse import gate_tile, sparse_outer_tile
from .stealing import DB
from .tiles import dot_tile, outer_tile


@helper
def forward(plan, n, W2, b2, scratch, s0):
    """hidden = relu(hidden), scores = hidden W2 + b2 of a block. Returns whether all units are finite."""
    out_of_line()
    first, zero = plan.first, scratch.dtype.type(0)
    block, c, nothing = first.block_rows, plan.n_outputs, zero
    for h in range(first.n_classes):
        unit = scratch[s0 + h * block : s0 + h * block + n]
        for i in range(n):
            nothing += zero * unit[i]
            unit[i] = zero if unit[i] <= 0 else unit[i]  # NaN, which is not <= 0, stays
    for j in range(c):
        scratch[s0 + plan.scores_at + j * block : s0 + plan.scores_at + (j + 1) * block] = b2[j]
    for j in range(0, c, plan.group):
        height = min(plan.group, c - j)
        outer_tile(
            first.outer_tile, height, W2, j, 1, c, scratch, s0, block, first.panel, first.n_classes,
            scratch, s0 + plan.scores_at + j * block, block, first.panel, n, False, 0,
        )  # fmt: skip
    return nothing == 0  # 0 times what is not finite is NaN


@helper
def backward(loss, plan, y, row, n, options, W2, scratch, s0, sums, sums0, marks):
    """The losses of a block; dW2 and db2; dhidden takes the place of hidden, its sums go to db1."""
    out_of_line()
    first, at, m0 = plan.first, s0 + plan.scores_at, sums0 + plan.marks_at
    block, strip, c, n_hidden = first.block_rows, first.panel, plan.n_outputs, first.n_classes
    part = scratch[at + c * block : at + c * block + 2 * strip]
    totals = sums[sums0 : sums0 + 4 * strip]
    total = 0.0
    for i in range(0, n, strip):
        in_strip = min(strip, n - i)
        rows_of_strip(loss, scratch, at + i, block, c, SAMPLES, y, row + i, in_strip, options, part, totals)
        total += totals[0]
    db = sums0 + 4 * strip + DB
    for j in range(c):
        sums[db + n_hidden + j] += _sum(scratch, at + j * block, n)
    _weights_gradient(plan, n, scratch, s0)
    for h in range(0, n_hidden, first.group):  # dhidden = W2 dscores where the unit is not 0
        height, slopes = min(first.group, n_hidden - h), s0 + plan.slopes_at
        outer_tile(
            first.outer_tile, height, W2, h * c, c, 1, scratch, at, block, first.panel, c,
            scratch, slopes, block, first.panel, n, True, 0,
        )  # fmt: skip
        gate_tile(plan.gate_tile, scratch, s0 + h * block, block, height, scratch, slopes, n, marks, m0 + h)
        for k in range(h, h + height):
            sums[db + k] += _sum(scratch, s0 + k * block, n)
    return total


@helper
def units_gradient(plan, x, x0, x_row, n, fresh, scratch, s0, marks, m0):
    """dW1 += Xᵀ dhidden of a block, slab by slab of the features; `fresh`: = instead of +=.

    Of each unit only the rows count at which it is on. Segments come in the order of ``narrow_block.gradient``, and the
    same slab of what comes next is fetched, a row by each unit.
    """
    first = plan.first
    block, d, panel, n_hidden = first.block_rows, first.n_features, first.panel, first.n_classes
    for back in range(0, d, first.segment):
        begin = (d - 1) // first.segment * first.segment - back
        end = min(begin + first.segment, d)
        ahead = x_row * block if begin == 0 else -first.segment
        for k in range(begin, end, plan.slab):
            columns = min(plan.slab, end - k)
            n_panels = -(-columns // panel)
            copy_tile(plan.copy_tile, x, x0 + k, x_row, n, columns, scratch, s0 + plan.slab_at, n_panels * panel)
            for j in range(0, n_hidden, first.group):
                height, fetches = min(first.group, n_hidden - j), first.fetches and j < block
                sparse_outer_tile(
                    plan.sparse_tile, n_panels, scratch, s0 + j * block, block, marks, m0 + j, height,
                    scratch, s0 + plan.slab_at, scratch, s0 + first.gradient_at + place_of(first, j, k), panel,
                    height * panel, fresh, x, x0 + k + (ahead + j * x_row if fetches else 0), x_row if fetches else 0,
                )  # fmt: skip


@merged
def _weights_gradient(plan, n, scratch, s0):
    """dW2 += hiddenᵀ dscores of a block: dscores are put in panels of samples, for a tile that sums over them."""
    first, c, panel = plan.first, plan.n_outputs, plan.first.panel
    for j in range(0, c, plan.group):
        height, packed = min(plan.group, c - j), s0 + plan.packed_at
        for i in range(0, n, panel):
            for k in range(height):
                source, target = s0 + plan.scores_at + (j + k) * first.block_rows + i, packed + i * height + k * panel
                for v in range(panel):
                    scratch[target + v] = scratch[source + v] if i + v < n else 0
        dot_tile(
            first.dot_tile, height, scratch, s0, first.block_rows, first.n_classes, scratch, packed, n,
            scratch, packed, True, True, scratch, s0 + plan.gradient_at + j, c, 1, 0,
        )  # fmt: skip


@merged
def _sum(scratch, at, n):
    """Σ of n items, in float64."""
    total = 0.0
    for item in scratch[at : at + n]:
        total += item
    return total


@merged
def hand_out(plan, row, n, scratch, s0, scores):
    """The scores of a block, one row a sample."""
    at, block, c = s0 + plan.scores_at, plan.first.block_rows, plan.n_outputs
    for i in range(n):
        for j in range(c):
            scores[(row + i) * c + j] = scratch[at + j * block + i]
