"""How a call reaches helpers: within a microsecond if they are awake, where waking a thread up takes a hundred.

A helper that has nothing to do looks for a while whether something is posted at its place, letting other threads run
in between, and then goes to sleep. In a loop of short calls it is awake when the next one comes.

What is posted is the address of a job: the address of a function that takes it and the number of a member, a count of
the helpers that are done with it, and whatever the function needs. It stands on the stack of the thread that calls,
which takes back what nobody has taken up when its own part is done, and waits for those who have: nobody sees a job
that is over.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from . import atomics, pointers
from .jit import Kernel, merged
from .memory import CACHE_LINE, aligned

# What stands at a helper's place. Any other number is the address of a job, + 1 if the helper was asleep.
ASLEEP, AWAKE, BUSY = range(3)
_PLACE_BYTES = CACHE_LINE  # a line each
_CALLED = 8  # bytes from there to what is not 0 when the helper has to come back to Python
# So many looks, half a microsecond each, before a helper goes to sleep: what a loop does between two calls takes less.
_LOOKS = 300


@Kernel
def serve(place, member):
    """Do what is posted at `place`, until nothing has come for a while, or the helper is called for something else.

    `member` is what distinguishes this helper from others, and from 0, who calls.
    """
    looks = 0
    while (looks < _LOOKS and not atomics.look(place + _CALLED)) or not atomics.swap(place, AWAKE, ASLEEP):
        posted = atomics.look(place)
        if posted > BUSY and atomics.swap(place, posted, BUSY):
            job = posted // 8 * 8
            _do(job, member)
            atomics.add(job + 8, 1)
            atomics.swap(place, BUSY, AWAKE)
            looks = 0
            continue
        if posted == ASLEEP:
            atomics.swap(place, ASLEEP, AWAKE)
        looks += 1
        atomics.yield_core()


@Kernel
def mark(place, before, after):
    """Put `after` in the place of `before`, if that is there."""
    atomics.swap(place, before, after)


@Kernel
def share(n_helpers, first, n_places, job):
    """Do a job together with at most `n_helpers`, those that are awake before the others; `first`: the first place."""
    left = n_helpers
    for state in (AWAKE, ASLEEP, AWAKE):  # some wake up meanwhile
        for i in range(n_places):
            if left > 0 and _exchange(first + i * _PLACE_BYTES, state, _posted(job, state)):
                left -= 1
    _do(job, 0)
    taken = n_helpers - left
    for i in range(n_places if taken > 0 else 0):
        for state in (AWAKE, ASLEEP):
            if _exchange(first + i * _PLACE_BYTES, _posted(job, state), state):
                taken -= 1
    looks = 0
    while atomics.look(job + 8) < taken:
        looks += 1
        atomics.pause(looks)


@merged
def _posted(job, state):
    """What stands for a job at the place of a helper that was awake or asleep."""
    return job + (1 if state == ASLEEP else 0)


@merged
def _exchange(place, before, after):
    """Put `after` in the place of `before`; whether that was there. Most often it is not, and looking is cheaper."""
    return atomics.look(place) == before and atomics.swap(place, before, after)


@merged
def _do(job, member):
    """Call a job's function."""
    pointers.call(pointers.load(job, 0, np.int64(0)), (job, member))


def places(n_helpers: int) -> np.ndarray:
    """A place for each helper, a row of its own; all asleep: what stands there, and whether it is called."""
    made = aligned((n_helpers, _PLACE_BYTES // 8), np.dtype(np.int64))
    made[:] = ASLEEP
    return made


@cache
def server() -> tuple[Any, Any]:
    """`serve` and `mark`, for Python to call."""
    return pointers.entry_of(serve, (types.int64,) * 2), pointers.entry_of(mark, (types.int64,) * 3)


@cache
def share_address() -> int:
    """Where `share` is."""
    return pointers.address_of(share, (types.int64,) * 4)
