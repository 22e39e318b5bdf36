"""Numbers and names as they may be given, and how a wrong one is refused."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np


def factor(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    number = value if type(value) is float else _number(name, value)
    if not 0.0 <= number < math.inf:  # NaN fails both
        raise ValueError(f"{name} is {number}: expected a finite number of at least 0")
    return number


def decay(reg: Any, reg_scale: Any) -> float:
    """The factor on the sum of the squared weights."""
    product = factor("reg_scale", reg_scale) * factor("reg", reg)
    return product if product < math.inf else factor("reg_scale * reg", product)


def _number(name: str, value: Any) -> float:
    scalar = value.item() if isinstance(value, (np.ndarray, np.generic)) and np.ndim(value) == 0 else value
    if isinstance(scalar, bool) or not isinstance(scalar, (int, float)):
        raise TypeError(f"{name} is {value!r}: expected a number")
    try:
        return float(scalar)
    except OverflowError:  # an int beyond every float
        return math.inf


def index(name: str, value: Any, expected: str = "a whole number") -> int:
    """A whole number; bool is none."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}: expected {expected}") from None


def at_least(least: int, name: str, value: Any) -> int:
    """A whole number from `least` on."""
    count = index(name, value, f"a whole number of at least {least}")
    if count < least:
        raise ValueError(f"{name} is {count}: expected at least {least}")
    return count


def threads(value: Any) -> int | None:
    """A whole number of at least 1, or None."""
    if value is None:
        return None
    return at_least(1, "n_threads", value)


def one_of(argument: str, value: Any, expected: Sequence[str]) -> str:
    """A name out of `expected`."""
    if not isinstance(value, str) or value not in expected:
        unknown(argument, value, expected)
    return value


def unknown(argument: str, value: Any, expected: Sequence[str]) -> NoReturn:
    """Refuse a name that is not one of `expected`."""
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{argument} is {value!r}: expected one of {', '.join(map(repr, expected))}")


def lacking(option: str, implementation: str, able: Sequence[str]) -> NoReturn:
    """Refuse an option that the chosen implementation does not have."""
    names = ", ".join(map(repr, able))
    raise ValueError(f"implementation {implementation!r} does not support {option}; these do: {names}")
