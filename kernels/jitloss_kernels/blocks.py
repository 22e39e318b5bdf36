"""How a block of rows of X is read. The only file that a new kind of input touches.

X comes in one of three shapes: flat, when it is used where it lies; as a matrix of any float or integer dtype and any
strides, whose blocks are copied into scratch; or as such a matrix and the numbers of the rows that count. In any case
the numbers are the same, so the results are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload


def shape_of(X: np.ndarray, dtype: np.dtype[Any], rows: np.ndarray | None) -> str:
    """ "flat", where X can be used as it lies by a kernel of that `dtype`; else its memory order, "C", "F" or "A"."""
    layout = "C" if X.flags.c_contiguous else "F" if X.flags.f_contiguous else "A"
    return "flat" if layout == "C" and X.dtype == dtype and rows is None else layout


def handed(X: np.ndarray, shape: str, rows: np.ndarray | None) -> Any:
    """X as a kernel takes it."""
    return X.reshape(-1) if shape == "flat" else X if rows is None else (X, rows)


def is_copied(x):
    """Whether blocks of X are copied."""
    return isinstance(x, tuple) or x.ndim == 2


def read(x, first, n, n_features, copy, c0, width):
    """See to it that rows first..first + n of X can be used: copy them to `copy`, from `c0` on, unless X is flat."""
    if isinstance(x, tuple):
        _copy_chosen(x, first, n, n_features, copy, c0, width)
    elif x.ndim == 2:
        _copy_rows(x, first, n, n_features, copy, c0, width)


def where(x, first, n_features, copy, c0, width):
    """The rows that were read from `first` on: a flat array, the offset of their first item, the step between rows."""
    return (copy, c0, width) if is_copied(x) else (x, first * n_features, n_features)


def _copy_rows(x, first, n, n_features, copy, c0, width):
    """Copy and convert, along whichever axis of X is the shorter way through memory."""
    if abs(x.strides[1]) <= abs(x.strides[0]):
        for i in range(n):
            row = copy[c0 + i * width : c0 + i * width + n_features]
            for k in range(n_features):
                row[k] = x[first + i, k]
    else:
        for k in range(n_features):
            for i in range(n):
                copy[c0 + i * width + k] = x[first + i, k]


def _copy_chosen(x, first, n, n_features, copy, c0, width):
    """Copy and convert rows out of all of X."""
    matrix, rows = x
    for i in range(n):
        row, source = copy[c0 + i * width : c0 + i * width + n_features], rows[first + i]
        for k in range(n_features):
            row[k] = matrix[source, k]


@overload(is_copied)
def _is_copied_compiled(x):
    copied = isinstance(x, types.BaseTuple) or x.ndim == 2
    return lambda x: copied


@overload(read)
def _read_compiled(x, first, n, n_features, copy, c0, width):
    if isinstance(x, types.BaseTuple):
        return _copy_chosen
    if x.ndim == 1:
        return lambda x, first, n, n_features, copy, c0, width: None
    return _copy_rows


@overload(where)
def _where_compiled(x, first, n_features, copy, c0, width):
    if isinstance(x, types.BaseTuple) or x.ndim == 2:
        return lambda x, first, n_features, copy, c0, width: (copy, c0, width)
    return lambda x, first, n_features, copy, c0, width: (x, first * n_features, n_features)
