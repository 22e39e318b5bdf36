"""What is worked out once for a whole data set, and what changes where some of its samples are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np

from .options import Options, is_kept
from .scalars import at_least


def class_count(given: Any, y: np.ndarray, ignored: Any) -> int:
    """`given`, or one more than the largest label that is not to be ignored."""
    if given is not None:
        return at_least(1, "n_classes", given)
    kept = y if ignored is None else y[is_kept(y, ignored)]
    if kept.size == 0:
        raise ValueError("y has no label that says how many classes there are: pass n_classes=")
    return int(kept.max()) + 1


def balanced(given: str, y: np.ndarray, n_classes: int, ignored: Any) -> np.ndarray:
    """N / (C · samples of the class) for each class, 1 for one without samples; as in scikit-learn."""
    if given != "balanced":
        raise ValueError(f"class_weight is {given!r}: expected 'balanced', an array of {n_classes} weights or a dict")
    kept = y if ignored is None else y[is_kept(y, ignored)]
    kept = kept[(kept >= 0) & (kept < n_classes)]  # labels out of range are refused in a moment
    counts = np.bincount(kept.astype(np.int64), minlength=n_classes)
    return np.where(counts == 0, 1.0, len(kept) / (n_classes * np.maximum(counts, 1)))


def of_rows(options: Options, y: np.ndarray, rows: np.ndarray) -> Options:
    """The options for the samples `rows`, whose labels are `y`: their weights, and the sum of these."""
    weights, per_class = options.sample_weight, options.class_weight
    weights = None if weights is None else weights[rows]
    normaliser = 1.0
    if options.reduction == "mean":
        each = np.ones(len(rows)) if weights is None else weights
        normaliser = float((each if per_class is None else each * per_class[y]).sum()) or 1.0
    return options._replace(sample_weight=weights, normaliser=normaliser)
