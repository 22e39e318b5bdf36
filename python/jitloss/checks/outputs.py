"""Which gradients are wanted, and the arrays they go to."""

from __future__ import annotations

from typing import Any

import numpy as np

WRT = ("W", "b", "X")


def gradient_shape(name: str, W: np.ndarray, X: np.ndarray) -> tuple[int, ...]:
    """The shape of the gradient with respect to `name`."""
    return W.shape if name == "W" else X.shape if name == "X" else W.shape[1:]


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
) -> tuple[np.ndarray, ...]:
    """`out` as one array for each gradient, each fit to be written to."""
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
