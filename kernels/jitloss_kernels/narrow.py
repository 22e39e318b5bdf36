"""Few classes: every lane reads its rows of X once and keeps scores and a gradient of its own.

::

    choose  which class is the pivot, if there is one (``pivots.py``)               one task
    pack    W in panels of features, all classes of a group side by side;           tasks: ranges of features
            every thread does this and that before for itself instead, if W is small
    lanes   block of rows (in L2) → scores → losses, dscores → dW, db, dX;          tasks: lanes of rows
            who finds no lane left takes blocks of others' (``stealing.py``)
    fold    dW = Σ pairs of lanes + regulariser, in their order                     tasks: ranges of features
    add     losses, db, W²: sums of sums                                            one task

A lane: ``narrow_lane.py``; what it does with a block: ``narrow_block.py``.
"""

from __future__ import annotations

from .counts import ALL_DONE, beginning, claim, claim_near, finish, wait
from .jit import Kernel, helper, merged
from .narrow_lane import lane
from .narrow_plan import ADD, CHOOSE, FOLD, LANE_COUNTS, LANES, N_STAGES, PACK, opened
from .panels import fold, join, pack
from .pivots import choose
from .stealing import DB, sums_of


@Kernel
def run(counts, member, loss, given, W, X, y, bias, options, twice_decay, scratch, sums, dW, db, dX):
    """Do a part of every stage; see ``workers``. All arrays are flat, but an X of other strides or of chosen rows."""
    plan = opened(given)
    w0, own = weights_of(plan), -1
    for stage in range(plan.first_stage, N_STAGES):
        n_tasks = tasks_of(plan, stage)
        near = beginning(member, n_tasks)
        while True:
            task = claim_task(counts, plan, stage, near)
            if task >= n_tasks:
                break
            if stage == CHOOSE:
                choose(plan, W, scratch)
            elif stage == PACK:
                pack(task, plan, W, scratch, w0)
            elif stage == LANES:
                if w0 < 0:
                    w0 = pack_alone(counts, plan, W, scratch)
                lane(task, task, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX)
                join(task, counts, plan, scratch)
                own, near = task, task + 1
            elif stage == FOLD:
                fold(task, plan, W, scratch.dtype.type(twice_decay), scratch, sums, dW)
                near = task + 1
            else:
                add(plan, twice_decay, sums, db)
            finish(counts, stage)
        if stage == LANES and own >= 0 and plan.n_slots > 0:  # who has done a lane has scratch and W to steal with
            for i in range(1, n_tasks):
                lane((own + i) % n_tasks, own, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX)
        wait(counts, stage, n_tasks)


@merged
def weights_of(plan):
    """Where W in panels is, if it is one for all; or less than 0."""
    return -1 if plan.first_stage == LANES else plan.weights_at


@helper
def pack_alone(counts, plan, W, scratch):
    """Pack W for the member at hand; returns where it is.

    If W is not large, that takes less time than to bring what others have packed from their caches, and their copy of
    the last call's out of this one. Only who has a lane to do may pack: a call is over when all lanes are, and then its
    scratch is somebody else's.
    """
    arrival = claim(counts, N_STAGES)
    if arrival >= ALL_DONE:  # interrupted: what is computed now is worth nothing
        return plan.weights_at
    w0 = plan.weights_at + arrival * plan.weights_items
    choose(plan, W, scratch)
    for task in range(plan.n_ranges):
        pack(task, plan, W, scratch, w0)
    return w0


@merged
def tasks_of(plan, stage):
    """How many tasks a stage has."""
    if stage == CHOOSE or stage == ADD:  # noqa: SIM109  (of `in` numba makes a function that it compiles)
        return 1
    return plan.n_lanes if stage == LANES else plan.n_ranges


@merged
def claim_task(counts, plan, stage, near):
    """The next task of a stage, or a number that is none; of lanes and folds the next one from `near` on.

    A member folds the same features in every call: if dW is small, its place is in that core's cache.
    """
    if stage == LANES or stage == FOLD:  # noqa: SIM109
        at = LANE_COUNTS if stage == LANES else LANE_COUNTS + plan.n_lanes + plan.n_lanes // 2
        return claim_near(counts, at, plan.n_lanes if stage == LANES else plan.n_ranges, near)
    return claim(counts, stage)


@merged
def add(plan, twice_decay, sums, db):
    """The sum of the losses and db, lane after lane; the sum of W²."""
    sums[0] = sums[1] = 0.0
    for task in range(plan.n_lanes):
        sums[0] += sums[sums_of(plan, task)]
    if plan.want_b:
        for j in range(plan.n_classes):
            total = 0.0
            for task in range(plan.n_lanes):
                total += sums[sums_of(plan, task) + DB + j]
            db[j] = total
    if twice_decay != 0:
        for task in range(plan.n_ranges):
            sums[1] += sums[plan.squares_at + task]
