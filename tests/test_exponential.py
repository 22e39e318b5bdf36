"""The vectorised exponential."""

import mpmath
import numpy as np
import pytest

from jitloss_kernels.exponential import exp_nonpositive
from problems import DTYPES, compiled

LOWEST = {"float32": -87.33, "float64": -708.39}  # exp is normal from about here on


@compiled
def exponentials(x, out):
    for i in range(len(x)):
        out[i] = exp_nonpositive(x[i])


def evaluate(x, dtype):
    x, out = np.array(x, dtype), np.empty(len(x), dtype)
    exponentials(x, out)
    return x, out


@pytest.mark.parametrize("dtype", DTYPES)
def test_within_two_ulp(dtype):
    """Against 40 digits, over the whole range and close to 0."""
    random = np.random.default_rng(0)
    x, found = evaluate(np.concatenate([random.random(1500) * LOWEST[dtype], -np.logspace(-9, 1, 500), [0]]), dtype)
    with mpmath.workdps(40):
        for argument, value in zip(x, found, strict=True):
            truth = mpmath.exp(mpmath.mpf(float(argument)))
            ulp = float(np.spacing(np.array(float(truth), dtype)))
            assert abs(mpmath.mpf(float(value)) - truth) <= 2 * ulp, argument


@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_of_the_range(dtype):
    """Below the smallest normal number it is 0, NaN stays NaN."""
    _, found = evaluate([LOWEST[dtype] - 0.1, -1e9, -np.inf, np.nan, 0.0, -0.0], dtype)
    np.testing.assert_array_equal(found, np.array([0, 0, 0, np.nan, 1, 1], dtype))
