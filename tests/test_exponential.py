"""The vectorised exponential: what LLVM makes of plain arithmetic, and the same spelled as vectors."""

import mpmath
import numpy as np
import pytest

from jitloss_kernels.exponential import exp_nonpositive, exponential
from jitloss_kernels.pointers import by_address
from problems import DTYPES, compiled, on_vectors

LOWEST = {"float32": -87.33, "float64": -708.39}  # exp is normal from about here on


@compiled
def exponentials(x, out):
    for i in range(len(x)):
        out[i] = exp_nonpositive(x[i])


spelled_as_vectors = on_vectors("exponentials", exponential)


def evaluate(x, dtype, spelled):
    x = np.asarray(x, dtype)
    if spelled:
        return x, spelled_as_vectors(x)
    out = np.empty_like(x)
    exponentials(x, out)
    return x, out


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
