"""Python's garbage collector pauses while numba compiles: for a twelfth of the time it would look at what is in use.

A compiler makes a million objects and lets few of them go. What it leaves behind is collected afterwards.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from functools import wraps
from typing import Any

_n_paused = 0  # threads that have switched it off


def uncollected(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, without a collection meanwhile; where nobody collects anyhow, that stays so."""

    @wraps(function)
    def pausing(*given: Any, **named: Any) -> Any:
        global _n_paused
        if not gc.isenabled():
            return function(*given, **named)
        _n_paused += 1
        gc.disable()
        try:
            return function(*given, **named)
        finally:
            gc.enable()
            _n_paused -= 1

    return pausing


def _resume() -> None:
    """A forked child does not have the thread that would switch it on again."""
    global _n_paused
    if _n_paused:
        gc.enable()
    _n_paused = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_resume)
