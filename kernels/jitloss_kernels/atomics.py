"""Numbers that several threads read and write at once, by address, and ways to wait for one of them to change."""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Who waits looks so many times, a quarter of a millisecond, then sleeps in between: the scheduler may have put the
# thread it waits for on this very core, or behind one of another library that spins. To let others run instead
# (sched_yield) costs a thread its place in the queue on today's Linux: where a library's threads spin that way, it
# comes back milliseconds later.
SPINS = 1250
_NAP = 20  # microseconds
_INT, _VOID = ir.IntType(32), ir.VoidType()
# Windows has no nap shorter than a millisecond, and its queue forgives.
_SLEEP = ("usleep", _INT(_NAP)) if sys.platform != "win32" else ("SwitchToThread",)
# What a core is told while it waits, for its own sake: about twenty nanoseconds each.
_RELAXES = 10
_RELAX: tuple[Any, ...] = {
    **dict.fromkeys(("x86_64", "amd64"), ("llvm.x86.sse2.pause",)),
    **dict.fromkeys(("aarch64", "arm64"), ("llvm.aarch64.isb", _INT(15))),  # its own hint passes no time; not tried
}.get(platform.machine().lower(), ())


@intrinsic
def pause(typingctx, looks):
    """What to do before a number is looked at again, after so many looks: pass a fifth of a microsecond, or sleep."""
    return types.void(types.int64), lambda context, builder, signature, arguments: emit_pause(builder, arguments[0])


def emit_pause(builder, looks):
    """The same in a function that is being built."""
    with builder.if_else(builder.icmp_signed(">", looks, looks.type(SPINS))) as (sleeping, spinning):
        with sleeping:
            _run(builder, *_SLEEP, returns=_INT)
        with spinning:
            for _ in range(_RELAXES if _RELAX else 0):
                _run(builder, *_RELAX)


@intrinsic
def core(typingctx):
    """The number of the core this thread is on; -1 where nobody says."""

    def codegen(context, builder, signature, arguments):
        if not sys.platform.startswith("linux"):
            return ir.IntType(64)(-1)
        return builder.sext(_run(builder, "sched_getcpu", returns=_INT), ir.IntType(64))

    return types.int64(), codegen


@intrinsic
def look(typingctx, address):
    """What stands there just now."""

    def codegen(context, builder, signature, arguments):
        return emit_look(builder, _place(builder, arguments[0]))

    return types.int64(types.int64), codegen


def emit_look(builder, place):
    """The same in a function that is being built, for a pointer."""
    return builder.load_atomic(place, "acquire", 8)


@intrinsic
def add(typingctx, address, n):
    """Add n, seen by all threads at once; returns what was there before."""

    def codegen(context, builder, signature, arguments):
        return emit_add(builder, _place(builder, arguments[0]), arguments[1])

    return types.int64(types.int64, types.int64), codegen


def emit_add(builder, place, n):
    """The same in a function that is being built, for a pointer."""
    return builder.atomic_rmw("add", place, n, "seq_cst")


@intrinsic
def swap(typingctx, address, before, after):
    """Write `after` if `before` is what stands there; whether it was. Most often it is not, and looking is cheaper."""

    def codegen(context, builder, signature, arguments):
        address, before, after = arguments
        place, start = _place(builder, address), builder.block
        likely = builder.icmp_signed("==", emit_look(builder, place), before)
        with builder.if_then(likely):
            tried = builder.block
            swapped = builder.extract_value(builder.cmpxchg(place, before, after, "seq_cst", "seq_cst"), 1)
        result = builder.phi(swapped.type)
        result.add_incoming(likely, start)
        result.add_incoming(swapped, tried)
        return result

    return types.boolean(types.int64, types.int64, types.int64), codegen


def _place(builder, address):
    return builder.inttoptr(address, ir.IntType(64).as_pointer())


def _run(builder, name, *given, returns=_VOID):
    """Call a function of LLVM or of the system."""
    module, takes = builder.module, [value.type for value in given]
    function = module.globals.get(name) or ir.Function(module, ir.FunctionType(returns, takes), name)
    return builder.call(function, given)
