"""How a call reaches helpers: within a microsecond if they are awake, where waking a thread up takes a hundred.

A helper that has nothing to do looks for a while whether something is posted at its place, and then goes to sleep. In
a loop of short calls it is awake when the next one comes.

What is posted is the address of a job: the address of a function that takes it and the number of a member, a count of
the helpers that are done with it, the core of the thread that calls, and whatever the function needs. It stands on the
stack of that thread, which takes back what nobody has taken up when its own part is done, and waits for those who have:
nobody sees a job that is over.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from . import atomics, pointers
from .jit import Kernel
from .memory import CACHE_LINE, aligned

# What stands at a helper's place. Any other number is the address of a job, + 1 if the helper was asleep.
ASLEEP, AWAKE, BUSY = range(3)
# Of a job, after the address of its function: bytes to how many helpers are done with it, and to the caller's core.
_DONE, _CALLER = 8, 16
_PLACE_BYTES = CACHE_LINE  # a line each
_CALLED = 8  # bytes from there to what is not 0 when the helper has to come back to Python,
_MISSED = 16  # and to how many jobs in a row it has not taken up, or done on the core of the thread that called
# So many looks before a helper goes to sleep, two milliseconds. The first, for a good hundred microseconds, come close
# together, for in a loop of short calls the next one comes soon: Python takes some fifty where a call has pushed it out
# of the caches. Then the helper sleeps in between, and leaves the core to those who may need it, perhaps the caller.
_SPINS = 800
_LOOKS = _SPINS + 80


@Kernel
def serve(place, member):
    """Do what is posted at `place`, until nothing has come for a while, or the helper is called for something else.

    `member` is what distinguishes this helper from others, and from 0, who calls.
    """
    looks = 0
    while True:
        posted = atomics.look(place)
        if posted == ASLEEP:
            atomics.swap(place, ASLEEP, AWAKE)
        elif posted > BUSY and atomics.swap(place, posted, BUSY):
            job = posted // 8 * 8
            missed = atomics.look(place + _MISSED)
            pointers.call(atomics.look(job), (job, member))
            if atomics.look(job + _CALLER) == atomics.core():  # beside it, not at its side
                atomics.add(place + _MISSED, 1)
            elif missed > 0:
                atomics.swap(place + _MISSED, missed, 0)
            atomics.swap(place, BUSY, AWAKE)  # first: the caller's next job may come as soon as this one is done
            atomics.add(job + _DONE, 1)
            looks = 0
        elif (looks >= _LOOKS or atomics.look(place + _CALLED) != 0) and atomics.swap(place, AWAKE, ASLEEP):
            return
        else:
            looks += 1
            atomics.pause(looks + atomics.SPINS - _SPINS)


@Kernel
def mark(place, before, after):
    """Put `after` in the place of `before`, if that is there."""
    atomics.swap(place, before, after)


@Kernel
def share(n_helpers, first, n_places, job):
    """Do a job together with at most `n_helpers`, those that are awake before the others; `first`: the first place."""
    left = n_helpers
    pointers.store(job + _CALLER, 0, atomics.core())
    for state in (AWAKE, ASLEEP, AWAKE):  # some wake up meanwhile
        for i in range(n_places):
            if left > 0 and atomics.swap(first + i * _PLACE_BYTES, state, job + AWAKE - state):
                left -= 1
    pointers.call(atomics.look(job), (job, 0))
    taken = n_helpers - left
    if taken > 0:
        for i in range(n_places):
            place = first + i * _PLACE_BYTES
            for state in (AWAKE, ASLEEP):
                if atomics.swap(place, job + AWAKE - state, state):
                    taken -= 1
                    atomics.add(place + _MISSED, 1)
    looks = 0
    while atomics.look(job + _DONE) < taken:
        looks += 1
        atomics.pause(looks)


def places(n_helpers: int) -> np.ndarray:
    """A place for each helper, a row of its own; all asleep: what stands there, if it is called, what it has missed."""
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
