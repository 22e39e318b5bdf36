"""A two-layer net: a block of rows goes through both layers and back while it is in cache.

::

    pack    W1 in panels of features, unless it is small (see ``narrow.py``)             tasks: ranges of features
    lanes   block → hidden = relu(X W1 + b1) → scores = hidden W2 + b2 → losses, dscores
                  → dW2, db2, dhidden → dW1, db1                                         tasks: lanes of rows
    fold    dW1 = Σ pairs of lanes + regulariser, in their order                         tasks: ranges of features
    add     losses, db1, db2, dW2, W²: sums of sums                                      one task

The first layer is a ``narrow`` problem whose classes are the hidden units, with another layer in place of a row loss.
Hidden units and scores of a block lie one row a unit, so every product has a side that is contiguous: no N × H matter
ever exists. What is called score there is called hidden here.

Most units are off for many rows, and such a row adds nothing to their part of dW1: where there are units enough it is
skipped (``sparse.py``). That is a fourth of all arithmetic if a unit is off for half of them. But 0 times infinity is
NaN: in a block where a unit is not finite, as all are where X is not, nothing is skipped.
"""

from __future__ import annotations

import numpy as np

from . import narrow, narrow_block, narrow_lane, narrow_plan, panels, rows, workers
from .blocks import handed, reading_of, shape_of
from .counts import beginning, finish, is_stopped, wait
from .jit import Kernel, merged
from .memory import RESULTS, SHARED, Pool
from .narrow_plan import FOLD, LANES, N_STAGES, PACK
from .options import make
from .records import handed as handed_plan
from .records import record
from .rows import tag as tag_of
from .stealing import DB, sums_of
from .two_layer_block import backward, forward, hand_out, units_gradient
from .two_layer_plan import opened, plan

# Other threads are called for what takes one thread some thirty microseconds.
_WORTH_FLOPS = 2 << 20


def net_loss(
    parameters: dict[str, np.ndarray],
    X: np.ndarray,
    y: np.ndarray | None,
    decay: float,
    results: dict[str, np.ndarray],
    n_threads: int | None,
    chosen: np.ndarray | None = None,
    pool: Pool = SHARED,
) -> float:
    """Mean softmax loss of relu(X W1 + b1) W2 + b2, plus ``decay`` times the sums of W1² and W2².

    The gradients go to `results`, by the names of the parameters, W1, b1, W2 and b2; without labels the scores go to
    ``results["scores"]`` and nothing else happens. All arrays but `X` are C-contiguous and of the compute dtype; X and
    `chosen`, the numbers of its rows that count, are as in ``fused.linear_loss``.
    """
    dtype, n_rows = parameters["W1"].dtype, len(X) if chosen is None else len(chosen)
    (n_features, n_hidden), n_outputs = parameters["W1"].shape, len(parameters["b2"])
    shape = shape_of(X, chosen)
    reading = reading_of(shape, X.dtype, dtype)
    whole = plan(n_rows, n_features, n_hidden, n_outputs, dtype.itemsize, reading, y is not None)
    first, tag = whole.first, tag_of("softmax")
    n_flops = n_rows * n_hidden * (n_features + n_outputs)
    most_threads = narrow_plan.most_threads(first) if n_flops * dtype.itemsize > _WORTH_FLOPS else 1
    n_members = workers.size(n_threads, most_threads)
    needed, recorded = narrow_plan.sizes(first), record(whole)
    scratch = pool.borrow(needed.n_items + n_members * needed.member_items, needed.n_sums, dtype)
    counts = np.zeros(narrow_plan.n_counts(first), np.int64)
    nothing = np.empty(0, dtype)
    flat = [parameters[name].reshape(-1) for name in ("W1", "b1", "W2", "b2")]
    written = [results[name].reshape(-1) if name in results else nothing for name in ("W1", "b1", "W2", "b2", "scores")]
    options, _ = make(rows.compiled, "softmax", dtype, True, 1 / max(n_rows, 1))
    arguments = (
        counts, 0, tag, handed_plan(whole, recorded), handed(X, shape, chosen),
        np.empty(0, np.int64) if y is None else y, options, 2 * decay, scratch.items, scratch.sums,
        scratch.sums.view(np.uint64), *flat, *written,
    )  # fmt: skip
    key = (type(tag).__name__, dtype.num, X.dtype.num, shape, chosen is not None)
    workers.run(run, key, n_members, arguments, 4 * n_flops, recorded)
    total, squares = scratch.sums.item(0), scratch.sums.item(1)
    pool.give_back(scratch)
    return total / max(n_rows, 1) + (decay * squares if decay else 0.0)


