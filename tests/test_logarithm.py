"""The vectorised logarithm: what LLVM makes of plain arithmetic, and the same spelled as vectors."""

import mpmath
import numpy as np
import pytest

from jitloss_kernels.logarithm import log_from_one, logarithm
from jitloss_kernels.pointers import by_address
from problems import compiled, on_vectors

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


spelled_as_vectors = on_vectors("logarithms", lambda vectors, x: logarithm(vectors.builder, x))


def evaluate(x, spelled):
    if spelled:
        return spelled_as_vectors(x)
    out = np.empty(len(x))
    logarithms(x, out)
    return out


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
