"""jit.py: options in one place, fast but honest."""

import gc
import os
import re
from pathlib import Path

import numpy as np
import pytest

import jitloss
import jitloss_kernels
from jitloss_kernels import jit
from jitloss_kernels.collector import uncollected
from problems import is_out_of_line, needs_jit

OPTION = re.compile(r"\b(fastmath|parallel|cache|nogil|boundscheck|error_model|inline|forceinline)\s*=")


def test_numba_options_are_spelled_in_jit_py_alone():
    for package in (jitloss, jitloss_kernels):
        for path in Path(package.__file__).parent.rglob("*.py"):
            if path.name != "jit.py":
                assert not OPTION.search(path.read_text()), path


def test_fastmath_keeps_nan_and_infinity():
    """Order may change; NaN, infinity, division and functions may not."""
    assert {"reassoc", "contract", "nsz"} == jit.REORDER


@needs_jit
def test_a_kernel_divides_by_zero_and_sees_nan():
    """IEEE 754, not an exception, and no comparison folded away."""

    @jit.Kernel
    def kernel(a):
        total = a.dtype.type(0)
        for i in range(len(a)):
            total += a[i] / a[0]
        return total, total != total

    for a, expected in ((np.array([0.0, 1.0]), True), (np.array([1.0, np.inf]), False)):
        total, is_nan = kernel.serial(a)
        assert is_nan is expected
        assert np.isnan(total) is np.bool_(expected)


def kernel_and_part():
    """A kernel, compiled, and a part of it that is kept out of line."""

    @jit.helper
    def callee(x):
        jit.out_of_line()
        return x + 1

    @jit.Kernel
    def kernel(x):
        return callee(x)

    assert kernel.serial(1) == 2
    return kernel, callee


@needs_jit
def test_lane_functions_are_kept_out_of_line():
    """`out_of_line` reaches LLVM as `noinline`."""
    _, callee = kernel_and_part()
    ir = callee.inspect_llvm(callee.signatures[0])
    assert is_out_of_line(ir, "callee")

    @jit.helper
    def inlined(x):
        return x + 1

    @jit.Kernel
    def other(x):
        return inlined(x)

    assert other.serial(1) == 2
    assert not is_out_of_line(inlined.inspect_llvm(inlined.signatures[0]), "inlined")


@needs_jit
def test_what_kernels_call_python_cannot():
    """It has no code of its own: an error, not a crash."""
    _, callee = kernel_and_part()
    with pytest.raises(TypeError):
        callee(1)


@needs_jit
def test_parts_are_private_to_each_kernel():
    """Else the linker would take the copy that it met first, whatever LLVM had made of it for another kernel."""
    kernel, _ = kernel_and_part()
    (ir,) = kernel.serial.inspect_llvm().values()
    definitions = [line for line in ir.splitlines() if line.startswith("define") and "callee" in line]
    assert len(definitions) == 1
    assert definitions[0].startswith("define internal ")


@needs_jit
@pytest.mark.parametrize("way", ["serial", "parallel", "addressed"])
def test_a_kernel_is_compiled_once_for_each_way(way):
    @jit.Kernel
    def kernel(x):
        return x + 1

    assert getattr(kernel, way) is getattr(kernel, way)
    assert getattr(kernel, way).targetoptions["parallel"] is (way == "parallel")


@needs_jit
def test_nothing_is_collected_while_numba_compiles():
    """It takes time, and finds next to nothing: otherwise it happens more than a hundred times."""
    collections = []

    def note(phase, info):
        collections.append(phase)

    @jit.Kernel
    def kernel(x):
        return x + 1

    compiled = kernel.serial
    gc.callbacks.append(note)
    try:
        compiled(1)
    finally:
        gc.callbacks.remove(note)
    assert collections.count("start") < 20  # before and after
    assert gc.isenabled()


def test_the_collector_is_left_as_it_was():
    """Also where the compiler raises, where nobody collects, and in a child that is forked meanwhile."""

    def fail():
        raise ValueError("on purpose")

    def fork():
        child = os.fork()
        if child == 0:
            os._exit(0 if gc.isenabled() else 1)
        return os.waitpid(child, 0)[1]

    assert uncollected(gc.isenabled)() is False
    assert gc.isenabled()
    with pytest.raises(ValueError, match="on purpose"):
        uncollected(fail)()
    assert gc.isenabled()
    if hasattr(os, "fork"):
        assert uncollected(fork)() == 0
    gc.disable()
    try:
        uncollected(uncollected(gc.isenabled))()
        assert not gc.isenabled()
    finally:
        gc.enable()
