"""numba's steps from bytecode to types, without what kernels have no use for: a fifth of the time of a first call.

numba goes over each function a dozen times in search of closures, `with` blocks, array expressions and tuples to unroll
loops over, and does so with every function that is merged into another, before and after. Kernels have none of these.
And it asks anew at every `+` what the sum of two integers is, though it takes a hundred microseconds to answer.
"""

from __future__ import annotations

import operator
from typing import Any, ClassVar

from numba.core import ir, types
from numba.core.compiler import DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.inline_closurecall import InlineWorker
from numba.core.untyped_passes import InlineInlinables

# By name: what another numba does not have it need not leave out.
_SPARED = {
    "WithLifting",
    "InlineClosureLikes",
    "RewriteSemanticConstants",
    "RewriteDynamicRaises",
    "MakeFunctionToJitFunction",
    "InlineInlinables",  # for which Merge stands, further to the front
    "FindLiterallyCalls",
    "LiteralUnroll",
    "NopythonRewrites",
}
# What makes a function of bytecode: all that has to be done with one before it is merged.
_FIRST = ("TranslateByteCode", "FixupArgs", "IRProcessing")
_OPERANDS = (types.Number, types.Boolean, types.Array, types.SliceType)


def spare(pipeline: PassManager) -> None:
    """Take out of one of numba's pipelines what a serial kernel does not need."""
    others = [step for step in pipeline.passes if step[0].__name__ not in (*_FIRST, *_SPARED)]
    pipeline.passes = [*_first(pipeline), *others]


def _first(pipeline: PassManager) -> list[Any]:
    """What is done with every function, whether it is merged or others are merged into it."""
    return [*(step for step in pipeline.passes if step[0].__name__ in _FIRST), (Merge, "merge functions")]


@register_pass(mutates_CFG=True, analysis_only=False)
class Merge(InlineInlinables):
    """numba's own step, in which the functions that are merged go through the first steps alone."""

    _name = "merge"

    def _do_work(self, state: Any, work_list: Any, block: Any, i: int, call: Any, worker: Any) -> Any:
        worker.__class__ = _Worker
        worker._compiler_pipeline = _merged_pipeline
        return super()._do_work(state, work_list, block, i, call, worker)


class _Worker(InlineWorker):
    """What merges functions, each of them read for one call and no other."""

    def run_untyped_passes(self, *given: Any) -> Any:
        read = super().run_untyped_passes(*given)
        for block in read.blocks.values():
            block.__class__ = _ReadForOne
        return read


class _ReadForOne(ir.Block):
    """A block that is not copied, as it would be for the next call, and for nobody."""

    def __deepcopy__(self, memo: Any) -> _ReadForOne:
        return self


def _merged_pipeline(state: Any) -> PassManager:
    """All that a function goes through before it is merged."""
    pipeline: PassManager = DefaultPassBuilder.define_untyped_pipeline(state)
    pipeline.passes = _first(pipeline)
    return pipeline


class Remembering:
    """A typing context that remembers what an operator makes of operands of these types."""

    _found: ClassVar[dict[tuple[Any, ...], Any]] = {}

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, operands: Any, named: Any) -> Any:
        """The signature of a call, as numba says."""
        if named or not _is_operator(function) or not all(isinstance(operand, _OPERANDS) for operand in operands):
            return self._context.resolve_function_type(function, operands, named)
        key = function, *operands
        if key not in self._found:
            self._found[key] = self._context.resolve_function_type(function, operands, named)
        return self._found[key]

    def resolve_getitem(self, target: Any, index: Any) -> Any:
        """The signature of ``target[index]``."""
        return self.resolve_function_type(operator.getitem, (target, index), {})

    def resolve_setitem(self, target: Any, index: Any, value: Any) -> Any:
        """The signature of ``target[index] = value``."""
        return self.resolve_function_type(operator.setitem, (target, index, value), {})


def _is_operator(function: Any) -> bool:
    """Whether a function is one of Python's operators, ``bool``, ``min`` or ``max``."""
    return getattr(getattr(function, "typing_key", function), "__module__", None) in ("_operator", "builtins")
