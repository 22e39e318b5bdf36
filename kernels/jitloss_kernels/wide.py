"""Many classes: no thread has a gradient of its own; what is written is split over classes and features instead.

Rows go in blocks, and each block goes through stages. The scores of a block are the only N×C matter that ever exists.

::

    copy        a block of X, where X cannot be used as it lies                     tasks: ranges of rows
    scores      S = X W + b: W is packed chunk by chunk for the thread at hand      tasks: classes × rows
    rows        losses; dscores take the place of the scores                        tasks: ranges of rows
    gradients   dW += Xᵀ S, db; dX = S Wᵀ                                           tasks: features × classes
    end         regulariser; then sums                                              tasks: ranges of features; one

Vectors run along the classes. S is kept in *panels*, as wide as a tile and contiguous: no step through memory is a
power of two, and what one tile reads comes in a row. The last panel is filled up with −∞.
"""

from __future__ import annotations

import numpy as np

from .blocks import is_copied, read, where
from .counts import ALL_DONE, COUNTS, SHARES, beginning, claim, claim_share, finish, wait
from .jit import Kernel, helper, merged, out_of_line
from .memory import RESULTS
from .moves import copy_tile
from .options import weightless
from .regulariser import regularise
from .rows import CLASSES
from .rows import rows as rows_of_strip
from .shapes import TALLEST
from .tiles import outer_tile
from .wide_plan import COPY, GRADIENTS, N_STAGES, ROWS, SCORES, TASK_FEATURES, TASK_ROWS, opened


@Kernel
def run(counts, member, loss, given, W, X, y, bias, options, twice_decay, scratch, sums, dW, db, dX):
    """Do a part of every stage; see ``workers``. All arrays are flat, but an X of other strides or of chosen rows.

    Stage s is stage ``s % N_STAGES`` of block ``s // N_STAGES``; after the last block comes the end. There is scratch
    for as many as may come, whoever they are: it is theirs in order of arrival.
    """
    plan = opened(given)
    arrival = claim(counts, plan.n_stages)  # the count after those of the stages
    if arrival >= ALL_DONE:  # interrupted: there is no scratch for such a member
        return
    share = beginning(member, SHARES)
    for number in range(plan.n_stages):
        block, stage = number // N_STAGES, number % N_STAGES
        first = block * plan.block_rows
        n = min(plan.block_rows, plan.n_rows - first)
        n_tasks = _n_tasks(plan, block, stage, n, is_copied(X, scratch))
        while True:
            task = claim_share(counts, COUNTS * (plan.n_stages + 1) + SHARES * number, n_tasks, share)
            if task >= n_tasks:
                break
            if block == plan.n_blocks:
                if stage == 0:
                    decay(task, plan, W, scratch.dtype.type(twice_decay), sums, dW)
                else:
                    add(plan, twice_decay, sums, db)
            elif stage == COPY:
                start = task * TASK_ROWS
                at = plan.copy_at + start * plan.width
                read(X, first + start, min(TASK_ROWS, n - start), plan.n_features, scratch, at, plan.width)
            elif stage == SCORES:
                x, x0, x_row = where(X, first, plan.n_features, scratch, plan.copy_at, plan.width)
                scores(task, plan, x, x0, x_row, n, W, bias, scratch, plan.member_at + arrival * plan.member_items)
            elif stage == ROWS:
                losses(task, loss, plan, y, block, first, n, options, scratch, sums, arrival)
            elif stage == GRADIENTS:
                x, x0, x_row = where(X, first, plan.n_features, scratch, plan.copy_at, plan.width)
                n_w, buffer = _n_gradient_tasks(plan), plan.member_at + arrival * plan.member_items
                if task < n_w:
                    gradient(task, plan, x, x0, x_row, y, first, n, options, block == 0, scratch, sums, buffer, dW)
                else:
                    inputs(task - n_w, plan, first, n, W, scratch, buffer, dX)
            finish(counts, number)
        wait(counts, number, n_tasks)


@merged
def _n_tasks(plan, block, stage, n, copies):
    """How many tasks a stage has."""
    if block == plan.n_blocks:
        return _parts(plan.n_features, TASK_FEATURES) if stage == 0 else 1
    if stage == COPY:
        return _parts(n, TASK_ROWS) if copies else 0
    if stage == SCORES:
        return plan.n_groups * _parts(n, plan.part_rows)
    if stage == ROWS:
        return _parts(n, TASK_ROWS)
    return _n_gradient_tasks(plan) + (_parts(plan.n_features, plan.part_features) if plan.want_x else 0)


