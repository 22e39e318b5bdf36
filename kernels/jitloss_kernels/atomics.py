"""Numbers that several threads read and write at once, by address, and ways to wait for one of them to change."""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import merged

# Who waits looks so many times, a quarter of a millisecond, then sleeps in between: the scheduler may have put the
# thread it waits for on this very core, or behind one of another library that spins. To let others run instead
# (sched_yield) costs a thread its place in the queue on today's Linux: where a library's threads spin that way, it
# comes back milliseconds later.
SPINS = 1250
_NAP = 20  # microseconds
_INT = ir.IntType(32)
# Windows has no nap shorter than a millisecond, and its queue forgives.
_SLEEP = ("usleep", _INT(_NAP)) if sys.platform != "win32" else ("SwitchToThread",)
# What a core is told while it waits, for its own sake: about twenty nanoseconds each.
_RELAXES = 10
_RELAX: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("x86_64", "amd64"), ("llvm.x86.sse2.pause",)),
    **dict.fromkeys(("aarch64", "arm64"), ("llvm.aarch64.isb", _INT(15))),  # its own hint passes no time; not tried
}


@merged
def pause(looks):
    """What to do before a number is looked at again, after so many looks."""
    if looks > SPINS:
        _sleep()
    else:
        _relax()


@intrinsic
def _relax(typingctx):
    """Pass a fifth of a microsecond."""

    def codegen(context, builder, signature, arguments):
        name, *given = _RELAX.get(platform.machine().lower(), (None,))
        for _ in range(_RELAXES if name else 0):
            builder.call(_function(builder, name, ir.VoidType(), [value.type for value in given]), given)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def core(typingctx):
    """The number of the core this thread is on; -1 where nobody says."""

    def codegen(context, builder, signature, arguments):
        if not sys.platform.startswith("linux"):
            return ir.IntType(64)(-1)
        found = builder.call(_function(builder, "sched_getcpu", _INT, ()), ())
        return builder.sext(found, ir.IntType(64))

    return types.int64(), codegen


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
def _sleep(typingctx):
    """Leave the core to others for a moment."""

    def codegen(context, builder, signature, arguments):
        name, *given = _SLEEP
        builder.call(_function(builder, name, _INT, [value.type for value in given]), given)
        return context.get_dummy_value()

    return types.void(), codegen


def _place(builder, address):
    return builder.inttoptr(address, ir.IntType(64).as_pointer())


def _function(builder, name, returns, takes):
    """A function of LLVM or of the system."""
    module = builder.module
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(returns, takes), name)
