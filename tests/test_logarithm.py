"""The vectorised logarithm."""

import mpmath
import numpy as np
import pytest

from jitloss_kernels.logarithm import log_from_one
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


def evaluate(x):
    out = np.empty(len(x))
    logarithms(x, out)
    return out


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_within_two_ulp(arguments):
    """Against 40 digits."""
    with mpmath.workdps(40):
        for argument, value in zip(arguments, evaluate(arguments), strict=True):
            truth = mpmath.log(mpmath.mpf(float(argument)))
            assert abs(mpmath.mpf(float(value)) - truth) <= 2 * float(np.spacing(float(truth))), argument


def test_ends_of_the_range():
    """NaN, which shows that a score was, stays NaN."""
    np.testing.assert_array_equal(evaluate(np.array([1.0, np.nan, np.inf])), [0.0, np.nan, np.inf])
