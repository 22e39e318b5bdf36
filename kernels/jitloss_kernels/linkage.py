"""Functions that kernels call are parts of them, and nothing on their own.

numba compiles each function that a kernel calls twice: alone, and again as a part of the kernel, where LLVM knows more
of its arguments and may order its sums in another way. Here it is a part, and no more: it is kept as it is for kernels
to link, neither optimised nor turned into machine code, which takes a sixth off the time of a first call. The kernel
itself is optimised once, where numba would do it three times.

Two kernels may have made two things of one part. All copies have one name, and the linker takes whichever it met first,
one in a process that compiles and another in a process that loads from disk: results could differ in their last bits.
So each kernel keeps its parts to itself.
"""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite.binding import Linkage
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.typed_passes import AnnotateTypes, NativeLowering

try:  # private to numba, hence guarded
    from numba import _dynfunc
    from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
except ImportError:  # pragma: no cover
    JITCodeLibrary = JITCPUCodegen = object

# Whether this numba has the steps that are changed here. Where it has not, nothing that links parts may be loaded from
# disk.
_STEPS = ("_finalize_final_module", "_optimize_final_module", "_optimize_functions")
HIDES = all(hasattr(JITCodeLibrary, step) for step in _STEPS) and hasattr(JITCPUCodegen, "_module_pass_manager")

# What numba makes of a function that it links into another one, and of the loop of a prange.
_SHARED = (Linkage.linkonce_odr, Linkage.weak_odr)


class OnceOptimized(JITCodeLibrary):
    """Code that is optimised as a whole, and once.

    numba optimises function by function, then all of them twice: for arrays that come and go, which here none do.
    """

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        passes = self._codegen._module_pass_manager()  # older numbas: without a builder
        manager, *builder = passes if isinstance(passes, tuple) else (passes,)
        manager.run(self._final_module, *builder)


class KernelLibrary(OnceOptimized):
    """The code of a kernel: its parts are private to it."""

    def _finalize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage in _SHARED:
                function.linkage = "internal"
        super()._finalize_final_module()


class PartLibrary(KernelLibrary):
    """The code of a part, as it is, for kernels to link."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class KernelCompiler(Compiler):
    """numba's compiler with a KernelLibrary. To be passed as `pipeline_class`."""

    library = KernelLibrary
    passes: tuple[tuple[type, type], ...] = ()  # each after one of numba's own

    def __init__(self, context: Any, *given: Any) -> None:
        from .steps import Remembering  # who finds everything on disk need not wait for what numba imports there

        super().__init__(Remembering(context), *given)

    def define_pipelines(self) -> list[Any]:
        """numba's own steps, and others in between."""
        from .steps import spare

        pipelines: list[Any] = super().define_pipelines()
        for pipeline in pipelines if HIDES else ():
            if not self.state.flags.auto_parallel.enabled:
                spare(pipeline)
            for step, before in ((_OwnLibrary, AnnotateTypes), *self.passes):
                pipeline.add_pass_after(step, before)
            pipeline.finalize()
        return pipelines


@register_pass(mutates_CFG=False, analysis_only=True)
class _OwnLibrary(AnalysisPass):
    """Make the library that the next step would make."""

    _name = "own_library"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Put the library where the next step looks for one."""
        if state.library is None:
            state.library = state.pipeline.library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        state.flags.no_compile = isinstance(state.library, PartLibrary)
        return False


@register_pass(mutates_CFG=False, analysis_only=True)
class _NothingToCall(AnalysisPass):
    """What a part gives Python to call raises TypeError; numba knows the part by it."""

    _name = "nothing_to_call"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Make up for what numba leaves out where nothing is compiled."""
        description = state.cr.fndesc
        name, module = description.qualname, description.lookup_module()
        entry = _dynfunc.make_function(module, name, "for kernels to call", _raising(), state.cr.env, (state.library,))
        state.targetctx.insert_user_function(entry, description, [state.library])
        state.cr = state.cr._replace(cfunc=entry)
        return False


def _raising() -> int:
    """The address of a C function that raises TypeError, whatever it is given."""
    return ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value or 0


class PartCompiler(KernelCompiler):
    """numba's compiler with a PartLibrary."""

    library = PartLibrary
    passes = ((_NothingToCall, NativeLowering),)
