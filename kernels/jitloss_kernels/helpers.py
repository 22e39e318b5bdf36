"""Helpers: Python threads that share the work of a call. They hold no lock while they work, and no threading layer.

OpenMP ruins NumPy's products in the same process and does not survive a fork, workqueue aborts when two threads launch,
tbb does not survive a fork if it knows other threads; and all of them put their threads to sleep as soon as a call is
over, some eighty microseconds away from the next. A helper stays awake for a moment (``posts.py``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np

from . import posts
from .threads import pool_size

# What wakes a helper up: a function to call and its arguments, or None, when something has been posted or will be.
_Bell = SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None]


class Team:
    """The helpers of a process, and how they are woken up."""

    def __init__(self) -> None:
        self.places = posts.places(pool_size())
        self.address = int(self.places.ctypes.data)
        self._states, self._called = self.places[:, 0], self.places[:, 1]
        self._bells: list[_Bell] = []  # one a helper
        self._hiring = threading.RLock()  # a signal handler may call, too

    @property
    def n_helpers(self) -> int:
        """How many there are."""
        return len(self._bells)

    def hire(self, n_helpers: int) -> None:
        """See to it that there are so many helpers; fewer where there are not so many places, or threads to be had."""
        n_helpers = min(n_helpers, len(self.places))
        if n_helpers <= self.n_helpers:
            return
        compiled = posts.server()  # here: a helper that compiled could hold numba's lock just when we fork
        with self._hiring:
            for number in range(self.n_helpers, n_helpers):
                bell: _Bell = SimpleQueue()
                given = bell, *compiled, self.places[number], number + 1
                try:
                    threading.Thread(target=_help, args=given, name="jitloss", daemon=True).start()
                except RuntimeError:  # no more threads to be had: fewer helpers
                    break
                self._bells.append(bell)

    def wake(self, n_helpers: int) -> None:
        """See to it that so many helpers are awake, or will be, as far as they are not busy."""
        states, left = self._states[: self.n_helpers].tolist(), n_helpers
        for wanted in (posts.AWAKE, posts.ASLEEP):
            for bell, state in zip(self._bells, states, strict=False):
                if left > 0 and state == wanted:
                    left -= 1
                    if bell.empty():  # also for who is awake: it may be about to go to sleep
                        bell.put(None)

    def call(self, n_helpers: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Have so many helpers call a function of Python's, those first that are not busy."""
        states = self._states.tolist()
        for number in sorted(range(self.n_helpers), key=lambda number: states[number] >= posts.BUSY)[:n_helpers]:
            self._bells[number].put((function, arguments))
            self._called[number] = 1  # then: what it finds set, it finds on its bell


def _help(bell: _Bell, serve: Any, mark: Any, place: np.ndarray, member: int) -> None:
    """What a helper does all its life. It keeps its `place` alive."""
    address = int(place.ctypes.data)
    while True:
        place[1] = 0
        call = bell.get()
        if call is not None:
            function, arguments = call
            mark(address, posts.ASLEEP, posts.BUSY)
            function(*arguments)
            mark(address, posts.BUSY, posts.ASLEEP)
            del function, arguments
        del call  # or the caller's arrays stay alive until the next one
        if bell.empty():
            serve(address, member)


def team() -> Team:
    """The helpers of this process."""
    return _team


def _forget() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _team
    _team = Team()


_team = Team()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
