"""Arrays as they may be given: what converts without loss or surprise, and nothing else."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)


def kind(array: np.ndarray) -> np.dtype[Any]:
    """The dtype, but for the byte order."""
    return array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")


def array(name: str, value: Any) -> np.ndarray:
    """`value` as an array, for what converts without loss or surprise: arrays, lists, pandas."""
    of = type(value)
    if of is np.ndarray:
        return cast(np.ndarray, value)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: fill or drop the masked entries first")
    if hasattr(value, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix ({of.__name__}), which is not supported yet: pass {name}.toarray()")
    try:
        return np.asarray(value)
    except Exception as error:  # ragged lists, tensors on a GPU, objects that lie about themselves
        raise TypeError(f"{name} ({of.__module__}.{of.__name__}) cannot be read as an array: {error}") from None


def numbers(name: str, value: Any) -> np.ndarray:
    """An array of float32, float64, an integer type or bool, in either byte order."""
    found = array(name, value)
    dtype = found.dtype
    if dtype not in FLOATS and dtype.kind not in "iub" and kind(found) not in FLOATS:
        raise TypeError(f"{name} has dtype {dtype}: expected float32, float64, an integer type or bool")
    return found


def matrix(name: str, value: Any) -> np.ndarray:
    """A 2-D array of float32, float64, an integer type or bool, in either byte order."""
    if type(value) is np.ndarray and value.ndim == 2 and value.dtype in FLOATS:
        return value  # the same answer, sooner
    found = numbers(name, value)
    if found.ndim != 2:
        raise ValueError(
            f"{name} has shape {found.shape}: expected two dimensions, {'(D, C)' if name == 'W' else '(N, D)'}"
        )
    return found


def vector(name: str, value: Any, length: int, each: str) -> np.ndarray:
    """A 1-D array of numbers, one for `each` of something there are `length` of."""
    found = numbers(name, value)
    if found.shape != (length,):
        raise ValueError(f"{name} has shape {found.shape}: expected ({length},), a number for each {each}")
    return found


def float_dtype(name: str, value: Any) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        found: np.dtype[Any] = np.dtype(value)
    except TypeError:
        found = np.dtype(object)
    if found not in FLOATS:
        raise TypeError(f"{name} is {value!r}: expected float32 or float64")
    return found


def compute_dtype(W: np.ndarray, X: np.ndarray, bias: np.ndarray | None) -> np.dtype[Any]:
    """float32 where W is float32 and X and the bias are float32, integer or bool; else float64."""
    dtype = W.dtype
    if dtype is X.dtype and (bias is None or dtype is bias.dtype) and (dtype is FLOATS[0] or dtype is FLOATS[1]):
        return dtype  # the same answer, sooner
    others = (X,) if bias is None else (X, bias)
    single = kind(W) == FLOATS[0] and all(kind(a) == FLOATS[0] or a.dtype.kind in "iub" for a in others)
    return FLOATS[0 if single else 1]


def labels(value: Any, name: str = "y") -> np.ndarray:
    """A 1-D array of any integer dtype. Floats are refused, not truncated."""
    found = array(name, value)
    if found.ndim != 1:
        raise ValueError(f"{name} has shape {found.shape}: expected one dimension, (N,)")
    if found.dtype.kind not in "iu":
        if found.size == 0 and not isinstance(value, np.ndarray):
            return np.empty(0, np.int64)  # an empty list says nothing of its dtype
        raise TypeError(f"{name} has dtype {found.dtype}: expected integers, the index of each sample's class")
    return found


def labels_of(X: np.ndarray, value: Any, name: str = "y", of: str = "X") -> np.ndarray:
    """Labels, one for each row of X."""
    if type(value) is np.ndarray and value.dtype is _INT64 and value.shape == X.shape[:1]:
        return value  # the same answer, sooner
    found = labels(value, name)
    if len(found) != len(X):
        shapes = f"{name} of shape {found.shape} does not fit {of} of shape {X.shape}"
        raise ValueError(f"{shapes}: {name} needs a label for each row")
    return found


def lies_flat(array: np.ndarray) -> bool:
    """Whether a kernel can read it as it lies."""
    flags = array.flags
    return bool(flags.c_contiguous and flags.aligned)


def largest_bits(array: np.ndarray) -> int:
    """The largest of at least one entry of 64 bits, all read as unsigned whole numbers."""
    bits = array.view(_UINT64)
    return bits.item(bits.argmax())  # half the time of a ufunc's reduction, if there are few


def in_range(y: np.ndarray, n_classes: int, name: str = "y", why: str = "W has as many columns") -> None:
    """Refuse labels outside 0 … C − 1, in their own dtype: a cast first could wrap a bad one into the range."""
    if y.size == 0:
        return
    if y.dtype is _INT64:
        right = largest_bits(y) < n_classes  # a negative label is a huge one
    else:
        right = y.max() < n_classes and (y.dtype.kind == "u" or y.min() >= 0)
    if not right:
        first = int(np.flatnonzero((y < 0) | (y >= n_classes))[0])
        raise ValueError(f"{name}[{first}] is {y[first]}: expected labels from 0 to {n_classes - 1}, for {why}")
