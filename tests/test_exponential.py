"""The vectorised exponential: what LLVM makes of plain arithmetic, and the same spelled as vectors."""

import mpmath
import numpy as np
import pytest

from jitloss_kernels.exponential import exp_nonpositive, exponential
from jitloss_kernels.native import Native, call_code
from jitloss_kernels.pointers import by_address
from jitloss_kernels.simd import INDEX, loop
from problems import DTYPES, compiled

LOWEST = {"float32": -87.33, "float64": -708.39}  # exp is normal from about here on


@compiled
def exponentials(x, out):
    for i in range(len(x)):
        out[i] = exp_nonpositive(x[i])


def emit(vectors, x, out, n):
    """A whole number of vectors."""
    builder = vectors.builder
    x_at, out_at = vectors.pointer(x), vectors.pointer(out)

    def vector(i, _):
        value = vectors.load(builder.gep(x_at, [i]))
        vectors.store(exponential(vectors, value), builder.gep(out_at, [i]))
        return []

    loop(builder, INDEX(0), n, vectors.length, [], vector)


CODE = Native("exponentials", 3, emit, exact=True)


@compiled
def call(address, x, out, n):
    call_code(address, (x, 0, out, 0, n))


def evaluate(x, dtype, spelled):
    padded = np.zeros(-(-len(x) // 16) * 16, dtype)
    padded[: len(x)] = x
    out = np.empty_like(padded)
    if spelled:
        call(CODE.address(dtype), padded, out, len(padded))
    else:
        exponentials(padded, out)
    return padded[: len(x)], out[: len(x)]


ways = pytest.mark.parametrize(
    "spelled",
    [False, pytest.param(True, marks=pytest.mark.skipif(not by_address(), reason="the plain functions are what runs"))],
)


@ways
@pytest.mark.parametrize("dtype", DTYPES)
def test_within_two_ulp(dtype, spelled):
    """Against 40 digits, over the whole range and close to 0."""
    random = np.random.default_rng(0)
    x, found = evaluate(
        np.concatenate([random.random(1500) * LOWEST[dtype], -np.logspace(-9, 1, 500), [0]]), dtype, spelled
    )
    with mpmath.workdps(40):
        for argument, value in zip(x, found, strict=True):
            truth = mpmath.exp(mpmath.mpf(float(argument)))
            ulp = float(np.spacing(np.array(float(truth), dtype)))
            assert abs(mpmath.mpf(float(value)) - truth) <= 2 * ulp, argument


@ways
@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_of_the_range(dtype, spelled):
    """Below the smallest normal number it is 0, NaN stays NaN."""
    _, found = evaluate([LOWEST[dtype] - 0.1, -1e9, -np.inf, np.nan, 0.0, -0.0], dtype, spelled)
    np.testing.assert_array_equal(found, np.array([0, 0, 0, np.nan, 1, 1], dtype))
