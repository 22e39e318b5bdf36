"""How a block of rows of X is read: what a new kind of input touches, but for what is converted in the tile.

X comes in one of three shapes: flat, if it is C-contiguous; as a matrix of any strides, whose blocks are copied into
scratch; or as such a matrix and the numbers of the rows that count. What is flat and of the compute dtype is used where
it lies; what is flat and of another is converted, at once or while it is first used. In any case the numbers are the
same, so the results are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from .jit import overload


def shape_of(X: np.ndarray, rows: np.ndarray | None) -> str:
    """ "flat", or the memory order of a matrix: "C", "F" or "A"."""
    if X.flags.c_contiguous:
        return "flat" if rows is None else "C"
    return "F" if X.flags.f_contiguous else "A"


DIRECT, COPIED = "direct", "copied"


def reading_of(shape: str, x_dtype: np.dtype[Any], dtype: np.dtype[Any]) -> str:
    """How a kernel of that `dtype` reads a block: DIRECT where it lies, COPIED, or the dtype it is converted from."""
    if shape != "flat":
        return COPIED
    return DIRECT if x_dtype == dtype else x_dtype.name


def handed(X: np.ndarray, shape: str, rows: np.ndarray | None) -> Any:
    """X as a kernel takes it."""
    return X.reshape(-1) if shape == "flat" else X if rows is None else (X, rows)


def _kind(x, copy):
    """Of an array, or of its numba type: the function that brings its rows into `copy`."""
    if isinstance(x, (tuple, types.BaseTuple)):
        return _copy_chosen
    if x.ndim == 2:
        return _copy_rows
    return _leave_rows if x.dtype == copy.dtype else _convert_rows


def is_converted(x, copy):
    """Whether X is flat and not of the dtype of `copy`."""
    return _kind(x, copy) is _convert_rows


def is_copied(x, copy):
    """Whether blocks of X are copied, converted or not."""
    return _kind(x, copy) is not _leave_rows


def flat(x, copy):
    """X, if it is flat; else `copy`, for code that must compile though it will not run."""
    return x if _kind(x, copy) in (_leave_rows, _convert_rows) else copy


def read(x, first, n, n_features, copy, c0, width):
    """See to it that rows first..first + n of X can be used: copy them to `copy`, from `c0` on, if need be."""
    _kind(x, copy)(x, first, n, n_features, copy, c0, width)


def where(x, first, n_features, copy, c0, width):
    """The rows that were read from `first` on: a flat array, the offset of their first item, the step between rows."""
    return (copy, c0, width) if is_copied(x, copy) else (x, first * n_features, n_features)


def _leave_rows(x, first, n, n_features, copy, c0, width):
    """Nothing to do: they are used where they lie."""


def _convert_rows(x, first, n, n_features, copy, c0, width):
    """Convert rows that lie one after the other."""
    for i in range(n):
        row, start = copy[c0 + i * width : c0 + i * width + n_features], (first + i) * n_features
        source = x[start : start + n_features]
        for k in range(n_features):
            row[k] = source[k]


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


@overload(is_converted)
def _is_converted_compiled(x, copy):
    converted = is_converted(x, copy)
    return lambda x, copy: converted


@overload(is_copied)
def _is_copied_compiled(x, copy):
    copied = is_copied(x, copy)
    return lambda x, copy: copied


@overload(flat)
def _flat_compiled(x, copy):
    return (lambda x, copy: x) if flat(x, copy) is x else (lambda x, copy: copy)


@overload(read)
def _read_compiled(x, first, n, n_features, copy, c0, width):
    return _kind(x, copy)


@overload(where)
def _where_compiled(x, first, n_features, copy, c0, width):
    if is_copied(x, copy):
        return lambda x, first, n_features, copy, c0, width: (copy, c0, width)
    return lambda x, first, n_features, copy, c0, width: (x, first * n_features, n_features)
