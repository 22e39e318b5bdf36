"""Numbers that several threads read and write at once, by address, and ways to wait for one of them to change."""

from __future__ import annotations

import sys

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import merged

# Who waits looks so many times, a dozen microseconds; so many times more, letting others run in between, a quarter of a
# millisecond; then it sleeps in between, for the scheduler may have put the thread it waits for behind one of another
# library that spins, and moves it only to a core that is idle.
_SPINS, _YIELDS = 2000, 1000
_NAP = 30  # microseconds
_INT = ir.IntType(32)
_HAS_NAPS = sys.platform != "win32"  # which has none shorter than a millisecond


@merged
def pause(looks):
    """What to do before a number is looked at again, after so many looks."""
    if looks > _SPINS + _YIELDS and _HAS_NAPS:
        _usleep(_NAP)
    elif looks > _SPINS:  # whoever is waited for may need this very core
        yield_core()


@intrinsic
def look(typingctx, address):
    """What stands there just now."""

    def codegen(context, builder, signature, arguments):
        return builder.load_atomic(_place(builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def add(typingctx, address, n):
    """Add n, seen by all threads at once; returns what was there before."""

    def codegen(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _place(builder, arguments[0]), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def swap(typingctx, address, before, after):
    """Write `after` if `before` is what stands there; whether it was."""

    def codegen(context, builder, signature, arguments):
        address, before, after = arguments
        found = builder.cmpxchg(_place(builder, address), before, after, "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen


@intrinsic
def yield_core(typingctx):
    """Let another thread run, if one waits for this core."""
    return types.void(), _calling("SwitchToThread" if sys.platform == "win32" else "sched_yield")


@intrinsic
def _usleep(typingctx, microseconds):
    return types.void(types.int32), _calling("usleep", _INT)


def _place(builder, address):
    return builder.inttoptr(address, ir.IntType(64).as_pointer())


def _calling(name, *takes):
    """Code that calls a function of the system, which returns an int."""

    def codegen(context, builder, signature, arguments):
        module = builder.module
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(_INT, takes), name)
        builder.call(function, arguments)
        return context.get_dummy_value()

    return codegen
