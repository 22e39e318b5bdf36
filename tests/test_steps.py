"""steps.py: numba's steps that kernels do without, and what an operator makes of its operands, asked once."""

import operator

import numba
import numpy as np
import pytest
from numba import types
from numba.core import event, typed_passes, untyped_passes
from numba.core.registry import cpu_target

from jitloss_kernels import jit
from jitloss_kernels.steps import _SPARED, Remembering
from problems import needs_jit

pytestmark = needs_jit


@jit.merged
def nearest(a, x):
    """Two ways out of a loop, and names that the caller has, too."""
    for i in range(len(a)):
        if a[i] == x:
            return i, 0.0
    total = 0.0
    for i in range(len(a)):
        total += a[i]
    return -1, total


@jit.merged
def twice(a, x):
    i, total = nearest(a, x)
    j, more = nearest(a, x + 1)
    return i + 2 * j, total + more


@jit.Kernel
def kernel(a, total):
    i = 0
    for k in range(3):
        at, sums = twice(a, k) if k != 1 else nearest(a, k)
        total[0] += sums
        i = 10 * i + at
    return i, 5 / 2, 5 // 2, a[1:][0], min(i, 2.5), a.dtype.type(i)


def steps_of(run):
    """The names of numba's steps while something runs, and of the functions that they were for."""
    with event.install_recorder("numba:run_pass") as recorder:
        run()
    names = [seen.data["name"].removesuffix("]").split(" [") for _, seen in recorder.buffer if seen.is_start]
    return [(step, function.rpartition(".")[2]) for step, function in names]


def test_merged_functions_do_what_python_does():
    """One within another, called twice, with results that differ; compiled as Python runs it."""
    for a in (np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0]), np.array([5.0, 6.0])):
        compiled, interpreted = np.zeros(1), np.zeros(1)
        source = {name: part.py_func for name, part in (("nearest", nearest), ("twice", twice))}
        with pytest.MonkeyPatch.context() as patch:
            for name, function in source.items():
                patch.setitem(globals(), name, function)
            expected = kernel.python(a, interpreted)
        assert kernel.serial(a, compiled) == expected
        assert compiled == interpreted


def test_steps_are_spared():
    """A kernel goes through none of those; what is merged into it goes through the first ones alone."""

    @jit.Kernel
    def fresh(a):
        return nearest(a, a[0])[0]

    steps = steps_of(lambda: fresh.serial(np.ones(2, np.float32)))
    of_kernel = [step for step, function in steps if function == "fresh"]
    of_merged = [step for step, function in steps if function == "nearest"]
    spared = {getattr(untyped_passes, name, None) or getattr(typed_passes, name) for name in _SPARED}
    assert not {step._name for step in spared} & {*of_kernel, *of_merged}
    assert of_merged == ["translate_bytecode", "fixup_args", "ir_processing", "merge"]
    assert of_kernel[:4] == of_merged
    assert "native_lowering" in of_kernel


def test_a_parallel_kernel_keeps_them():
    """Those that turn a ``prange`` into a parallel loop need what a serial kernel can do without."""

    @jit.Kernel
    def fresh(a):
        for i in numba.prange(len(a)):
            a[i] = i

    steps = steps_of(lambda: fresh._compile(parallel=True)(np.ones(3)))
    assert "inline_closure_likes" in [step for step, function in steps if function == "fresh"]


class Asked:
    """A typing context that notes what it is asked."""

    def __init__(self):
        self.questions = []

    def resolve_function_type(self, *question):
        self.questions.append(question)
        return f"answer {len(self.questions)}"


def test_an_operator_is_asked_about_once(monkeypatch):
    """For each types of operands; everything else each time, for it may depend on who asks."""
    monkeypatch.setattr(Remembering, "_found", {})
    context = cpu_target.typing_context
    context.refresh()
    add, sub = (context.resolve_value_type(function) for function in (operator.add, operator.sub))
    called = context.resolve_value_type(nearest)
    asked = Asked()
    remembering = Remembering(asked)
    integers, mixed = (types.int64, types.int64), (types.int64, types.float64)
    for function, operands in ((add, integers), (add, mixed), (sub, integers), (add, integers), (called, integers)):
        remembering.resolve_function_type(function, operands, {})
    expected = [(add, integers, {}), (add, mixed, {}), (sub, integers, {}), (called, integers, {})]
    assert asked.questions == expected
    assert remembering.resolve_function_type(add, mixed, {}) == "answer 2"
    assert remembering.resolve_function_type(called, integers, {}) == "answer 5"
    assert remembering.resolve_getitem(types.float64[::1], types.int64) == "answer 6"
    assert remembering.resolve_getitem(types.float64[::1], types.int64) == "answer 6"
