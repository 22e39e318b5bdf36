"""Every argument is checked here, before any kernel runs and before anything is written.

numba checks no bounds, so a label that slips through is memory corruption. Every error names the argument, says
what was wrong and what was expected.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from .arrays import compute_dtype, float_dtype, in_range, kind, labels, labels_of, matrix, vector
from .data_set import balanced, class_count, of_rows
from .options import OPTIONS, Asked, Options, default_form, options
from .outputs import gradient_names, gradient_shape, outputs
from .scalars import at_least, decay, factor, lacking, one_of, threads, unknown

__all__ = [
    "OPTIONS", "Asked", "Options", "Problem", "at_least", "balanced", "class_count", "compute_dtype", "decay",
    "default_form", "factor", "float_dtype", "gradient_names", "gradient_shape", "in_range", "kind", "labels",
    "labels_of", "lacking", "matrix", "of_rows", "one_of", "options", "outputs", "problem", "threads", "unknown",
    "vector",
]  # fmt: skip


class Problem(NamedTuple):
    """The arguments of a loss function, checked: what every implementation is handed."""

    W: np.ndarray  # (D, C), float32, float64, integer or bool, as the caller holds it
    X: np.ndarray  # (N, D), likewise
    y: np.ndarray  # (N,), integer, 0 … C − 1, a copy of our own
    bias: np.ndarray | None  # (C,)
    options: Options
    dtype: np.dtype[Any]  # the compute dtype, float32 or float64
    decay: float  # reg_scale * reg
    wrt: tuple[str, ...]
    out: tuple[np.ndarray, ...] | None  # one for each of wrt; None: make new arrays
    n_threads: int | None


def problem(
    W: Any,
    X: Any,
    y: Any,
    reg: Any,
    bias: Any,
    asked: Asked,
    forms: Collection[str],
    reg_scale: Any,
    wrt: Any,
    out: Any,
    n_threads: Any,
) -> Problem:
    """Check the arguments of a linear loss, which is defined in one or more `forms`; see `jitloss.svm_loss`."""
    W, X = matrix("W", W), matrix("X", X)
    if W.shape[0] != X.shape[1]:
        raise ValueError(f"W of shape {W.shape} does not fit X of shape {X.shape}: W needs a row for each column of X")
    given = labels_of(X, y)
    if W.size == 0:
        raise ValueError(f"W of shape {W.shape} is empty: at least one feature and one class are needed")
    own, chosen = options(asked, forms, given, W.shape[1])
    if bias is not None:
        bias = vector("bias", bias, W.shape[1], "column of W")
    dtype, names = compute_dtype(W, X, bias), gradient_names(wrt, bias is not None)
    shrinking = decay(reg, reg_scale)
    if shrinking and chosen.reduction == "none":
        raise ValueError(f"reg is {reg} with reduction='none': expected 0, for it belongs to no single sample")
    if out is not None:
        weights = {"bias": bias, "sample_weight": asked.sample_weight, "class_weight": asked.class_weight}
        read = {"W": W, "X": X, "y": given} | {k: v for k, v in weights.items() if isinstance(v, np.ndarray)}
        out = outputs(out, names, read, dtype)
    return Problem(W, X, own, bias, chosen, dtype, shrinking, names, out, threads(n_threads))
