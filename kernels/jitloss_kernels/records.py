"""Plans as kernels see them: by address. A number is loaded where it is asked for.

numba takes a NamedTuple apart at every call, number by number, and puts it together again wherever it gets another
name: for plans of thirty numbers it takes half a second longer to compile a kernel, and half a microsecond to call it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, get_type_hints

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model

from .jit import in_place_of

_INDEX = ir.IntType(64)


def opener(plan: type) -> Callable[[Any], Any]:
    """What a kernel calls to have a plan of this class: a NamedTuple of int, bool and other such classes."""

    def opened(given):
        return given

    @in_place_of(opened)
    def _opened_compiled(context, given):
        return PlanType(plan)(types.int64), lambda context, builder, signature, arguments: arguments[0]

    return opened


@lru_cache
def record(plan: tuple[Any, ...]) -> np.ndarray:
    """The numbers of a plan in memory, those of plans in it in their place."""
    written = np.array(_numbers(plan), np.int64)
    written.flags.writeable = False
    return written


def handed(plan: tuple[Any, ...], recorded: np.ndarray) -> Any:
    """What a kernel is given in place of a plan: the address of its `record`, which has to live as long."""
    return plan if config.DISABLE_JIT else int(recorded.ctypes.data)


def _numbers(plan: tuple[Any, ...]) -> list[int]:
    return [n for field in plan for n in (_numbers(field) if isinstance(field, tuple) else [int(field)])]


@cache
def _fields(plan: type) -> dict[str, tuple[int, Any]]:
    """Where each field of a plan of this class begins, in numbers, and its numba type."""
    fields, at = {}, 0
    for name, hint in get_type_hints(plan).items():
        fields[name] = at, {int: types.int64, bool: types.boolean}.get(hint) or PlanType(hint)
        at += _length(hint)
    return fields


@cache
def _length(hint: type) -> int:
    """How many numbers a field of this class is made of."""
    return sum(map(_length, get_type_hints(hint).values())) if issubclass(hint, tuple) else 1


class PlanType(types.Type):
    """The numba type of a plan of some class."""

    def __init__(self, plan: type) -> None:
        self.plan = plan
        super().__init__(name=f"Plan({plan.__module__}.{plan.__qualname__})")


@register_model(PlanType)
class _Model(models.PrimitiveModel):
    """An address."""

    def __init__(self, manager, plan):
        super().__init__(manager, plan, _INDEX)


@infer_getattr
class _Fields(AttributeTemplate):
    """Which type a field has."""

    key = PlanType

    def generic_resolve(self, plan, name):
        return _fields(plan.plan)[name][1] if name in _fields(plan.plan) else None


@lower_getattr_generic(PlanType)
def _load(context, builder, plan, address, name):
    at, kind = _fields(plan.plan)[name]
    place = builder.add(address, _INDEX(8 * at))
    if isinstance(kind, PlanType):
        return place
    loaded = builder.load(builder.inttoptr(place, _INDEX.as_pointer()))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))  # whatever is written in between
    return builder.icmp_signed("!=", loaded, _INDEX(0)) if kind == types.boolean else loaded
