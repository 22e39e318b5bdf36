"""A lane of rows, block by block, with a gradient of its own; and blocks of other lanes (``stealing.py``)."""

from __future__ import annotations

from .counts import is_stopped
from .jit import helper, merged
from .memory import RESULTS
from .narrow_block import bias_gradient, gradient, is_to_be_missed, losses, rows_at, run_inputs, scores
from .narrow_plan import TASK_FEATURES, opened
from .pivots import exchange
from .stealing import (
    SUMS_OF_SLOT,
    claim_range,
    finish_range,
    hand_over,
    receive,
    share_out,
    shared_out,
    slot_of,
    steal,
    sums_of,
    take,
    wait_for_ranges,
)
from .tiles import DOT_ROWS


@merged
def start_of(plan, lane):
    """The first row of a lane: lanes are as even as they can be if the dot tile is to have whole groups of rows."""
    n_groups = (plan.n_rows + DOT_ROWS - 1) // DOT_ROWS
    return min(lane * n_groups // plan.n_lanes * DOT_ROWS, plan.n_rows)


@merged
def blocks_of(plan, lane):
    """How many blocks a lane has."""
    return (start_of(plan, lane + 1) - start_of(plan, lane) + plan.block_rows - 1) // plan.block_rows


@helper
def rows_of(plan, lane, block):
    """The first row of a block, and how many there are."""
    first = start_of(plan, lane) + block * plan.block_rows
    return first, min(plan.block_rows, start_of(plan, lane + 1) - first)


@helper
def lane(task, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX):
    """The rows of one lane."""
    plan = opened(given)
    s0, sums0 = task * plan.lane_items, RESULTS + task * plan.lane_sums
    n_blocks, db0 = blocks_of(plan, task), sums0 + 4 * plan.panel
    sums[db0 : db0 + plan.n_classes] = 0.0
    total, fresh, block = 0.0, True, 0
    while block < n_blocks and not is_stopped(counts) and take(counts, plan, task, block, n_blocks):
        loss_of_block, missed = evaluate(
            task, block, loss, given, X, y, bias, options, scratch, s0, w0, sums, sums0, db0, dX, plan.block_rows
        )
        total += loss_of_block
        if plan.want_w:
            fresh = weights_gradient(task, block, given, X, y, options, missed, fresh, scratch, s0, 0, plan.n_features)
        block += 1
    if is_stopped(counts):
        return
    n_stolen = n_blocks - block
    for slot in range(n_stolen - 1, -1, -1):
        total += receive(counts, plan, task, slot, sums, db0)
    sums[sums0 + plan.lane_sums - 1] = total
    if plan.want_w and fresh:  # nothing to add to yet: it is not shared
        share_out(counts, plan, task, 0)
        for slot in range(n_stolen - 1, -1, -1):
            fresh = stolen_gradient(task, slot, given, X, y, options, fresh, scratch, sums, 0, plan.n_features)
        if fresh:
            scratch[s0 + plan.gradient_at : s0 + plan.gradient_at + plan.n_columns * plan.width] = 0
    elif plan.want_w and n_stolen > 0:
        share_out(counts, plan, task, n_stolen)
        shared_gradient(task, n_stolen, counts, given, X, y, options, scratch, sums)
        wait_for_ranges(counts, plan, task)


@helper
def rob(own, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX):
    """Help with all other lanes."""
    plan = opened(given)
    for i in range(1, plan.n_lanes):
        other = (own + i) % plan.n_lanes
        if steal_blocks(other, own, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX) and plan.want_w:
            n_stolen = shared_out(counts, plan, other)
            if n_stolen > 0:
                shared_gradient(other, n_stolen, counts, given, X, y, options, scratch, sums)


@helper
def steal_blocks(other, own, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX):
    """Take what blocks there are of another lane; whether there were any. One's `own` lane has scratch for that."""
    plan = opened(given)
    s0, sums0, n_blocks, found_any = (
        own * plan.lane_items,
        RESULTS + own * plan.lane_sums,
        blocks_of(plan, other),
        False,
    )
    while not is_stopped(counts):
        slot = steal(counts, plan, other, n_blocks)
        if slot < 0:
            break
        found_any = True
        db0 = sums_of(plan, other, slot) + SUMS_OF_SLOT
        sums[db0 : db0 + plan.n_classes] = 0.0
        found = evaluate(
            other, n_blocks - 1 - slot, loss, given, X, y, bias, options, scratch, s0, w0, sums, sums0, db0, dX,
            -plan.block_rows,
        )  # fmt: skip
        hand_over(counts, plan, other, slot, scratch, s0, sums, found)
    return found_any


@helper
def evaluate(lane, block, loss, given, X, y, bias, options, scratch, s0, w0, sums, sums0, db0, dX, next_block):
    """Scores of a block, then dscores in their place; db and dX; its loss, and how many rows are to be missed."""
    plan = opened(given)
    first, n = rows_of(plan, lane, block)
    scores(plan, X, first, n, bias, scratch, s0, w0, next_block)
    found = losses(loss, plan, y, first, n, options, scratch, s0, sums, sums0)
    if plan.want_b:
        bias_gradient(plan, n, scratch, s0, sums, db0)
    exchange(plan, scratch, s0, 0)
    if plan.want_x:
        run_inputs(plan.inputs_code, given, first, n, scratch, s0, w0, dX)
    return found


@helper
def weights_gradient(lane, block, given, X, y, options, missed, fresh, scratch, dscores, left, right):
    """dW += Xᵀ dscores of a block, for features from `left` to `right`; whether there is still nothing to add to.

    Rows without weight that hold NaN or infinity, which 0 would not hide, are passed over.
    """
    plan = opened(given)
    (first, n), s0 = rows_of(plan, lane, block), lane * plan.lane_items
    x, x0, x_row = rows_at(plan, X, first, scratch, s0)
    step = n if missed == 0 else 1
    for i in range(0, n, step):
        if step == n or not is_to_be_missed(x, x0 + i * x_row, plan.n_features, options, y, first + i):
            gradient(plan, x, x0, x_row, i, step, fresh, scratch, dscores, s0 + plan.gradient_at, left, right)
            fresh = False
    return fresh


@helper
def stolen_gradient(lane, slot, given, X, y, options, fresh, scratch, sums, left, right):
    """The same for a block that was stolen."""
    plan = opened(given)
    block, missed, dscores = (
        blocks_of(plan, lane) - 1 - slot,
        sums[sums_of(plan, lane, slot) + 1],
        slot_of(plan, lane, slot),
    )
    return weights_gradient(lane, block, given, X, y, options, missed, fresh, scratch, dscores, left, right)


@helper
def shared_gradient(lane, n_stolen, counts, given, X, y, options, scratch, sums):
    """dW of the stolen blocks, for what ranges of features nobody else has claimed."""
    plan = opened(given)
    while True:
        left = claim_range(counts, plan, lane) * TASK_FEATURES
        if left >= plan.n_features:
            break
        right = min(left + TASK_FEATURES, plan.n_features)
        for slot in range(n_stolen - 1, -1, -1):
            stolen_gradient(lane, slot, given, X, y, options, False, scratch, sums, left, right)
        finish_range(counts, plan, lane)
