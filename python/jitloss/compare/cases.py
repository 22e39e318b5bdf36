"""A case: data, weights that give scores of unit variance, and a dtype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data import Data, DataError


@dataclass(frozen=True)
class Case:
    """One problem for every contender."""

    name: str
    says: str
    W: np.ndarray  # (D, C)
    X: np.ndarray  # (N, D)
    y: np.ndarray  # (N,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, D, C."""
        return (*self.X.shape, self.W.shape[1])

    @property
    def dtype(self) -> str:
        return self.W.dtype.name

    def head(self, n_rows: int) -> Case:
        """The same case, its first rows alone."""
        return Case(self.name, self.says, self.W, self.X[:n_rows], self.y[:n_rows])


def make(data: Data, dtype: str, seed: int = 1) -> Case:
    """`data` in `dtype`, with random weights: an untrained classifier's scores, of unit variance."""
    with np.errstate(over="ignore"):
        X = np.ascontiguousarray(data.X, dtype)
    if not np.isfinite(X).all():
        raise DataError(f"{data.name} holds numbers beyond {dtype}: use --dtype float64")
    W = np.random.default_rng(seed).standard_normal((X.shape[1], data.n_classes))
    spread = float((X[:1000] @ W.astype(dtype)).std())
    return Case(data.name, data.says, (W / (spread or 1.0)).astype(dtype), X, data.y)
