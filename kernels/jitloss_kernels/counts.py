"""What threads that share the tasks of a kernel count together: tasks that were claimed, tasks that are finished.

An interrupt sets all counts to `ALL_DONE`: nothing is left to claim, nothing to wait for.
"""

from __future__ import annotations

from numba import types

from . import atomics
from .jit import helper, in_place_of, merged
from .pointers import emit_item

# A count of claimed and one of finished tasks for each stage.
COUNTS = 2
# In so many shares the tasks of a stage are divided where it matters who does which: a power of two.
SHARES = 8
# More tasks than any stage has: a kernel whose counts stand there stops.
ALL_DONE = 1 << 40


@merged
def claim(counts, stage):
    """The number of the next task of `stage`, whether or not there is such a task."""
    return add(counts, COUNTS * stage, 1)


@helper
def claim_near(counts, at, n, near):
    """The first of `n` tasks that nobody has, from `near` on and round; n if there is none.

    From `at` on there is a count for each task. Who takes one after the other finds in its cache what it has fetched
    ahead.
    """
    for i in range(n):
        task = (near + i) % n
        if add(counts, at + task, 1) == 0:
            return task
    return n


@helper
def claim_share(counts, at, n, share):
    """One of `n` tasks that nobody has, those of a `share` before those of others; n if there is none.

    From `at` on there is a count for each of SHARES shares. Who has done the same tasks in the last call finds in its
    cache what they read and write.
    """
    for i in range(SHARES):
        number = (share + i) % SHARES
        begin, end = number * n // SHARES, (number + 1) * n // SHARES
        if begin < end:
            task = begin + add(counts, at + number, 1)
            if task < end:
                return task
    return n


@helper
def beginning(member, n):
    """Near which of `n` tasks a member begins: 0, n/2, n/4, 3n/4 …, each far from all before."""
    near, step = 0, n // 2
    while step > 0 and member > 0:
        near += member % 2 * step
        step, member = step // 2, member // 2
    return near


@merged
def finish(counts, stage):
    """Say that a task of `stage` is done."""
    add(counts, COUNTS * stage + 1, 1)


@merged
def wait(counts, stage, n_tasks):
    """Return when all tasks of `stage` are done. What they wrote is visible then."""
    wait_for(counts, COUNTS * stage + 1, n_tasks)


@helper
def wait_for(counts, at, n):
    """Return when the count at `at` is n or more. What was written before it was counted is visible then."""
    looks = 0
    while add(counts, at, 0) < n:
        looks += 1
        _pause(looks)


@merged
def is_stopped(counts):
    """Whether this call has been interrupted: to be asked once a block."""
    return look(counts, 0) >= ALL_DONE


def look(counts, index):
    """What stands in counts[index] just now."""
    return counts[index]


def add(counts, index, n):
    """counts[index] += n, seen by all threads at once; returns what was there before."""
    before = counts[index]
    counts[index] += n
    return before


def _pause(looks):
    """Leave the core to others, if this takes long."""


@in_place_of(add)
def _add_compiled(context, counts, index, n):
    def emit(context, builder, signature, arguments):
        return atomics.emit_add(builder, emit_item(context, builder, counts, *arguments[:2]), arguments[2])

    return types.int64(counts, types.int64, types.int64), emit


@in_place_of(look)
def _look_compiled(context, counts, index):
    def emit(context, builder, signature, arguments):
        return atomics.emit_look(builder, emit_item(context, builder, counts, *arguments))

    return types.int64(counts, types.int64), emit


@in_place_of(_pause)
def _pause_compiled(context, looks):
    def emit(context, builder, signature, arguments):
        return atomics.emit_pause(builder, arguments[0])

    return types.void(types.int64), emit
