"""Problems, layouts and fresh processes for the tests. Nothing here is computed by the code under test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from jitloss_kernels.jit import Kernel
from jitloss_kernels.native import Native, call_code
from jitloss_kernels.repeats import loop
from jitloss_kernels.simd import INDEX

JIT_DISABLED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
needs_jit = pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled with NUMBA_DISABLE_JIT=1")

LOSSES = ("svm", "softmax")
IMPLEMENTATIONS = ("loop", "numpy", "jit", "fused")
DTYPES = ("float64", "float32")

# Sums of up to some thousand terms of size 1 in another order: a few dozen roundings of the dtype, of the largest
# entry. Small entries of a gradient are differences of large terms, so their error is absolute.
ROUNDINGS = {"float64": 1e-13, "float32": 1e-5}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls what only kernels can."""
    return Kernel(function).serial


def on_vectors(name: str, function: Callable[[Any, Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """An array's numbers through a `function` of ``Vectors`` and a vector, which returns LLVM IR."""

    def emit(vectors: Any, x: Any, out: Any, n: Any) -> None:
        builder, x_at, out_at = vectors.builder, vectors.pointer(x), vectors.pointer(out)

        def vector(i: Any, _: Any) -> list[Any]:
            value = function(vectors, vectors.load(builder.gep(x_at, [i])))
            vectors.store(value, builder.gep(out_at, [i]))
            return []

        loop(builder, INDEX(0), n, vectors.length, [], vector)

    code = Native(name, 3, emit, exact=True)

    @compiled
    def call(address, x, out, n):
        call_code(address, (x, 0, out, 0, n))

    def evaluate(x: np.ndarray) -> np.ndarray:
        padded = np.ones(-(-len(x) // 16) * 16, x.dtype)  # a whole number of vectors
        padded[: len(x)] = x
        out = np.empty_like(padded)
        call(code.address(x.dtype.name), padded, out, len(padded))
        return out[: len(x)]

    return evaluate


def make(
    shape: tuple[int, int, int],
    dtype: str = "float64",
    seed: int = 0,
    margin: float = 1.0,
    bias: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W, X, y with scores of unit variance, none so near a kink of a loss that rounding decides its side.

    Kinks: where a margin is just kept, and where two classes are equally far within it.
    """
    n_rows, n_features, n_classes = shape
    random = np.random.default_rng(seed)
    W = (random.standard_normal((n_features, n_classes)) / np.sqrt(n_features)).astype(dtype)
    X, y = np.empty((n_rows, n_features), dtype), random.integers(0, n_classes, n_rows)
    pending = np.arange(n_rows)
    for _ in range(100):
        X[pending] = random.standard_normal((len(pending), n_features))
        S = X[pending].astype(np.float64) @ W.astype(np.float64) + (0 if bias is None else bias)
        margins = S - S[np.arange(len(S)), y[pending]][:, np.newaxis] + margin
        margins[np.arange(len(S)), y[pending]] = np.inf
        near = (np.abs(margins) < 1e-4).any(axis=1)
        gaps = np.diff(np.sort(np.where(np.isinf(margins), -np.inf, margins), axis=1)[:, -2:], axis=1)
        pending = pending[near | (gaps < 1e-4).any(axis=1)]
        if len(pending) == 0:
            return W, X, y
    return make(shape, dtype, seed + 1, margin, bias)  # two classes have all but the same weights


def assert_close(found, expected, dtype: str) -> None:
    """Two results of a loss function, (loss, *gradients), agree but for roundings of `dtype`."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=0, atol=ROUNDINGS[dtype] * max(1.0, float(np.abs(b).max(initial=0))))


def assert_same_bits(found, expected) -> None:
    """Two results are equal to the last bit, NaN included."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), strict=True)


def layouts(array: np.ndarray, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The same values in every way that NumPy can hold them."""
    yield "C", np.ascontiguousarray(array)
    yield "Fortran", np.asfortranarray(array)
    wide = np.zeros(tuple(3 * n for n in array.shape), array.dtype)
    wide[tuple(slice(None, None, 3) for _ in array.shape)] = array
    yield "strided", wide[tuple(slice(None, None, 3) for _ in array.shape)]
    backwards = tuple(slice(None, None, -1) for _ in array.shape)
    yield "negative strides", np.ascontiguousarray(array[backwards])[backwards]
    memory = np.zeros(array.nbytes + 1, np.uint8)
    misaligned = memory[1:].view(array.dtype).reshape(array.shape)
    misaligned[...] = array
    yield "misaligned", misaligned
    yield "big-endian", array.astype(array.dtype.newbyteorder(">"))
    locked = array.copy()
    locked.flags.writeable = False
    yield "read-only", locked
    handle, name = tempfile.mkstemp(dir=folder)
    os.close(handle)
    array.tofile(name)
    yield "memory-mapped", np.memmap(name, array.dtype, "r", shape=array.shape)


def is_out_of_line(llvm: str, name: str) -> bool:
    """Whether the function `name` itself is marked noinline; numba's own helpers in the same module always are."""
    native = re.compile(rf"^define [^@]*i32 @_ZN\w*{name}")  # returns a status; its wrappers for C and Python do not
    (line,) = (line for line in llvm.splitlines() if native.match(line))
    group = re.search(r"(#\d+) {$", line)
    return (
        group is not None and re.search(rf"^attributes {group[1]} = {{.*\bnoinline\b", llvm, re.MULTILINE) is not None
    )


def check_in_fresh_process(code: str, timeout: float = 120, **environment: str) -> str:
    """Run `code` in a process of its own with the tests' folder on its path; its output. A hang or a crash fails."""
    settings = os.environ | environment
    path = [settings.get("PYTHONPATH"), str(Path(__file__).parent)]
    settings["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], env=settings, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