@merged
def _n_gradient_tasks(plan):
    if not (plan.want_w or plan.want_b):
        return 0
    return _parts(plan.n_features, plan.part_features) * _parts(plan.n_classes, plan.part_classes)


@merged
def _parts(n, size):
    return (n + size - 1) // size


@helper
def scores(task, plan, x, x0, x_row, n, W, bias, scratch, buffer):
    """S = X W + b for a group of classes and some of the rows of a block."""
    out_of_line()
    j = task % plan.n_groups * plan.group
    columns = min(plan.group, plan.n_classes - j)
    start = task // plan.n_groups * plan.part_rows
    stop = min(start + plan.part_rows, n)
    top = j // plan.panel * plan.panel_step
    for p in range(_parts(columns, plan.panel)):
        for i in range(start, stop):
            at = top + p * plan.panel_step + i * plan.panel
            row, left = scratch[at : at + plan.panel], columns - p * plan.panel
            for v in range(len(row)):
                row[v] = (bias[j + p * plan.panel + v] if len(bias) > 0 else 0) if v < left else -np.inf
    n_tiles = _parts(stop - start, TALLEST)
    for k in range(0, plan.n_features, plan.chunk):
        length = min(plan.chunk, plan.n_features - k)
        if plan.packs:
            for q in range(length):
                at, source = buffer + q * plan.group, (k + q) * plan.n_classes + j
                row, weights = scratch[at : at + columns], W[source : source + columns]
                for v in range(len(row)):
                    row[v] = weights[v]
        for t in range(n_tiles):
            i = start + t * (stop - start) // n_tiles
            height = start + (t + 1) * (stop - start) // n_tiles - i
            out = top + i * plan.panel
            if plan.packs:
                outer_tile(
                    plan.outer_tile, height, x, x0 + i * x_row + k, x_row, 1,
                    scratch, buffer, plan.group, plan.panel, length,
                    scratch, out, plan.panel, plan.panel_step, columns, False, 0,
                )  # fmt: skip
            else:
                outer_tile(
                    plan.outer_tile, height, x, x0 + i * x_row + k, x_row, 1,
                    W, k * plan.n_classes + j, plan.n_classes, plan.panel, length,
                    scratch, out, plan.panel, plan.panel_step, columns, False, plan.panel,
                )  # fmt: skip


@helper
def losses(task, loss, plan, y, block, first, n, options, scratch, sums, member):
    """The losses of a range of rows, each a strip of its own; dscores take the place of the scores."""
    out_of_line()
    at_strip = plan.member_at + member * plan.member_items + plan.strip_at
    part = scratch[at_strip : at_strip + 2 * plan.panel]
    totals = sums[plan.sums_totals + 4 * member * plan.panel : plan.sums_totals + 4 * (member + 1) * plan.panel]
    total, start = 0.0, task * TASK_ROWS
    for i in range(start, min(start + TASK_ROWS, n)):
        at = i * plan.panel
        rows_of_strip(
            loss, scratch, at, plan.panel_step, plan.n_panels, CLASSES,
            y, first + i, 1, options, part, totals,
        )  # fmt: skip
        total += totals[0]
    sums[RESULTS + block * _parts(plan.block_rows, TASK_ROWS) + task] = total


