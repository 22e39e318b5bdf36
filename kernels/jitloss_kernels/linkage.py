"""A kernel keeps the functions that it calls to itself.

numba compiles each function that a kernel calls twice: alone, and again as a part of the kernel, where LLVM knows more
of its arguments and may order its sums in another way. Both copies have one name, and the linker takes whichever it met
first: the one compiled alone in a process that compiles, the kernel's own in a process that loads the kernel from disk.
So a first run and a second one could differ in their last bits. A function that only its kernel can see is found there
and nowhere else.
"""

from __future__ import annotations

from typing import Any

from llvmlite.binding import Linkage
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.typed_passes import AnnotateTypes

# Whether this numba has the step that is changed here. Where it has not, nothing may be loaded from disk.
HIDES = hasattr(CPUCodeLibrary, "_finalize_final_module")


class KernelCompiler(Compiler):
    """numba's compiler, but that the kernel's callees are private. To be passed as `pipeline_class`."""

    def define_pipelines(self) -> list[Any]:
        """numba's own steps, and one before the kernel's library is made."""
        pipelines: list[Any] = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.add_pass_after(_PrivateCallees, AnnotateTypes)
            pipeline.finalize()
        return pipelines


# What numba makes of a function that it links into another one, and of the loop of a prange.
_SHARED = (Linkage.linkonce_odr, Linkage.weak_odr)


@register_pass(mutates_CFG=False, analysis_only=True)
class _PrivateCallees(AnalysisPass):
    """Make the library that the next step would make, and hide its callees when they are optimised and linked."""

    _name = "private_callees"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Put the library where the next step looks for one."""
        if not HIDES:
            return False
        library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
        library.enable_object_caching()
        hand_over = library._finalize_final_module

        def hide_and_hand_over() -> None:
            for function in library._final_module.functions:
                if not function.is_declaration and function.linkage in _SHARED:
                    function.linkage = "internal"
            hand_over()

        library._finalize_final_module = hide_and_hand_over
        state.library = library
        return False
