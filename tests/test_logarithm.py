"""The vectorised logarithm: what LLVM makes of plain arithmetic, and the same spelled as vectors."""

import mpmath
import numpy as np
import pytest

from jitloss_kernels.logarithm import log_from_one, logarithm
from jitloss_kernels.native import Native, call_code
from jitloss_kernels.pointers import by_address
from jitloss_kernels.simd import INDEX, loop
from problems import compiled

random = np.random.default_rng(0)
ARGUMENTS = {
    "close to 1": 1 + np.logspace(-16, -1, 1000),
    "sums of some classes": random.uniform(1, 100, 1000),
    "sums of many classes": np.exp(random.uniform(0, 20, 1000)),
    "beside the powers of two": np.outer([1 - 2**-53, 1, 1 + 2**-52], 2.0 ** np.arange(1, 60)).ravel(),
    "where the exponent changes": np.outer([1 - 2**-52, 1, 1 + 2**-52], 2.0 ** (np.arange(1, 60) + 0.5)).ravel(),
    "all there are": np.exp(random.uniform(0, 709, 1000)),
}


@compiled
def logarithms(x, out):
    for i in range(len(x)):
        out[i] = log_from_one(x[i])


def emit(vectors, x, out, n):
    """A whole number of vectors."""
    builder = vectors.builder
    x_at, out_at = vectors.pointer(x), vectors.pointer(out)

    def vector(i, _):
        value = vectors.load(builder.gep(x_at, [i]))
        vectors.store(logarithm(builder, value), builder.gep(out_at, [i]))
        return []

    loop(builder, INDEX(0), n, vectors.length, [], vector)


CODE = Native("logarithms", 3, emit, exact=True)


@compiled
def call(address, x, out, n):
    call_code(address, (x, 0, out, 0, n))


def evaluate(x, spelled):
    padded = np.ones(-(-len(x) // 8) * 8)
    padded[: len(x)] = x
    out = np.empty_like(padded)
    if spelled:
        call(CODE.address("float64"), padded, out, len(padded))
    else:
        logarithms(padded, out)
    return out[: len(x)]


ways = pytest.mark.parametrize(
    "spelled",
    [False, pytest.param(True, marks=pytest.mark.skipif(not by_address(), reason="the plain functions are what runs"))],
)


@ways
@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_within_two_ulp(arguments, spelled):
    """Against 40 digits."""
    with mpmath.workdps(40):
        for argument, value in zip(arguments, evaluate(arguments, spelled), strict=True):
            truth = mpmath.log(mpmath.mpf(float(argument)))
            assert abs(mpmath.mpf(float(value)) - truth) <= 2 * float(np.spacing(float(truth))), argument


@ways
def test_ends_of_the_range(spelled):
    """NaN, which shows that a score was, stays NaN."""
    np.testing.assert_array_equal(evaluate(np.array([1.0, np.nan, np.inf]), spelled), [0.0, np.nan, np.inf])
