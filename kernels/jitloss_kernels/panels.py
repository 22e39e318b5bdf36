"""W and dW in panels of features, all classes of a group side by side: what a tile reads or writes comes in one run.

They lie in the order in which they are needed: segment by segment of the features, and in each group by group.
"""

from __future__ import annotations

from .counts import add
from .differences import completion_tile, difference_tile
from .jit import helper, merged
from .moves import transpose_tile
from .narrow_plan import LANE_COUNTS, TASK_FEATURES
from .pivots import pivot_of
from .regulariser import regularise


@helper
def place_of(plan, j, k):
    """Where the features from k on, of the group of classes from j on, begin."""
    begin = k // plan.segment * plan.segment
    height = min(plan.group, plan.n_columns - j)
    return begin * plan.n_columns + j * min(plan.segment, plan.width - begin) + (k - begin) * height


@helper
def pack(task, plan, W, scratch, w0):
    """W in panels of features from `w0` on, for a range of features."""
    c, panel, start = plan.n_classes, plan.panel, task * TASK_FEATURES
    stop = min(start + TASK_FEATURES, plan.n_features)
    if plan.n_columns < c:
        at = w0 + place_of(plan, 0, start)
        difference_tile(plan.difference_tile, W, start * c, stop - start, c, pivot_of(plan, scratch), scratch, at)
        return
    for group in range(0, plan.n_columns, plan.group):
        height = min(plan.group, plan.n_columns - group)
        for k in range(start, stop, panel):
            n, at = min(panel, stop - k), w0 + place_of(plan, group, k)
            transpose_tile(plan.transpose_tile, W, k * c + group, c, n, height, scratch, at, panel, True)


@helper
def join(lane, counts, plan, scratch):
    """Add up the gradients of two lanes that follow each other, when the second of them is finished.

    Most often one thread has done both, and has them in its cache; from there others will fetch half as much.
    """
    first = lane // 2 * 2
    if plan.want_w and plan.joined == 2 and add(counts, LANE_COUNTS + plan.n_lanes + lane // 2, 1) == 1:
        at = first * plan.lane_items + plan.gradient_at
        _add_run(scratch, at, at + plan.lane_items, plan.n_columns * plan.width)


@merged
def fold(task, plan, W, twice_decay, scratch, sums, dW):
    """dW = Σ lanes + 2 · decay · W for a range of features, pair after pair; and the range's sum of W²."""
    c, start = plan.n_classes, task * TASK_FEATURES
    stop = min(start + TASK_FEATURES, plan.n_features)
    if plan.want_w:
        _fold_lanes(plan, start, stop, scratch, dW)
    if twice_decay != 0:
        sums[plan.squares_at + task] = regularise(W, start * c, stop * c, twice_decay, dW, plan.want_w)


@merged
def _fold_lanes(plan, start, stop, scratch, dW):
    """dW = Σ pairs of lanes, from panels of features to one column a class."""
    c, panel = plan.n_classes, plan.panel
    if plan.n_columns < c:
        at, n = plan.gradient_at + place_of(plan, 0, start), min(TASK_FEATURES, plan.width - start) * plan.n_columns
        _add_lanes(plan, at, n, scratch)
        pivot = pivot_of(plan, scratch)
        completion_tile(plan.completion_tile, scratch, at, stop - start, c, pivot, dW, start * c)
        return
    for group in range(0, plan.n_columns, plan.group):
        height = min(plan.group, plan.n_columns - group)
        for k in range(start, stop, panel):
            n, at = min(panel, stop - k), plan.gradient_at + place_of(plan, group, k)
            _add_lanes(plan, at, panel * height, scratch)
            transpose_tile(plan.transpose_tile, scratch, at, panel, height, n, dW, k * c + group, c, False)


@helper
def _add_lanes(plan, at, n, scratch):
    """Add to `n` items of the first lane, from `at` on, those of all others, pair after pair."""
    for lane in range(plan.joined, plan.n_lanes, plan.joined):
        _add_run(scratch, at, at + lane * plan.lane_items, n)


@helper
def _add_run(scratch, at, other, n):
    """Add to `n` items from `at` on those from `other` on."""
    total, added = scratch[at : at + n], scratch[other : other + n]
    for i in range(n):
        total[i] += added[i]
