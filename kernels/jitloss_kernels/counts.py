"""What threads that share the tasks of a kernel count together: tasks that were claimed, tasks that are finished.

An interrupt sets all counts to `ALL_DONE`: nothing is left to claim, nothing to wait for.
"""

from __future__ import annotations

import sys

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from .jit import merged

# A count of claimed and one of finished tasks for each stage.
COUNTS = 2
# More tasks than any stage has: a kernel whose counts stand there stops.
ALL_DONE = 1 << 40
# Who waits looks so many times, a dozen microseconds; so many times more, letting others run in between, a quarter of a
# millisecond; then it sleeps in between, for the scheduler may have put the thread it waits for behind one of another
# library that spins, and moves it only to a core that is idle.
_SPINS, _YIELDS = 2000, 1000
_NAP = 30  # microseconds
_INT = ir.IntType(32)


@merged
def claim(counts, stage):
    """The number of the next task of `stage`, whether or not there is such a task."""
    return _add(counts, COUNTS * stage, 1)


@merged
def finish(counts, stage):
    """Say that a task of `stage` is done."""
    _add(counts, COUNTS * stage + 1, 1)


@merged
def wait(counts, stage, n_tasks):
    """Return when all tasks of `stage` are done. What they wrote is visible then."""
    looks = 0
    while _add(counts, COUNTS * stage + 1, 0) < n_tasks:
        looks += 1
        if looks > _SPINS + _YIELDS:
            _nap()
        elif looks > _SPINS:  # whoever has the task may need this very core
            _yield_core()


@merged
def is_stopped(counts):
    """Whether this call has been interrupted: to be asked once a block."""
    return _peek(counts) >= ALL_DONE


def _peek(counts):
    """What stands in the first of the counts just now."""
    return counts[0]


def _add(counts, index, n):
    """counts[index] += n, seen by all threads at once; returns what was there before."""
    before = counts[index]
    counts[index] += n
    return before


def _yield_core():
    """Let another thread run."""


def _nap():
    """Leave the core for a moment."""


@overload(_add)
def _add_compiled(counts, index, n):
    return lambda counts, index, n: _add_atomically(counts, index, n)


@overload(_peek)
def _peek_compiled(counts):
    return lambda counts: _load_atomically(counts)


@overload(_yield_core)
def _yield_core_compiled():
    return lambda: _system_yield()


@overload(_nap)
def _nap_compiled():
    if sys.platform == "win32":  # has no naps shorter than a millisecond
        return lambda: _yield_core()
    return lambda: _usleep(_NAP)


@intrinsic
def _add_atomically(typingctx, counts, index, n):
    def codegen(context, builder, signature, arguments):
        array, index, n = arguments
        place = builder.gep(context.make_array(counts)(context, builder, array).data, [index])
        return builder.atomic_rmw("add", place, n, "seq_cst")

    return types.int64(counts, types.int64, types.int64), codegen


@intrinsic
def _load_atomically(typingctx, counts):
    def codegen(context, builder, signature, arguments):
        place = context.make_array(counts)(context, builder, arguments[0]).data
        return builder.load_atomic(place, "monotonic", 8)

    return types.int64(counts), codegen


@intrinsic
def _system_yield(typingctx):
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
    return types.void(), _calling(name)


@intrinsic
def _usleep(typingctx, microseconds):
    return types.void(types.int32), _calling("usleep", _INT)


def _calling(name, *takes):
    """Code that calls a function of the system, which returns an int."""

    def codegen(context, builder, signature, arguments):
        module = builder.module
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(_INT, takes), name)
        builder.call(function, arguments)
        return context.get_dummy_value()

    return codegen