@helper
def gradient(task, plan, x, x0, x_row, y, first, n, options, fresh, scratch, sums, buffer, dW):
    """dW += Xᵀ S for a range of classes and a range of features, and db with the first of them."""
    out_of_line()
    n_parts = _parts(plan.n_features, plan.part_features)
    start, first_class = task % n_parts * plan.part_features, task // n_parts * plan.part_classes
    stop, stop_class = (
        min(start + plan.part_features, plan.n_features),
        min(first_class + plan.part_classes, plan.n_classes),
    )
    if plan.want_w:
        copies = plan.packs or plan.n_groups > 1 or not options.plain  # else each number is used once
        n_tiles = _parts(stop - start, TALLEST)
        for t in range(n_tiles if copies else 0):  # X, a tile's features side by side
            k = start + t * (stop - start) // n_tiles
            height = start + (t + 1) * (stop - start) // n_tiles - k
            at = buffer + (k - start) * n
            copy_tile(plan.copy_tile, x, x0 + k, x_row, n, height, scratch, at, height)
            if not options.plain:  # 0 times NaN is NaN: what has no weight must not be seen
                for i in range(n):
                    if weightless(options, y[first + i], first + i):
                        scratch[at + i * height : at + (i + 1) * height] = 0
        for j in range(first_class, stop_class, plan.group):
            columns, top = min(plan.group, stop_class - j), j // plan.panel * plan.panel_step
            for t in range(n_tiles):
                k = start + t * (stop - start) // n_tiles
                height = start + (t + 1) * (stop - start) // n_tiles - k
                for i in range(0, n, plan.chunk):  # what is read of X stays in L1 from panel to panel
                    if copies:
                        outer_tile(
                            plan.outer_tile, height, scratch, buffer + (k - start) * n + i * height, 1, height,
                            scratch, top + i * plan.panel, plan.panel, plan.panel_step, min(plan.chunk, n - i),
                            dW, k * plan.n_classes + j, plan.n_classes, plan.panel, columns, fresh and i == 0, 0,
                        )  # fmt: skip
                    else:
                        outer_tile(
                            plan.outer_tile, height, x, x0 + k + i * x_row, 1, x_row,
                            scratch, top + i * plan.panel, plan.panel, plan.panel_step, min(plan.chunk, n - i),
                            dW, k * plan.n_classes + j, plan.n_classes, plan.panel, columns, fresh and i == 0, 0,
                        )  # fmt: skip
    if plan.want_b and start == 0:
        db = sums[plan.sums_db + first_class : plan.sums_db + stop_class]
        if fresh:
            db[:] = 0
        for p in range(_parts(stop_class - first_class, plan.panel)):
            part = db[p * plan.panel : (p + 1) * plan.panel]
            for i in range(n):
                at = first_class // plan.panel * plan.panel_step + p * plan.panel_step + i * plan.panel
                row = scratch[at : at + plan.panel]
                for v in range(len(part)):
                    part[v] += row[v]


@helper
def inputs(task, plan, first, n, W, scratch, buffer, dX):
    """dX = S Wᵀ for a range of features, panel of classes by panel; Wᵀ is packed for each."""
    out_of_line()
    c, d = plan.n_classes, plan.n_features
    part_start = task * plan.part_features
    part_stop = min(part_start + plan.part_features, d)
    n_tiles = _parts(n, TALLEST)
    for start in range(part_start, part_stop, plan.group):
        columns = min(plan.group, part_stop - start)
        for p in range(plan.n_panels):
            j = p * plan.panel
            length = min(plan.panel, c - j)
            for k in range(columns):
                weights = W[(start + k) * c + j : (start + k) * c + j + length]
                for q in range(len(weights)):
                    scratch[buffer + q * plan.group + k] = weights[q]
            for t in range(n_tiles):
                i = t * n // n_tiles
                height = (t + 1) * n // n_tiles - i
                outer_tile(
                    plan.outer_tile, height, scratch, p * plan.panel_step + i * plan.panel, plan.panel, 1,
                    scratch, buffer, plan.group, plan.panel, length,
                    dX, (first + i) * d + start, d, plan.panel, columns, p == 0, 0,
                )  # fmt: skip


@helper
def decay(task, plan, W, twice_decay, sums, dW):
    """The regulariser for a range of features."""
    out_of_line()
    c, start = plan.n_classes, task * TASK_FEATURES
    stop = min(start + TASK_FEATURES, plan.n_features)
    if twice_decay != 0:
        sums[plan.sums_squares + task] = regularise(W, start * c, stop * c, twice_decay, dW, plan.want_w)


@helper
def add(plan, twice_decay, sums, db):
    """The sum of the losses, block after block, and the sum of W²; db where it is wanted."""
    out_of_line()
    sums[0] = sums[1] = 0.0
    n_tasks = _parts(plan.block_rows, TASK_ROWS)
    for block in range(plan.n_blocks):
        n = min(plan.block_rows, plan.n_rows - block * plan.block_rows)
        for task in range(_parts(n, TASK_ROWS)):
            sums[0] += sums[RESULTS + block * n_tasks + task]
    if twice_decay != 0:
        for k in range(plan.sums_squares, plan.sums_totals):
            sums[1] += sums[k]
    if plan.want_b:
        for j in range(plan.n_classes):
            db[j] = sums[plan.sums_db + j]
