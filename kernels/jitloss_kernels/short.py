"""Few rows of few classes: W is read as it lies, dW written as it will lie, and nothing is shared.

Packing W in panels and folding dW back takes as long as the products themselves where few rows meet them. Here each
number of W is read once a few rows and each of dW written once (``runs``), by the thread that calls.
"""

from __future__ import annotations

from .blocks import is_copied, read, where
from .jit import Kernel, helper, merged
from .memory import RESULTS
from .moves import transpose_tile
from .narrow_block import bias_gradient, losses
from .options import weightless
from .regulariser import regularise
from .runs import run_dot_tile, run_outer_tile
from .shapes import TALLEST
from .short_plan import CHUNK, opened
from .tiles import outer_tile


@Kernel
def run(counts, member, loss, given, W, X, y, bias, options, twice_decay, scratch, sums, dW, db, dX):
    """Scores, losses, gradients. All arrays are flat, but an X of other strides or of chosen rows."""
    plan = opened(given)
    n, d = plan.n_rows, plan.n_features
    if is_copied(X, scratch):
        read(X, 0, n, d, scratch, plan.copy_at, plan.copy_row)
    x, x0, x_row = where(X, 0, d, scratch, plan.copy_at, plan.copy_row)
    scores(plan, W, x, x0, x_row, bias, scratch)
    sums[0], missed = losses(loss, plan, y, 0, n, options, scratch, 0, sums, RESULTS)
    if plan.want_b:
        db[:] = 0
        bias_gradient(plan, n, scratch, 0, db, 0)
    turn(plan, scratch, False)
    if missed > 0:  # 0 times NaN is NaN: what has no weight must not be seen
        clear(plan, x, x0, x_row, y, options, scratch)
        gradients(plan, W, scratch, plan.copy_at, plan.copy_row, scratch, dW, dX)
    else:
        gradients(plan, W, x, x0, x_row, scratch, dW, dX)
    sums[1] = 0.0
    if twice_decay != 0:
        factor = scratch.dtype.type(twice_decay)
        sums[1] = regularise(W, 0, d * plan.n_classes, factor, dW, plan.want_w)


@helper
def scores(plan, W, x, x0, x_row, bias, scratch):
    """S = X W + b, first one row a sample, then one row a class."""
    for i in range(plan.n_rows):
        for j in range(plan.n_classes):
            scratch[plan.rows_at + i * plan.row + j] = bias[j] if len(bias) > 0 else 0
    for k in range(0, plan.n_features, CHUNK):
        run_dot_tile(
            plan.run_dot_tile, plan.n_classes, x, x0 + k, x_row, plan.n_rows, W, k * plan.n_classes,
            min(CHUNK, plan.n_features - k), scratch, plan.parts_at, scratch, plan.rows_at, plan.row,
        )  # fmt: skip
    turn(plan, scratch, True)


@merged
def turn(plan, scratch, to_classes):
    """From one row a sample to one row a class, or back. What lies in a strip beyond the samples is anything."""
    for i in range(plan.n_rows):
        for j in range(plan.n_classes):
            of_sample, of_class = plan.rows_at + i * plan.row + j, j * plan.block_rows + i
            if to_classes:
                scratch[of_class] = scratch[of_sample]
            else:
                scratch[of_sample] = scratch[of_class]


@helper
def clear(plan, x, x0, x_row, y, options, scratch):
    """A copy of X in which the rows without weight are 0."""
    for i in range(plan.n_rows):
        nothing = weightless(options, y[i], i)
        for k in range(plan.n_features):
            item = x[x0 + i * x_row + k]
            scratch[plan.copy_at + i * plan.copy_row + k] = 0 if nothing else item


@helper
def gradients(plan, W, x, x0, x_row, scratch, dW, dX):
    """dW = Xᵀ dscores; dX = dscores Wᵀ, a panel of features at a time."""
    n, d, c, panel = plan.n_rows, plan.n_features, plan.n_classes, plan.panel
    if plan.want_w:
        run_outer_tile(
            plan.run_outer_tile, c, x, x0, x_row, n, scratch, plan.rows_at, plan.row,
            d, scratch, plan.parts_at, dW, 0,
        )  # fmt: skip
    if plan.want_x:
        for k in range(0, d, panel):
            columns = min(panel, d - k)
            transpose_tile(plan.transpose_tile, W, k * c, c, columns, c, scratch, plan.weights_at, panel, True)
            for i in range(0, n, TALLEST):
                outer_tile(
                    plan.outer_tile, min(TALLEST, n - i), scratch, plan.rows_at + i * plan.row, plan.row, 1,
                    scratch, plan.weights_at, panel, 0, c, dX, i * d + k, d, 0, columns, True, 0,
                )  # fmt: skip
