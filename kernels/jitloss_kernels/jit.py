"""The only file that spells numba options.

``helper`` compiles a function that kernels call, ``EXACT`` keeps its arithmetic in the order it is written in;
``Kernel`` is an entry point that comes parallel and serial from one source; ``out_of_line`` keeps a function out of its
caller, ``in_line`` lets LLVM see through a call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from inspect import signature
from typing import Any

import numba
import numpy as np
from numba import extending
from numba.core import types
from numba.extending import intrinsic

from . import linkage
from .cache import DiskCache, warn_once
from .collector import uncollected
from .interrupts import uninterrupted

# Sums over features and classes may be added in any order (SIMD lanes each keep a part), products may be fused
# into them, and the sign of zero is nobody's business. `nnan`, `ninf`, `arcp` and `afn` stay off: the first two
# let LLVM delete the very NaN a user has to see, the others trade accuracy for next to nothing here.
REORDER = frozenset({"reassoc", "contract", "nsz"})

# Division by zero follows IEEE 754 instead of raising: nothing useful can be raised out of a parallel loop.
# nogil lets other Python threads run meanwhile. Bounds are checked where NUMBA_BOUNDSCHECK=1 asks for it.
# What numba makes besides, so that C can call a function, nobody here calls. Nor need references to arrays be counted:
# no kernel makes one, and the caller's outlive the call.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": set(REORDER),
    "no_cfunc_wrapper": True,
    "_nrt": False,
}

# What kernels call, Python cannot.
PART = OPTIONS | ({"pipeline_class": linkage.PartCompiler, "no_cpython_wrapper": True} if linkage.HIDES else {})

# Nothing is reordered: for arithmetic whose rounding errors cancel on purpose.
EXACT = PART | {"fastmath": {"contract"}}


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` for use inside kernels; it is cached on disk as a part of each of them.

    What is compiled for a number serves those who write it out, too: numba would compile it again for each such.
    """
    dispatcher = numba.njit(**PART)(function)
    if not numba.config.DISABLE_JIT:
        template = dispatcher.get_call_template
        dispatcher.get_call_template = lambda args, named: template(
            tuple(map(types.unliteral, args)), {name: types.unliteral(kind) for name, kind in named.items()}
        )
    return dispatcher


def merged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A helper that becomes a part of its caller before anything is typed: no compilation of its own to wait for."""
    return numba.njit(inline="always", **OPTIONS)(function)


def overload(function: Callable[..., Any], options: dict[str, Any] = PART, **more: Any) -> Any:
    """numba's ``overload``, for functions that kernels call: what is compiled in place of `function`."""
    return extending.overload(function, jit_options=options, **more)


def in_place_of(plain: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what ``intrinsic`` would: it stands for a call of `plain`, and has no function of its own to compile.

    Where Python runs the source, `plain` is what runs.
    """

    def install(define: Callable[..., Any]) -> Callable[..., Any]:
        def typer(context: Any) -> Callable[..., Any]:
            def typed(*given: Any) -> Any:
                return define(context, *given)[0]

            typed.pysig = signature(plain)  # type: ignore[attr-defined]
            return typed

        def lower(context: Any, builder: Any, found: Any, arguments: Any) -> Any:
            _, emit = define(context.typing_context, *found.args)
            return emit(context, builder, found, arguments)

        if not numba.config.DISABLE_JIT:
            extending.type_callable(plain)(typer)
            extending.lower_builtin(plain, types.VarArg(types.Any))(lower)
        return define

    return install


class Kernel:
    """A function that is compiled on first use, in any of three ways from the same source.

    Attributes
    ----------
    serial : the kernel with its ``prange`` as an ordinary loop; starts no threads, ever.
    parallel : the kernel with its ``prange`` spread over numba's pool. Call it through ``threads.launch``.
    addressed : the serial kernel for others to call by its address, see ``pointers``: Python cannot.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.python = function
        self.__doc__ = function.__doc__

    @cached_property
    def serial(self) -> Callable[..., Any]:
        return self._compile(parallel=False)

    @cached_property
    def parallel(self) -> Callable[..., Any]:
        return self._compile(parallel=True)

    @cached_property
    def addressed(self) -> Callable[..., Any]:
        return self._compile(parallel=False, no_cpython_wrapper=True)

    def _compile(self, **more: bool) -> Callable[..., Any]:
        if numba.config.DISABLE_JIT:  # Python runs the source, as silent about NaN as machine code is
            return np.errstate(invalid="ignore", over="ignore")(self.python)
        dispatcher = numba.njit(pipeline_class=linkage.KernelCompiler, **OPTIONS, **more)(self.python)
        dispatcher.compile = uninterrupted(uncollected(dispatcher.compile))
        if linkage.HIDES:
            DiskCache.attach(dispatcher)
        else:
            warn_once("compiled code is not kept on disk: with this numba it could differ from the first run's")
        return dispatcher


if numba.config.DISABLE_JIT:

    def out_of_line() -> None:
        """Nothing to keep out of line: Python runs the source."""

    def in_line() -> None:
        """Nothing to see through: Python runs the source."""

else:

    @intrinsic
    def out_of_line(typingctx):
        """Tell LLVM not to inline the function that calls this: its loops have the registers to themselves."""

        return types.void(), _attribute("noinline")

    @intrinsic
    def in_line(typingctx):
        """Tell LLVM to inline the function that calls this, whatever its size: constants reach its loops."""
        return types.void(), _attribute("alwaysinline")

    def _attribute(name: str) -> Callable[..., Any]:
        """Code for an intrinsic that only marks the function it stands in."""

        def codegen(context, builder, signature, arguments):
            builder.function.attributes.add(name)
            return context.get_dummy_value()

        return codegen
