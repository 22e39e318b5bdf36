"""Helpers: Python threads that share the work of a call. They hold no lock while they work, and no threading layer.

OpenMP ruins NumPy's products in the same process and does not survive a fork, workqueue aborts when two threads launch,
tbb does not survive a fork if it knows other threads; and all of them put their threads to sleep as soon as a call is
over, some eighty microseconds away from the next. A helper stays awake for a moment (``posts.py``).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import numpy as np

from . import posts
from .threads import pool_size

# What wakes a helper up: a function to call and its arguments, or None, when something has been posted or will be.
_Bell = SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None]


# So many jobs in a row a helper may miss before somebody looks where it is; twice as many if it is where it should be.
_PATIENCE, _MOST_PATIENCE = 3, 1 << 10
# The field of /proc/…/stat, counted after the name.
_PROCESSOR = 36
_SET_TIMER_SLACK = 29  # of the thread that calls, in nanoseconds: prctl(2)


class Team:
    """The helpers of a process, and how they are woken up."""

    def __init__(self) -> None:
        self.places = posts.places(pool_size())
        self.address = int(self.places.ctypes.data)
        self._states, self._called, self._missed = self.places[:, 0], self.places[:, 1], self.places[:, 2]
        self._seen = self.places[:, :3]
        self._bells: list[_Bell] = []  # one a helper
        self._threads: dict[int, threading.Thread] = {}
        self._patience = [_PATIENCE] * len(self.places)
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
                thread = threading.Thread(target=_help, args=given, name="jitloss", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads to be had: fewer helpers
                    break
                self._threads[number] = thread
                self._bells.append(bell)  # last: from here on there is one more

    def wake(self, n_helpers: int) -> int:
        """See to it that so many helpers are awake, or will be, as far as they are not busy; returns how many exist."""
        if len(self._bells) < n_helpers:
            self.hire(n_helpers)
        n_hired = len(self._bells)
        seen, left = self._seen[:n_hired].tolist(), n_helpers
        for wanted in (posts.AWAKE, posts.ASLEEP):
            for number, (state, _, missed) in enumerate(seen):
                if left > 0 and state == wanted:
                    left -= 1
                    if missed > self._patience[number]:
                        self._part(number)
                    if self._bells[number].empty():  # also for who is awake: it may be about to go to sleep
                        self._bells[number].put(None)
        return n_hired

    def _part(self, number: int) -> None:
        """See to it that a helper that is of no use is not on the core of the thread that calls.

        Some schedulers put two threads on one core, beside an idle one, and leave them there.
        """
        here, there = cpu_of(threading.get_native_id()), cpu_of(self._threads[number].native_id)
        others = cpus() - {here}
        self._missed[number] = 0
        self._patience[number] = min(2 * self._patience[number], _MOST_PATIENCE)
        if here is not None and here == there and others:
            self._patience[number] = _PATIENCE
            with suppress(OSError):  # it is over, or the core is no longer ours
                os.sched_setaffinity(self._threads[number].native_id or 0, others)

    def call(self, n_helpers: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Have so many helpers call a function of Python's, those first that are not busy."""
        states = self._states.tolist()
        for number in sorted(range(self.n_helpers), key=lambda number: states[number] >= posts.BUSY)[:n_helpers]:
            self._bells[number].put((function, arguments))
            self._called[number] = 1  # then: what it finds set, it finds on its bell


def cpu_of(thread: int | None) -> int | None:
    """The number of the core that a thread of this process is on, or was last; None where nobody says."""
    try:
        with open(f"/proc/self/task/{thread}/stat") as stat:
            return int(stat.read().rpartition(")")[2].split()[_PROCESSOR])
    except (OSError, ValueError, IndexError):
        return None


def cpus() -> set[int]:
    """The cores that the process may use, whatever the thread at hand may."""
    return os.sched_getaffinity(os.getpid()) if hasattr(os, "sched_setaffinity") else set()


def _help(bell: _Bell, serve: Any, mark: Any, place: np.ndarray, member: int) -> None:
    """What a helper does all its life. It keeps its `place` alive."""
    address = int(place.ctypes.data)
    _nap_no_longer()
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


def _nap_no_longer() -> None:
    """Have naps of the thread at hand end when they should: Linux is fifty microseconds late unless it is told."""
    with suppress(OSError, AttributeError):
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_SET_TIMER_SLACK, ctypes.c_ulong(1))


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
