"""Few classes: every lane reads its rows of X once and keeps scores and a gradient of its own.

::

    pack    Wᵀ = transpose of W: rows as long as those of X                         tasks: ranges of features
    lanes   block of rows (in L2) → scores → losses, dscores → dWᵀ, db, dX          tasks: lanes of rows
    fold    dW = Σ lanes + regulariser, in lane order                               tasks: ranges of features

Vectors run along the features in both products, so no lane of a register is wasted on C = 2, 3 or 10; in the row stage
they run along the samples of a block. While one block's gradient is computed the next block is fetched.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .blocks import read, where
from .jit import Kernel, helper, merged, out_of_line
from .memory import row_items, whole_lines
from .rows import SAMPLE_LANES, SAMPLES
from .rows import rows as rows_of_strip
from .tiles import compiled, dot_tile, outer_tile, panel_items, tallest
from .workers import claim, finish, wait

N_STAGES = 3
PACK, LANES, FOLD = range(N_STAGES)
# A block of X fills a good part of an L2 cache of 1 MB, yet leaves room for Wᵀ, dWᵀ and the block that is fetched.
_BLOCK_BYTES = 256 << 10
_MAX_BLOCK_ROWS = 128
# A lane is worth its fold from about this many flops and rows on; all gradients together stay below _LANES_BYTES.
_LANE_FLOPS = 4_000_000
_LANE_ROWS = 64
_LANES_BYTES = 32 << 20
_MAX_LANES = 64
# So much of each row of Wᵀ is used for all rows of a block while it is in L1: ten rows of it fill 40 KB at most.
_CHUNK_BYTES = 4096
# Features that one task packs or folds.
_TASK_FEATURES = 256


class Plan(NamedTuple):
    """Sizes, from shapes and dtype alone. Offsets and lengths are in items of the scratch they belong to."""

    n_rows: int
    n_features: int
    n_classes: int
    n_lanes: int
    block_rows: int
    chunk: int  # features of a step of the score stage
    group: int  # classes of a tile, all groups about the same
    tile: int  # rows of a tile
    panel: int  # columns of a tile
    width: int  # length of a row of Wᵀ, dWᵀ and of a copied block
    lane_items: int  # scratch of one lane: scores, copied block, dWᵀ
    copy_at: int
    gradient_at: int
    weights_items: int  # scratch shared by all lanes: Wᵀ
    lane_sums: int  # float64 scratch of one lane: totals, db, loss
    n_ranges: int  # of features
    want_w: bool
    want_b: bool
    want_x: bool
    dot_tile: int  # addresses of the compiled tiles
    outer_tile: int


def lane_count(n_rows, n_features, n_classes, item_bytes):
    """How many lanes a problem is cut into; from its shape and dtype alone."""
    by_work = 4 * n_rows * n_features * n_classes // _LANE_FLOPS
    by_memory = _LANES_BYTES // (item_bytes * n_features * n_classes)
    most = max(1, min(by_work, by_memory, n_rows // _LANE_ROWS, _MAX_LANES))
    return 1 << (most.bit_length() - 1)  # a power of two shares out evenly among 2, 4, 8 … threads


@lru_cache
def plan(n_rows, n_features, n_classes, item_bytes, copies, wrt):
    """The Plan of a problem; `copies`: blocks of X are copied; `wrt`: names of the gradients that are wanted."""
    n_lanes = lane_count(n_rows, n_features, n_classes, item_bytes)
    width = row_items(n_features, item_bytes)
    fitting = _BLOCK_BYTES // (width * item_bytes) // SAMPLE_LANES * SAMPLE_LANES
    block_rows = min(max(fitting, SAMPLE_LANES), _MAX_BLOCK_ROWS)
    n_chunks = -(-n_features * item_bytes // _CHUNK_BYTES)
    copy_at = n_classes * block_rows + SAMPLE_LANES  # scores, then the peaks of a strip
    gradient_at = copy_at + (block_rows * width if copies else 0)
    want_w = "W" in wrt
    dot, outer = compiled("float32" if item_bytes == 4 else "float64")
    lane_items = gradient_at + (n_classes * width if want_w else 0)
    return Plan(
        n_rows=n_rows,
        n_features=n_features,
        n_classes=n_classes,
        n_lanes=n_lanes,
        block_rows=block_rows,
        chunk=whole_lines(-(-n_features // n_chunks), item_bytes),
        group=-(-n_classes // -(-n_classes // tallest())),
        tile=tallest(),
        panel=panel_items(item_bytes),
        width=width,
        lane_items=whole_lines(lane_items, item_bytes),
        copy_at=copy_at,
        gradient_at=gradient_at,
        weights_items=n_classes * width,
        lane_sums=whole_lines(SAMPLE_LANES + n_classes + 1, 8),
        n_ranges=-(-n_features // _TASK_FEATURES),
        want_w=want_w,
        want_b="b" in wrt,
        want_x="X" in wrt,
        dot_tile=dot,
        outer_tile=outer,
    )


def scratch_items(plan, n_members):
    """Items of scratch and of float64 sums that a problem needs."""
    return plan.weights_items + plan.n_lanes * plan.lane_items, plan.n_lanes * plan.lane_sums + plan.n_ranges


def n_stages(plan, decays):
    """How many stages there are; the last is for what only it delivers."""
    return N_STAGES if plan.want_w or plan.want_b or decays else FOLD


def results(plan, sums):
    """The sum of the losses, lane after lane, and the sum of W²."""
    lanes = sums[: plan.n_lanes * plan.lane_sums]
    return lanes[plan.lane_sums - 1 :: plan.lane_sums].sum(), sums[len(lanes) :].sum()


@Kernel
def run(counts, first_stage, stop_stage, loss, plan, W, X, y, bias, scale, twice_decay, scratch, sums, dW, db, dX):
    """Do a part of every stage; see ``workers``. All arrays are flat, but an X whose blocks are copied."""
    for stage in range(first_stage, stop_stage):
        n_tasks = plan.n_lanes if stage == LANES else plan.n_ranges
        while True:
            task = claim(counts, stage)
            if task >= n_tasks:
                break
            if stage == PACK:
                pack(task, plan, W, scratch)
            elif stage == LANES:
                lane(task, loss, plan, X, y, bias, scale, scratch, sums, dX)
            else:
                fold(task, plan, W, twice_decay, scratch, sums, dW, db)
            finish(counts, stage)
        wait(counts, stage, n_tasks)


@helper
def pack(task, plan, W, scratch):
    """Wᵀ, for a range of features."""
    out_of_line()
    start, c = task * _TASK_FEATURES, plan.n_classes
    stop = min(start + _TASK_FEATURES, plan.n_features)
    rows = W[start * c : stop * c].reshape(-1, c)
    for j in range(c):
        column = scratch[j * plan.width + start : j * plan.width + stop]
        for k in range(len(column)):
            column[k] = rows[k, j]


@helper
def lane(task, loss, plan, X, y, bias, scale, scratch, sums, dX):
    """The rows of one lane, block by block; whole strips but for the last."""
    out_of_line()
    n_strips = (plan.n_rows + SAMPLE_LANES - 1) // SAMPLE_LANES
    start = task * n_strips // plan.n_lanes * SAMPLE_LANES
    stop = min((task + 1) * n_strips // plan.n_lanes * SAMPLE_LANES, plan.n_rows)
    s0, sums0 = plan.weights_items + task * plan.lane_items, task * plan.lane_sums
    sums[sums0 : sums0 + plan.lane_sums] = 0.0
    total = 0.0
    for first in range(start, stop, plan.block_rows):
        n = min(plan.block_rows, stop - first)
        read(X, first, n, plan.n_features, scratch, s0 + plan.copy_at, plan.width)
        x, x0, x_row = where(X, first, plan.n_features, scratch, s0 + plan.copy_at, plan.width)
        _scores(plan, x, x0, x_row, n, bias, scratch, s0)
        total += _losses(loss, plan, y, first, n, scale, scratch, s0, sums, sums0)
        _gradients(plan, x, x0, x_row, first, n, first == start, scratch, s0, dX)
    if start >= stop and plan.want_w:
        scratch[s0 + plan.gradient_at : s0 + plan.gradient_at + plan.n_classes * plan.width] = 0
    sums[sums0 + plan.lane_sums - 1] = total  # where `results` looks for it


@merged
def _scores(plan, x, x0, x_row, n, bias, scratch, s0):
    """S = X Wᵀᵀ + b of a block, one row a class: a chunk of features at a time, a group of classes at a time."""
    rows = plan.block_rows
    for j in range(plan.n_classes):
        scratch[s0 + j * rows : s0 + (j + 1) * rows] = bias[j]
    for k in range(0, plan.n_features, plan.chunk):
        length = min(plan.chunk, plan.n_features - k)
        for j in range(0, plan.n_classes, plan.group):
            height = min(plan.group, plan.n_classes - j)
            dot_tile(
                plan.dot_tile, height, x, x0 + k, x_row, n,
                scratch, j * plan.width + k, plan.width, length, scratch, s0 + j * rows, 1, rows,
            )  # fmt: skip


@merged
def _losses(loss, plan, y, first, n, scale, scratch, s0, sums, sums0):
    """The losses of a block; dscores take the place of the scores, their sums go to db."""
    rows, c = plan.block_rows, plan.n_classes
    peak0 = s0 + c * rows
    peak = scratch[peak0 : peak0 + SAMPLE_LANES]
    totals = sums[sums0 : sums0 + SAMPLE_LANES]
    total = 0.0
    for i in range(0, n, SAMPLE_LANES):
        in_strip = min(SAMPLE_LANES, n - i)
        total += rows_of_strip(loss, scratch, s0 + i, rows, c, SAMPLES, y, first + i, in_strip, scale, peak, totals)
    if plan.want_b:
        for j in range(c):
            part = 0.0
            for dscore in scratch[s0 + j * rows : s0 + j * rows + n]:
                part += dscore
            sums[sums0 + SAMPLE_LANES + j] += part
    return total


@merged
def _gradients(plan, x, x0, x_row, first, n, fresh, scratch, s0, dX):
    """dWᵀ += dscoresᵀ X and dX = dscores Wᵀ of a block."""
    rows, c, d, panel = plan.block_rows, plan.n_classes, plan.n_features, plan.panel
    if plan.want_w:
        ahead = x_row * rows  # the first group of classes fetches the next block
        for j in range(0, c, plan.group):
            height = min(plan.group, c - j)
            if fresh or _any_nonzero(scratch, s0 + j * rows, height, rows, n):
                out = s0 + plan.gradient_at + j * plan.width
                outer_tile(
                    plan.outer_tile, height, scratch, s0 + j * rows, rows, 1, x, x0, x_row, panel, n,
                    scratch, out, plan.width, panel, d, fresh, ahead,
                )  # fmt: skip
                ahead = 0
    if plan.want_x:
        for i in range(0, n, plan.tile):
            height = min(plan.tile, n - i)
            outer_tile(
                plan.outer_tile, height, scratch, s0 + i, 1, rows, scratch, 0, plan.width, panel, c,
                dX, (first + i) * d, d, panel, d, True, 0,
            )  # fmt: skip


@merged
def _any_nonzero(scratch, at, n_rows, step, n):
    """Whether dscores have anything to add. NaN has: it is not 0."""
    for j in range(n_rows):
        for i in range(n):
            if scratch[at + j * step + i] != 0:
                return True
    return False


@helper
def fold(task, plan, W, twice_decay, scratch, sums, dW, db):
    """dW = Σ lanes + 2 · decay · W for a range of features, lane after lane; db; and the range's sum of W²."""
    out_of_line()
    c, start = plan.n_classes, task * _TASK_FEATURES
    stop = min(start + _TASK_FEATURES, plan.n_features)
    if plan.want_w:
        first = plan.weights_items + plan.gradient_at
        rows = dW[start * c : stop * c].reshape(-1, c)
        for j in range(c):
            at = first + j * plan.width
            column = scratch[at + start : at + stop]
            for _ in range(1, plan.n_lanes):
                at += plan.lane_items
                other = scratch[at + start : at + stop]
                for k in range(len(column)):
                    column[k] += other[k]
            for k in range(len(column)):
                rows[k, j] = column[k]
    if twice_decay != 0:
        squares = 0.0
        weights = W[start * c : stop * c]
        for k in range(len(weights)):
            squares += np.float64(weights[k]) * np.float64(weights[k])
        if plan.want_w:
            gradient = dW[start * c : stop * c]
            for k in range(len(gradient)):
                gradient[k] += twice_decay * weights[k]
        sums[plan.n_lanes * plan.lane_sums + task] = squares
    if plan.want_b and task == 0:
        for j in range(c):
            total = 0.0
            for lane in range(plan.n_lanes):
                total += sums[lane * plan.lane_sums + SAMPLE_LANES + j]
            db[j] = total
