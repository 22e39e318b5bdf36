"""Functions that exist twice: in plain Python, and as LLVM IR that compiled kernels call by its address.

What Python runs, and what the bounds-checked build compiles, is the plain function. Everywhere else a call of it is a
call of the IR's machine code. That is made without the rest of numba's compiler, once for all kernels, and kept on
disk (``cache``). A plain function takes flat arrays and numbers, in this order::

    def some_tile(tile, height, a, a0, n, out, o0): ...

``tile`` is where the code is: an address that ``Native.address`` has returned. If the next argument is called `height`,
it is the address of a table of codes, one for each height, and ``Native.table`` has returned it. An array and the
offset that follows it reach the code as one address, all other numbers as 64-bit integers, floats as their bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu_options import FastMathOptions
from numba.core.fastmathpass import rewrite_module
from numba.extending import intrinsic

from . import cache
from .interrupts import uninterrupted
from .jit import EXACT, OPTIONS, in_place_of, overload
from .linkage import HIDES, OnceOptimized
from .pointers import by_address
from .simd import BYTE, INDEX, Vectors

_ELEMENTS = {"uint8": BYTE, "float32": ir.FloatType(), "float64": ir.DoubleType()}
# More than the height of any tile.
_TABLE = 16


class Native:
    """A function of so many numbers, written as LLVM IR: one for all heights of a tile, or one for each.

    `emit` is given ``Vectors`` of the items that are computed with, the IR types of those that are converted, the
    height as a Python int if there is one, and the values of all other arguments; it returns nothing. `exact`: nothing
    is reordered.
    """

    def __init__(
        self, name: str, n_numbers: int, emit: Callable[..., None], by_height: bool = False, exact: bool = False
    ) -> None:
        self.name, self._n_numbers, self._emit, self._by_height = name, n_numbers, emit, by_height
        self._fastmath = FastMathOptions(EXACT["fastmath"] if exact else OPTIONS["fastmath"])
        self._libraries: dict[tuple[Any, ...], Any] = {}
        self._addresses: dict[tuple[Any, ...], int] = {}
        self._tables: dict[tuple[str, ...], np.ndarray] = {}

    def address(self, *items: str, height: int | None = None) -> int:
        """Where the code is, for arrays of these items: of inputs that are converted, then of all others.

        Compiled, or loaded from disk, the first time; 0 where nothing is called by address.
        """
        if not by_address():
            return 0
        if (items, height) not in self._addresses:
            self._make(items, height)
        return self._addresses[items, height]

    def table(self, *items: str, heights: Iterable[int]) -> int:
        """Where a table is that holds the addresses of the codes for these heights."""
        if not by_address():
            return 0
        table = self._tables.setdefault(items, np.zeros(_TABLE, np.int64))
        for height in heights:
            table[height] = self.address(*items, height=height)
        return int(table.ctypes.data)

    def libraries(self) -> list[Any]:
        """What has been compiled or loaded in this process."""
        return list(self._libraries.values())

    @uninterrupted
    def _make(self, items: tuple[str, ...], height: int | None) -> None:
        """Compile the code, or load it; once for all threads."""
        from numba.core.registry import cpu_target

        with global_compiler_lock:
            if (items, height) in self._addresses:
                return
            codegen = cpu_target.target_context.codegen()
            name = ".".join(map(str, ("jitloss", self.name, *items, *([] if height is None else [height]))))
            place = self._place(name, codegen)
            library = cache.load(place, lambda *state: codegen.unserialize_library(state))
            if library is None:
                library = OnceOptimized(codegen, name) if HIDES else codegen.create_library(name)
                library.enable_object_caching()
                library.add_ir_module(self._module(library.create_ir_module(name), items, height))
                library.finalize()
                cache.save(place, library.serialize_using_object_code)
            self._libraries[items, height] = library
            self._addresses[items, height] = int(library.get_pointer_to_function(name))

    def _place(self, name: str, codegen: Any) -> Path | None:
        """Its file. None for what is spelled outside this package, whose sources are no part of a file's name."""
        inside = self._emit.__module__.partition(".")[0] == __package__
        return cache.place_of(f"native.{self.name}", name, codegen.magic_tuple()) if cache.HOOK and inside else None

    def _module(self, module: ir.Module, items: tuple[str, ...], height: int | None) -> ir.Module:
        """The empty `module` filled with one function that has its name."""
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INDEX] * self._n_numbers), module.name)
        builder = ir.IRBuilder(function.append_basic_block())
        *converted, element = (_ELEMENTS[item] for item in items)
        literal = [height] if self._by_height else []
        self._emit(Vectors(builder, element), *converted, *literal, *function.args)
        builder.ret_void()
        rewrite_module(module, self._fastmath)
        return module


def native(plain: Callable[..., None]) -> Callable[[Callable[..., None]], Native]:
    """Decorate what emits the IR of the `plain` function; from then on kernels that call that call the IR's code."""
    names = list(signature(plain).parameters)
    by_height = names[1] == "height"
    n_offsets = sum(second == f"{first[0]}0" for first, second in pairwise(names))

    def enter(emit: Callable[..., None]) -> Native:
        return Native(plain.__name__, len(names) - 1 - n_offsets - by_height, emit, by_height)

    def emit_call(context: Any, builder: Any, found: Any, arguments: Any) -> Any:
        """A call of the code, in the place of one of the plain function."""
        (where, *values), (_, *kinds) = arguments, found.args
        if by_height:
            table = builder.inttoptr(where, INDEX.as_pointer())
            where = builder.load(builder.gep(table, [context.cast(builder, values[0], kinds[0], types.int64)]))
        return _call(context, builder, where, values[by_height:], kinds[by_height:])

    if config.BOUNDSCHECK:
        overload(plain, strict=False)(lambda *given: plain)
    else:
        in_place_of(plain)(lambda context, *given: (types.void(*given), emit_call))
    return enter


@intrinsic
def call_code(typingctx, address, given):
    """Call the code at `address` with a tuple of numbers, floats and arrays, each of these with an offset after it."""

    def lowered(context, builder, signature, arguments):
        values = cgutils.unpack_tuple(builder, arguments[1], len(given))
        return _call(context, builder, arguments[0], values, given.types)

    return types.void(types.int64, given), lowered


def _call(context: Any, builder: Any, where: Any, values: Any, kinds: Any) -> Any:
    """A call of the code at `where`: an array and its offset as one address, a float as the bits of a float64."""
    passed, array = [], None
    for value, kind in zip(values, kinds, strict=True):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value).data
        elif isinstance(kind, types.Float):
            passed.append(builder.bitcast(context.cast(builder, value, kind, types.float64), INDEX))
        else:
            number = context.cast(builder, value, kind, types.int64)
            passed.append(number if array is None else builder.ptrtoint(builder.gep(array, [number]), INDEX))
            array = None
    code = ir.FunctionType(ir.VoidType(), [INDEX] * len(passed))
    builder.call(builder.inttoptr(where, code.as_pointer()), passed)
    return context.get_dummy_value()