@Kernel
def run(
    counts, member, loss, given, X, y, options, twice_decay, scratch, sums, marks,
    W1, b1, W2, b2, dW1, db1, dW2, db2, scores,
):  # fmt: skip
    """Do a part of every stage; see ``workers``. All arrays are flat, but an X of other strides or of chosen rows."""
    plan = opened(given)
    first = plan.first
    w0 = narrow.weights_of(first)
    for stage in range(first.first_stage, N_STAGES):
        n_tasks = narrow.tasks_of(first, stage)
        near = beginning(member, n_tasks)
        while True:
            task = narrow.claim_task(counts, first, stage, near)
            if task >= n_tasks:
                break
            if stage == PACK:
                panels.pack(task, first, W1, scratch, w0)
            elif stage == LANES:
                if w0 < 0:
                    w0 = narrow.pack_alone(counts, first, W1, scratch)
                lane(task, counts, loss, plan, X, y, options, scratch, w0, sums, marks, b1, W2, b2, scores)
                panels.join(task, counts, first, scratch)
                near = task + 1
            elif plan.trains and stage == FOLD:
                panels.fold(task, first, W1, scratch.dtype.type(twice_decay), scratch, sums, dW1)
                near = task + 1
            elif plan.trains:
                narrow.add(first, twice_decay, sums, db1)
                add(plan, twice_decay, scratch, sums, W2, dW2, db2)
            finish(counts, stage)
        wait(counts, stage, n_tasks)


@merged
def lane(task, counts, loss, plan, X, y, options, scratch, w0, sums, marks, b1, W2, b2, scores):
    """The rows of one lane, block by block."""
    first = plan.first
    start, stop = narrow_lane.start_of(first, task), narrow_lane.start_of(first, task + 1)
    s0, sums0 = task * first.lane_items, RESULTS + task * first.lane_sums
    sums[sums0 : sums0 + first.lane_sums] = 0.0
    if plan.trains:
        scratch[s0 + plan.gradient_at : s0 + plan.gradient_at + first.n_classes * plan.n_outputs] = 0
    total = 0.0
    for row in range(start, stop, first.block_rows):
        if is_stopped(counts):
            break
        n = min(first.block_rows, stop - row)
        narrow_block.scores(first, X, row, n, b1, scratch, s0, w0, first.block_rows)
        is_finite = forward(plan, n, W2, b2, scratch, s0)
        if plan.trains:
            total += backward(loss, plan, y, row, n, options, W2, scratch, s0, sums, sums0, marks)
            x, x0, x_row = narrow_block.rows_at(first, X, row, scratch, s0)
            if plan.slab > 0 and is_finite:
                units_gradient(plan, x, x0, x_row, n, row == start, scratch, s0, marks, sums0 + plan.marks_at)
            else:
                narrow_block.gradient(
                    first, x, x0, x_row, n, row == start, scratch, s0, s0 + first.gradient_at, 0, first.n_features
                )
        else:
            hand_out(plan, row, n, scratch, s0, scores)
    if start >= stop and plan.trains:
        scratch[s0 + first.gradient_at : s0 + first.gradient_at + first.n_classes * first.width] = 0
    sums[sums_of(first, task)] = total


@merged
def add(plan, twice_decay, scratch, sums, W2, dW2, db2):
    """dW2 and db2, lane after lane, and what the regulariser has to say of W2."""
    first, c = plan.first, plan.n_outputs
    for j in range(c):
        total = 0.0
        for lane in range(first.n_lanes):
            total += sums[sums_of(first, lane) + DB + first.n_classes + j]
        db2[j] = total
    decay, squares = scratch.dtype.type(twice_decay), 0.0
    for k in range(len(W2)):
        at = plan.gradient_at + k
        slope = scratch[at]
        for lane in range(1, first.n_lanes):
            slope += scratch[at + lane * first.lane_items]
        if twice_decay != 0:
            slope += decay * W2[k]
            squares += np.float64(W2[k]) * np.float64(W2[k])
        dW2[k] = slope
    sums[1] += squares
