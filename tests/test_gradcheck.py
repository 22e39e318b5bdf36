"""The gradient check must see a wrong gradient."""

from dataclasses import replace

import numpy as np
import pytest

from jitloss import gradcheck, implementations
from problems import LOSSES


def test_everything_passes():
    checks = gradcheck.check_all(seed=1)
    assert {check.implementation for check in checks} == set(implementations.IMPLEMENTATIONS)
    assert {check.loss for check in checks} == set(LOSSES)
    assert all(check.passed for check in checks)


def test_central_differences_of_a_quartic_are_exact():
    """Fourth order: x⁴ at 2 has the slope 32, but for rounding."""
    x = np.array([5.0, 2.0])
    (slope,) = gradcheck.central_differences(lambda: float(x[1] ** 4), x, np.array([1]))
    assert slope == pytest.approx(32, rel=1e-12)
    assert x.tolist() == [5.0, 2.0]


@pytest.mark.parametrize("spoil", [lambda g: 1.0001 * g, lambda g: -g, lambda g: g + 1e-3])
def test_a_wrong_gradient_fails(monkeypatch, spoil):
    """An implementation that is a little off, all else being right."""
    right = implementations.run_jit

    def wrong(loss, problem):
        value, gradients = right(loss, problem)
        return value, [spoil(gradient) for gradient in gradients]

    row = implementations.IMPLEMENTATIONS["jit"]._replace(run=wrong)
    monkeypatch.setitem(implementations.IMPLEMENTATIONS, "jit", row)
    failed = {check.implementation for check in gradcheck.check_all() if not check.passed}
    assert failed == {"jit"}


def test_each_of_the_three_errors_counts():
    check = next(check for check in gradcheck.check_all() if check.implementation == "numpy")
    for name in ("loss_error", "reference_error", "differences_error"):
        assert not replace(check, **{name: 1e-3}).passed
        assert not replace(check, **{name: float("nan")}).passed


@pytest.mark.parametrize("seed", range(3))
def test_problems_are_smooth(seed):
    """No margin within reach of the steps taken."""
    W, X, y = gradcheck.smooth_problem(np.random.default_rng(seed), (50, 7, 5), "float64")
    S = X @ W
    margins = S - S[np.arange(50), y][:, np.newaxis] + 1
    assert np.abs(margins).min() > 2 * 2 * gradcheck.STEP * max(np.abs(X).max(), np.abs(W).max())
