"""Threads share the tasks of a kernel.

A kernel's work comes in stages, and a stage in tasks that write to different places. Whoever runs the kernel claims the
next task until none is left, and waits until those claimed by others are finished: then the next stage begins. The
thread that calls does its part and never waits for one that has not come: if no helper turns up, because it is busy,
the caller does everything. Which thread did what leaves no trace in the result.

Python sees a Ctrl-C only between two of its own steps, and a kernel is one step. So a long call on the main thread, the
one that signals go to, is left to helpers, while the main thread waits where it can be interrupted; then it marks all
tasks as claimed and finished, and the helpers come back after the block that they are at.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

import numba
from numba import typeof, types

from . import helpers, pointers, posts
from .counts import ALL_DONE
from .jit import Kernel
from .threads import pool_size, running_layer

# A call of so many flops takes a twentieth of a second or more: long enough for somebody to want to interrupt it.
LONG_FLOPS = 1 << 32
_PATIENCE = 0.2  # seconds between two looks, for where waiting itself cannot be interrupted


def run(
    kernel: Kernel, key: Hashable, n_members: int, arguments: tuple[Any, ...], n_flops: int = 0, alive: Any = None
) -> None:
    """Run `kernel` on at most `n_members` threads, this one among them, but for a long call.

    The first of the `arguments` are the counts, and a 0, in whose place each member gets a number of its own. `key`
    stands for the types of them all; whether arrays may be written to does not count. KeyboardInterrupt, or what else a
    signal handler raises, ends a call of `LONG_FLOPS` or more; what it has written is worth nothing then. What is
    `alive` stays so until every helper is done with the call.
    """
    if not pointers.by_address():  # there, an IndexError has to reach the caller
        entry(kernel, key, arguments)(*arguments)
    elif n_flops >= LONG_FLOPS and threading.current_thread() is threading.main_thread():  # the one that is interrupted
        _watch(*_call(kernel, key, arguments), n_members, arguments, alive)
    elif n_members == 1:
        call, address = _call(kernel, key, arguments)
        call(address, arguments)
    else:
        call, share, address = _share(kernel, key, arguments)
        team, n_helpers = helpers.team(), n_members - 1
        n_hired = team.wake(n_helpers)
        call(n_helpers, team.address, n_hired, share, address, arguments)


def _watch(call: Any, address: int, n_members: int, arguments: tuple[Any, ...], alive: Any) -> None:
    """Have helpers do everything, and wait for them; stop them if something is raised meanwhile.

    Who comes back finds everything done, so the first to come is enough. A helper that others keep busy comes late and
    finds nothing to do: what is `alive`, and the arguments, stay so until then.
    """
    counts, numbers, begun, finished, bell = arguments[0], count(), list[None](), list[None](), SimpleQueue[None]()
    raised: BaseException | None = None

    def work(arguments: tuple[Any, ...], alive: Any) -> None:
        begun.append(None)
        try:
            call(address, (arguments[0], next(numbers), *arguments[2:]))
        finally:
            finished.append(None)
            bell.put(None)

    team = helpers.team()
    team.hire(n_members)
    if team.n_helpers == 0:  # no threads to be had
        call(address, arguments)
        return
    try:
        team.call(n_members, work, (arguments, alive))
    except BaseException as error:
        raised = error
    try:
        while True:
            try:
                if raised is not None:
                    counts[:] = ALL_DONE
                while len(finished) < (1 if raised is None else len(begun)):
                    with suppress(Empty):
                        bell.get(timeout=_PATIENCE)
                break
            except BaseException as error:
                raised = error
    finally:
        if not finished:  # raised where it could not be caught
            counts[:] = ALL_DONE
    if raised is not None:
        raise raised


@Kernel
def _together(n_helpers, places, n_places, share, body, arguments):
    """Call the function at `body` on this thread and on helpers."""
    pointers.call_shared(n_helpers, places, n_places, share, body, arguments)


@Kernel
def _alone(body, arguments):
    """Call the function at `body` on this thread."""
    pointers.call(body, arguments)


_shared: dict[tuple[Kernel, Hashable], tuple[Any, int, int]] = {}
_single: dict[tuple[Kernel, Hashable], tuple[Any, int]] = {}
_entries: dict[tuple[Kernel, Hashable], Any] = {}


def _share(kernel: Kernel, key: Hashable, arguments: tuple[Any, ...]) -> tuple[Any, int, int]:
    """What Python calls to run `kernel` together with helpers, and what that has to be told of it."""
    found = _shared.get((kernel, key))
    if found is None:
        call = pointers.entry_of(_together, _type((0, 0, 0, 0, 0, arguments)).types)
        found = call, posts.share_address(), pointers.address_of(kernel, _type(arguments).types)
        _shared[kernel, key] = found
    return found


def _call(kernel: Kernel, key: Hashable, arguments: tuple[Any, ...]) -> tuple[Any, int]:
    """What Python calls to run `kernel` on its own thread, and what that has to be told of it."""
    found = _single.get((kernel, key))
    if found is None:
        call = pointers.entry_of(_alone, _type((0, arguments)).types)
        found = _single[kernel, key] = call, pointers.address_of(kernel, _type(arguments).types)
    return found


def entry(kernel: Kernel, key: Hashable, arguments: tuple[Any, ...]) -> Any:
    """What Python calls to run `kernel` by itself: no team, no address of it."""
    found = _entries.get((kernel, key))
    if found is None:
        found = _entries[kernel, key] = pointers.entry_of(kernel, _type(arguments).types)
    return found


def _type(value: Any) -> Any:
    """The numba type of `value`, every array of it writable: one type, and so one compilation, for all callers."""
    if type(value) is tuple:
        return types.BaseTuple.from_types([_type(item) for item in value])
    found = typeof(value)
    return found.copy(readonly=False) if isinstance(found, types.Array) else found


def size(n_threads: int | None, most: int) -> int:
    """How many threads a call has that `most` find work in: no more than numba's pool, or the caller's numba mask."""
    if most == 1:
        return 1
    pool = pool_size()
    if n_threads is None:
        # Asking for the mask starts a threading layer; before one runs, nobody can have set it.
        n_threads = numba.get_num_threads() if running_layer() else pool
    return min(n_threads, pool, most)
