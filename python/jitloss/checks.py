"""Every argument is checked here, before any kernel runs and before anything is written.

numba checks no bounds, so a label that slips through is memory corruption. Every error names the argument, says
what was wrong and what was expected.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np

WRT = ("W", "b", "X")
_INT64 = np.dtype(np.int64)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Problem(NamedTuple):
    """The arguments of a loss function, checked: what every implementation is handed."""

    W: np.ndarray  # (D, C), float32, float64, integer or bool, as the caller holds it
    X: np.ndarray  # (N, D), likewise
    y: np.ndarray  # (N,), integer, 0 … C − 1, a copy of our own
    bias: np.ndarray | None  # (C,)
    dtype: np.dtype[Any]  # the compute dtype, float32 or float64
    decay: float  # reg_scale * reg
    wrt: tuple[str, ...]
    out: tuple[np.ndarray | None, ...]  # one for each of wrt; None: make a new array
    n_threads: int | None


def gradient_shape(name: str, W: np.ndarray, X: np.ndarray) -> tuple[int, ...]:
    """The shape of the gradient with respect to `name`."""
    return W.shape if name == "W" else X.shape if name == "X" else W.shape[1:]


def problem(W: Any, X: Any, y: Any, reg: Any, bias: Any, reg_scale: Any, wrt: Any, out: Any, n_threads: Any) -> Problem:
    """Check the arguments of a linear loss; see `jitloss.svm_loss` for what each may be."""
    W, X, given = matrix("W", W), matrix("X", X), labels(y)
    if W.shape[0] != X.shape[1]:
        raise ValueError(f"W of shape {W.shape} does not fit X of shape {X.shape}: W needs a row for each column of X")
    if len(given) != len(X):
        raise ValueError(f"y of shape {given.shape} does not fit X of shape {X.shape}: y needs a label for each row")
    if W.size == 0:
        raise ValueError(f"W of shape {W.shape} is empty: at least one feature and one class are needed")
    y = np.array(given)  # our own: what is checked here cannot be changed by another thread before it is used
    in_range(y, W.shape[1])
    if bias is not None:
        bias = offsets(bias, W)
    single = kind(W) == _FLOATS[0] and (kind(X) == _FLOATS[0] or X.dtype.kind in "iub")
    single = single and (bias is None or kind(bias) == _FLOATS[0] or bias.dtype.kind in "iub")
    dtype, names = _FLOATS[0 if single else 1], gradient_names(wrt, bias is not None)
    decay = factor("reg_scale * reg", factor("reg_scale", reg_scale) * factor("reg", reg))
    inputs = {"W": W, "X": X, "y": given} | ({} if bias is None else {"bias": bias})
    return Problem(W, X, y, bias, dtype, decay, names, outputs(out, names, inputs, dtype), threads(n_threads))


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


def matrix(name: str, value: Any) -> np.ndarray:
    """A 2-D array of float32, float64, an integer type or bool, in either byte order."""
    found = array(name, value)
    if kind(found) not in _FLOATS and found.dtype.kind not in "iub":
        raise TypeError(f"{name} has dtype {found.dtype}: expected float32, float64, an integer type or bool")
    if found.ndim != 2:
        raise ValueError(
            f"{name} has shape {found.shape}: expected two dimensions, {'(D, C)' if name == 'W' else '(N, D)'}"
        )
    return found


def offsets(value: Any, W: np.ndarray) -> np.ndarray:
    """The bias: a 1-D array with a number for each class."""
    found = array("bias", value)
    if kind(found) not in _FLOATS and found.dtype.kind not in "iub":
        raise TypeError(f"bias has dtype {found.dtype}: expected float32, float64, an integer type or bool")
    if found.shape != W.shape[1:]:
        raise ValueError(f"bias of shape {found.shape} does not fit W of shape {W.shape}: expected {W.shape[1:]}")
    return found


def labels(value: Any) -> np.ndarray:
    """A 1-D array of any integer dtype. Floats are refused, not truncated."""
    found = array("y", value)
    if found.ndim != 1:
        raise ValueError(f"y has shape {found.shape}: expected one dimension, (N,)")
    if found.dtype.kind not in "iu":
        if found.size == 0 and not isinstance(value, np.ndarray):
            return np.empty(0, np.int64)  # an empty list says nothing of its dtype
        raise TypeError(f"y has dtype {found.dtype}: expected integers, the index of each sample's class")
    return found


def in_range(y: np.ndarray, n_classes: int) -> None:
    """Refuse labels outside 0 … C − 1, in their own dtype: a cast first could wrap a bad one into the range."""
    if y.size == 0:
        return
    if y.dtype == _INT64:  # read as unsigned, a negative label is a huge one
        right = np.maximum.reduce(y.view(np.uint64)) < n_classes
    else:
        right = y.max() < n_classes and (y.dtype.kind == "u" or y.min() >= 0)
    if not right:
        first = int(np.flatnonzero((y < 0) | (y >= n_classes))[0])
        raise ValueError(
            f"y[{first}] is {y[first]}: expected labels from 0 to {n_classes - 1}, for W has {n_classes} columns"
        )


def factor(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    number = _number(name, value)
    if not 0.0 <= number < math.inf:  # NaN fails both
        raise ValueError(f"{name} is {number}: expected a finite number of at least 0")
    return number


def _number(name: str, value: Any) -> float:
    if type(value) is float:
        return value
    scalar = value.item() if isinstance(value, (np.ndarray, np.generic)) and np.ndim(value) == 0 else value
    if isinstance(scalar, bool) or not isinstance(scalar, (int, float)):
        raise TypeError(f"{name} is {value!r}: expected a number")
    try:
        return float(scalar)
    except OverflowError:  # an int beyond every float
        return math.inf


def threads(value: Any) -> int | None:
    """A whole number of at least 1, or None."""
    if value is None:
        return None
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"n_threads is {value!r}: expected a whole number of at least 1, or None") from None
    if count < 1:
        raise ValueError(f"n_threads is {count}: expected at least 1, or None for as many as numba may use")
    return count


def gradient_names(wrt: Any, biased: bool) -> tuple[str, ...]:
    """`wrt` as a tuple of names without repetition."""
    if wrt is None:
        return ("W", "b") if biased else ("W",)
    if isinstance(wrt, str):
        wrt = (wrt,)
    if not isinstance(wrt, (tuple, list)) or not all(isinstance(name, str) for name in wrt):
        raise TypeError(f"wrt is {wrt!r}: expected None, a name or a tuple of names out of {WRT}")
    for position, name in enumerate(wrt):
        if name not in WRT:
            raise ValueError(f"wrt names {name!r}: expected names out of {WRT}")
        if name in wrt[:position]:
            raise ValueError(f"wrt names {name!r} twice")
    if "b" in wrt and not biased:
        raise ValueError("wrt names 'b', but there is no bias: pass bias=")
    return tuple(wrt)


def outputs(
    out: Any, wrt: tuple[str, ...], inputs: dict[str, np.ndarray], dtype: np.dtype[Any]
) -> tuple[np.ndarray | None, ...]:
    """`out` as one array (or None) for each gradient, each fit to be written to."""
    if out is None:
        return (None,) * len(wrt)
    given = (out,) if isinstance(out, np.ndarray) else out
    plain = isinstance(given, (tuple, list)) and all(isinstance(item, np.ndarray) for item in given)
    if not plain or any(isinstance(item, np.ma.MaskedArray) for item in given):
        raise TypeError("out: expected an array without mask, or a tuple with one for each gradient")
    if len(given) != len(wrt):
        raise ValueError(f"out holds {len(given)} arrays: expected {len(wrt)}, one for each of wrt={wrt}")
    taken = list(inputs.items())
    for name, array in zip(wrt, given, strict=True):
        shape = gradient_shape(name, inputs["W"], inputs["X"])
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(
                f"out for d{name} is {array.dtype} of shape {array.shape}: expected {dtype} of shape {shape}"
            )
        if not array.flags.writeable:
            raise ValueError(f"out for d{name} is read-only")
        if folded(array):
            raise ValueError(f"out for d{name} overlaps itself: several of its entries are one place in memory")
        for other, memory in taken:
            if overlap(array, memory):
                raise ValueError(f"out for d{name} overlaps {other}: it would be overwritten while it is read")
        taken.append((f"out for d{name}", array))
    return tuple(given)


def folded(array: np.ndarray) -> bool:
    """Whether entries of a 2-D array may share memory: an axis steps by less than what the other one spans."""
    axes = sorted((abs(step), n) for step, n in zip(array.strides, array.shape, strict=True) if n > 1)
    reach = array.itemsize
    for step, n in axes:
        if step < reach:
            return True
        reach = step * (n - 1) + reach
    return False


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays share memory; when that is too hard to tell, they do."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))  # type: ignore[arg-type]  # NumPy's stub knows 0 and -1 alone
    except np.exceptions.TooHardError:
        return True


def unknown(argument: str, value: Any, expected: Sequence[str]) -> NoReturn:
    """Refuse a name that is not one of `expected`."""
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{argument} is {value!r}: expected one of {', '.join(map(repr, expected))}")


def lacking(option: str, implementation: str, able: Sequence[str]) -> NoReturn:
    """Refuse an option that the chosen implementation does not have."""
    names = ", ".join(map(repr, able))
    raise ValueError(f"implementation {implementation!r} does not support {option}; these do: {names}")
