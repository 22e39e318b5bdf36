"""Ctrl-C waits while numba compiles or loads code, for a few seconds at most.

LLVM calls back into Python then, and there an exception is lost, and with it what was to be handed over: the process
would crash.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any


def uninterrupted(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, but that a Ctrl-C that comes meanwhile takes effect when it is over; with its results in place."""

    @wraps(function)
    def deferring(*given: Any, **named: Any) -> Any:
        handler, came = signal.getsignal(signal.SIGINT), list[tuple[Any, ...]]()
        if not callable(handler) or threading.current_thread() is not threading.main_thread():
            return function(*given, **named)
        try:
            signal.signal(signal.SIGINT, lambda *what: came.append(what))
        except ValueError:  # the main thread of an interpreter that is not the main one: no signals come here
            return function(*given, **named)
        try:
            return function(*given, **named)
        finally:
            signal.signal(signal.SIGINT, handler)
            if came:
                handler(*came[0])

    return deferring
