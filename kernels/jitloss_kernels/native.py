"""Functions that exist twice: in plain Python, and as LLVM IR that compiled kernels call by its address.

What Python runs, and what the bounds-checked build compiles, is the plain function. Everywhere else a call of it is a
call of the IR's machine code. That is made without the rest of numba's compiler, once for all kernels, and kept on
disk (``cache``). A plain function takes flat arrays and numbers, in this order::

    def some_tile(tile, height, a, a0, n, out, o0): ...

``tile`` is where the code is: an address that ``Native.address`` has returned. If the next argument is called `height`,
it is the address of a table of codes, one for each height, and ``Native.table`` has returned it. An array and the
offset that follows it reach the code as one address, all other numbers as 64-bit integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from itertools import pairwise
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu_options import FastMathOptions
from numba.core.fastmathpass import rewrite_module
from numba.core.typing import signature as typed
from numba.extending import lower_builtin, type_callable

from . import cache
from .interrupts import uninterrupted
from .jit import REORDER, overload
from .pointers import by_address
from .simd import BYTE, INDEX, Vectors

_ELEMENTS = {"uint8": BYTE, "float32": ir.FloatType(), "float64": ir.DoubleType()}
# More than the height of any tile.
_TABLE = 16


class Native:
    """The code of a plain function; see ``native``."""

    def __init__(self, plain: Callable[..., None], emit: Callable[..., None]) -> None:
        names = list(signature(plain).parameters)
        self.name, self._emit = plain.__name__, emit
        self._by_height = names[1] == "height"
        offsets = sum(second == f"{first[0]}0" for first, second in pairwise(names))
        self._n_numbers = len(names) - 1 - offsets - self._by_height
        self._libraries: dict[tuple[Any, ...], Any] = {}  # their code goes when they do
        self._tables: dict[tuple[str, ...], np.ndarray] = {}

    def address(self, *items: str, height: int | None = None) -> int:
        """Where the code is, for arrays of these items: of inputs that are converted, then of all others.

        Compiled, or loaded from disk, the first time; 0 where nothing is called by address.
        """
        if not by_address():
            return 0
        with global_compiler_lock:
            if (items, height) not in self._libraries:
                self._libraries[items, height] = self._made(items, height)
            library = self._libraries[items, height]
            return int(library.get_pointer_to_function(library.name))

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
    def _made(self, items: tuple[str, ...], height: int | None) -> Any:
        from numba.core.registry import cpu_target

        codegen = cpu_target.target_context.codegen()
        name = ".".join(map(str, ("jitloss", self.name, *items, *([] if height is None else [height]))))
        place = cache.place_of(name, codegen.magic_tuple()) if cache.HOOK else None
        library = cache.load(place, lambda *state: codegen.unserialize_library(state))
        if library is None:
            library = codegen.create_library(name)
            library.enable_object_caching()
            library.add_ir_module(self._module(library.create_ir_module(name), items, height))
            library.finalize()
            cache.save(place, library.serialize_using_object_code)
        return library

    def _module(self, module: ir.Module, items: tuple[str, ...], height: int | None) -> ir.Module:
        """The empty `module` filled with one function that has its name."""
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INDEX] * self._n_numbers), module.name)
        builder = ir.IRBuilder(function.append_basic_block())
        *converted, element = (_ELEMENTS[item] for item in items)
        literal = [height] if self._by_height else []
        self._emit(Vectors(builder, element), *converted, *literal, *function.args)
        builder.ret_void()
        rewrite_module(module, FastMathOptions(set(REORDER)))
        return module

    def call(self, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """A call of the code, in the place of one of the plain function."""
        (where, *numbers), (_, *given) = arguments, signature.args
        if self._by_height:
            table = builder.inttoptr(where, INDEX.as_pointer())
            where = builder.load(builder.gep(table, [context.cast(builder, numbers[0], given[0], types.int64)]))
            numbers, given = numbers[1:], given[1:]
        passed, array = [], None
        for number, kind in zip(numbers, given, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, number).data
                continue
            number = context.cast(builder, number, kind, types.int64)
            passed.append(number if array is None else builder.ptrtoint(builder.gep(array, [number]), INDEX))
            array = None
        code = ir.FunctionType(ir.VoidType(), [INDEX] * self._n_numbers)
        builder.call(builder.inttoptr(where, code.as_pointer()), passed)
        return context.get_dummy_value()


def native(plain: Callable[..., None]) -> Callable[[Callable[..., None]], Native]:
    """Decorate what emits the IR of the `plain` function.

    It is given ``Vectors`` of the items that are computed with, the IR types of those that are converted, the height as
    a Python int if there is one, and the values of all other arguments; a call of ``return`` is added.
    """

    def enter(emit: Callable[..., None]) -> Native:
        code = Native(plain, emit)
        if config.BOUNDSCHECK:
            overload(plain, strict=False)(lambda *given: plain)
        elif not config.DISABLE_JIT:

            def typer(*given: Any) -> Any:
                return typed(types.void, *given)

            typer.pysig = signature(plain)  # type: ignore[attr-defined]
            type_callable(plain)(lambda context: typer)
            lower_builtin(plain, types.VarArg(types.Any))(code.call)
        return code

    return enter
