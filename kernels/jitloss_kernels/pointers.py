"""Calling compiled code by its address.

What is called this way is compiled once, whoever calls it: not a second time for each of its callers (numba copies a
callee's code into every caller, and theirs), and never in two versions that differ in their last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from .jit import Kernel, helper, overload


def address_of(kernel: Kernel, signature: tuple[Any, ...]) -> int:
    """The address of `kernel` compiled for arguments of these numba types; 0 where nothing is compiled."""
    if config.DISABLE_JIT:
        return 0
    compiled = _compiled(kernel.addressed, signature)
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def entry_of(kernel: Kernel, signature: tuple[Any, ...]) -> Callable[..., Any]:
    """The serial `kernel`, for Python to call with arguments of these numba types and no others.

    numba's dispatcher looks at every argument of every call to find this; for a small problem that is half of the time.
    """
    if config.DISABLE_JIT:
        return kernel.serial
    return cast(Callable[..., Any], _compiled(kernel.serial, signature).entry_point)


def outlined(kernel: Kernel) -> Callable[..., None]:
    """What kernels call to run `kernel`, at the address that comes before its arguments."""

    def run(address, *arguments):
        kernel.python(*arguments)

    @overload(run)
    def _run_compiled(address, *arguments):
        if by_address():
            return lambda address, *arguments: call(address, arguments)
        inner = helper(kernel.python)
        return lambda address, *arguments: inner(*arguments)  # so that an IndexError reaches the caller

    return run


def _compiled(dispatcher: Any, signature: tuple[Any, ...]) -> Any:
    dispatcher.compile(signature)
    return dispatcher.overloads[signature]


def emit_item(context, builder, kind, array, offset):
    """A pointer to an item of a flat array of this `kind`, in a function that is being built."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


# Arrays that kernels only look into now and then come as addresses: numba takes every array of a call apart. Where
# nothing is called by address (JIT disabled, bounds checked) they come as arrays. An address of 0, or an empty array,
# stands for none.


def by_address() -> bool:
    """Whether arrays come as addresses."""
    return not (config.DISABLE_JIT or config.BOUNDSCHECK)


def given(where):
    """Whether there is an array."""
    return len(where) > 0


def load(where, index, like):
    """Item `index` of an array of items of the type of `like`."""
    return where[index]


def store(where, index, item):
    """Write to an array of items of the type of `item`."""
    where[index] = item


@overload(given)
def _given_compiled(where):
    if isinstance(where, types.Array):
        return given
    return lambda where: where != 0


@overload(load)
def _load_compiled(where, index, like):
    if isinstance(where, types.Array):
        return load
    return lambda where, index, like: _load(where, index, like)


@overload(store)
def _store_compiled(where, index, item):
    if isinstance(where, types.Array):
        return store
    return lambda where, index, item: _store(where, index, item)


@intrinsic
def _load(typingctx, where, index, like):
    def codegen(context, builder, signature, arguments):
        return builder.load(_item(context, builder, arguments, like))

    return like(types.int64, types.int64, like), codegen


@intrinsic
def _store(typingctx, where, index, item):
    def codegen(context, builder, signature, arguments):
        builder.store(arguments[2], _item(context, builder, arguments, item))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, item), codegen


def _item(context, builder, arguments, item):
    """The place of an item in memory."""
    where, index, _ = arguments
    return builder.gep(builder.inttoptr(where, context.get_value_type(item).as_pointer()), [index])


@intrinsic
def call(typingctx, address, arguments):
    """Call the function at `address`, which returns nothing and does not raise; numbers are passed as int64."""

    def codegen(context, builder, signature, given):
        where, packed = given
        values = cgutils.unpack_tuple(builder, packed, len(arguments))
        _call(context, builder, where, arguments.types, values)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), codegen


@intrinsic
def call_shared(typingctx, helpers, places, n_places, share, address, arguments):
    """Have the function at `share`, of ``posts.py``, call the function at `address` on this thread and on helpers.

    The second of the `arguments` is the number of the member who calls: 0, or a helper's own. `share` knows nothing of
    them, so it is compiled once for all kernels. The job it gets is a record on the stack: a trampoline made here, two
    numbers of its own, the address and the arguments.
    """

    def codegen(context, builder, signature, given):
        *values, share, where, packed = given
        index = ir.IntType(64)
        job_type = ir.LiteralStructType([index, index, index, where.type, packed.type])
        job = cgutils.alloca_once(builder, job_type)
        trampoline = _trampoline(context, builder.module, builder.function.name, job_type, arguments)
        fields = [builder.ptrtoint(trampoline, index), index(0), index(-1), where, packed]
        for number, value in enumerate(fields):
            builder.store(value, cgutils.gep_inbounds(builder, job, 0, number))
        _call(context, builder, share, (types.int64,) * 4, [*values, builder.ptrtoint(job, index)])
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 5, arguments), codegen


def _passed(given):
    return tuple(types.int64 if isinstance(t, (types.Integer, types.Boolean)) else t for t in given)


def _call(context, builder, where, given, values):
    """Call the numba function at the address `where` with values of the `given` types; what it returns is ignored."""
    passed, convention = _passed(given), context.call_conv
    values = [context.cast(builder, *value) for value in zip(values, given, passed, strict=True)]
    function = builder.inttoptr(where, convention.get_function_type(types.none, passed).as_pointer())
    convention.call_function(builder, function, types.none, passed, values)


def _trampoline(context, module, caller, job_type, arguments):
    """A function of an address and a member: calls what the job there says with the arguments it holds."""
    convention = context.call_conv
    function_type = convention.get_function_type(types.none, (types.int64,) * 2)
    function = ir.Function(module, function_type, module.get_unique_name(f"{caller}.member"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    address, member = convention.get_arguments(function)
    job = builder.load(builder.inttoptr(address, job_type.as_pointer()))
    counts, _, *others = cgutils.unpack_tuple(builder, builder.extract_value(job, 4), len(arguments))
    values = [counts, member, *others]
    _call(context, builder, builder.extract_value(job, 3), arguments.types, values)
    builder.ret(function_type.return_type(0))  # numba's status for "returned normally"
    return function
