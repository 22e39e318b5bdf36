"""The problems that are measured: made here, frozen, so that a change of the package cannot make them easier."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

SHAPES = {
    "dev": (500, 3073, 10),
    "batch": (256, 785, 10),
    "cifar": (49000, 3073, 10),
    "mnist": (60000, 785, 10),
    "binary": (200000, 100, 2),
    "mid": (5000, 512, 100),
    "features": (8192, 2048, 1000),
    "vocab": (2048, 768, 32000),
    "tiny": (32, 64, 10),
    "tall": (20000, 785, 10),
}


class Problem(NamedTuple):
    """W (D, C), X (N, D), y (N,)."""

    W: np.ndarray
    X: np.ndarray
    y: np.ndarray


def generated(shape: tuple[int, int, int], dtype: str, seed: int = 0, trained: bool = False) -> Problem:
    """X standard normal, W scaled to scores of unit variance, uniform labels; or W that has learned the labels."""
    n_rows, n_features, n_classes = shape
    random = np.random.default_rng(seed)
    X = random.standard_normal((n_rows, n_features), dtype)
    W = random.standard_normal((n_features, n_classes), dtype) / np.sqrt(n_features).astype(dtype)
    y = (X @ W).argmax(axis=1) if trained else random.integers(0, n_classes, n_rows)
    if trained:
        W *= np.asarray(20, dtype)
    return Problem(W, X, y)


@lru_cache
def named(name: str, dtype: str) -> Problem:
    """One of the named problems, made once a process."""
    return generated(SHAPES[name], dtype)
