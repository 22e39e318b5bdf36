"""Losses of scores, for networks whose last layer has computed them already."""

from __future__ import annotations

import numpy as np

from .. import checks, losses


def svm_loss(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean multiclass SVM loss of scores `x` (N, C) with labels `y` (N,), and its gradient dx (N, C)."""
    return _of_scores("svm", x, y)


def softmax_loss(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean softmax loss of scores `x` (N, C) with labels `y` (N,), and its gradient dx (N, C)."""
    return _of_scores("softmax", x, y)


def _of_scores(name: str, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of X W with W the identity: NumPy's definition, for there is no product to be fast at."""
    scores = checks.matrix("x", x)
    labels = checks.labels_of(scores, y, of="x")
    checks.in_range(labels, scores.shape[1], why="x has as many columns")
    own = np.array(scores, checks.kind(scores) if scores.dtype.kind == "f" else float)
    losses_of_rows, dx = losses.LOSSES[name].reference(own, labels)
    count = max(len(dx), 1)
    return float(losses_of_rows.sum(dtype=np.float64) / count), dx / dx.dtype.type(count)
