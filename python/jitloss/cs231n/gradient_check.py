"""Numerical gradients, to check analytic ones by."""

from __future__ import annotations

from collections.abc import Callable
from random import randrange

import numpy as np


def eval_numerical_gradient(
    f: Callable[[np.ndarray], float], x: np.ndarray, verbose: bool = True, h: float = 1e-5
) -> np.ndarray:
    """The gradient of the number ``f(x)`` by central differences; `x` is changed in place and restored.

    With `verbose` every derivative is printed.
    """
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        gradient[index] = _difference(f, x, index, h)
        if verbose:
            print(index, gradient[index])
    return gradient


def eval_numerical_gradient_array(
    f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, df: np.ndarray | float, h: float = 1e-5
) -> np.ndarray:
    """The gradient of ``sum(f(x) * df)`` by central differences: what flows back through f where df comes in."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        gradient[index] = _difference(lambda at: np.sum(np.array(f(at)) * df), x, index, h)
    return gradient


def grad_check_sparse(
    f: Callable[[np.ndarray], float], x: np.ndarray, analytic_grad: np.ndarray, num_checks: int = 10, h: float = 1e-5
) -> None:
    """Compare some entries of a gradient, drawn at random, with central differences, and print both.

    Where both are 0 the relative error is 0.
    """
    for _ in range(num_checks):
        index = tuple(randrange(n) for n in x.shape)
        numerical, analytic = _difference(f, x, index, h), analytic_grad[index]
        size = abs(numerical) + abs(analytic)
        error = abs(numerical - analytic) / size if size else 0.0
        print(f"numerical: {numerical:f} analytic: {analytic:f}, relative error: {error:e}")


def _difference(f: Callable[[np.ndarray], float], x: np.ndarray, index: tuple[int, ...], h: float) -> float:
    """(f(x + h) − f(x − h)) / 2h in one entry of x."""
    before = x[index]
    try:
        x[index] = before + h
        above = f(x)
        x[index] = before - h
        below = f(x)
    finally:
        x[index] = before
    return float((above - below) / (2 * h))
