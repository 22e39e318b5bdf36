"""A team of threads that share the tasks of a kernel.

A kernel's work comes in stages, and a stage in tasks that write to different places. Whoever runs the kernel claims the
next task until none is left, and waits until those claimed by others are finished: then the next stage begins. The
thread that calls does its part and never waits for one that has not come: if no helper turns up, because it is busy, or
was lost in a fork, the caller does everything. Which thread did what leaves no trace in the result.

Where numba runs on tbb, and for the main thread, tbb's threads are the team: two microseconds away. Elsewhere (OpenMP
ruins NumPy's products in the same process and does not survive a fork, workqueue aborts when two threads launch, tbb
does not survive a fork if it knows other threads) the team are helpers: Python threads that sleep until they are
called, some fifty microseconds away, and hold no lock while they work. They need no threading layer at all.

Python sees a Ctrl-C only between two of its own steps, and a kernel is one step. So a long call on the main thread, the
one that signals go to, is left to helpers, while the main thread waits where it can be interrupted; then it marks all
tasks as claimed and finished, and the helpers come back after the block that they are at.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any

import numba
from numba import prange, typeof, types
from numba.core import config

from . import pointers
from .counts import ALL_DONE
from .jit import Kernel
from .threads import on_tbb, pool_size, running_layer

# A call of so many flops takes a twentieth of a second or more: long enough for somebody to want to interrupt it.
LONG_FLOPS = 1 << 32
_PATIENCE = 0.2  # seconds between two looks, for where waiting itself cannot be interrupted

# A function, its arguments, and what has to live until it is done: kernels have addresses of arrays.
_Call = tuple[Any, tuple[Any, ...], Any]
_calls: SimpleQueue[_Call] = SimpleQueue()
_n_helpers = 0
_hiring = threading.Lock()


def run(
    kernel: Kernel, key: Hashable, n_members: int, arguments: tuple[Any, ...], n_flops: int = 0, alive: Any = None
) -> None:
    """Run `kernel` on at most `n_members` threads, this one among them, but for a long call.

    `key` stands for the types of the arguments; whether arrays may be written to does not count. KeyboardInterrupt, or
    what else a signal handler raises, ends a call of `LONG_FLOPS` or more; what it has written is worth nothing then.
    A helper may work on when this thread has been interrupted: what is `alive` stays so until it is done.
    """
    if n_flops >= LONG_FLOPS and _can_be_interrupted():
        _watch(_entry(kernel, key, arguments), n_members, arguments, alive)
    elif n_members == 1 or config.BOUNDSCHECK:  # there, an IndexError has to reach the caller
        _entry(kernel, key, arguments)(*arguments)
    elif on_tbb():
        call = _entry(_together, (kernel, key), (0, 0, 0, arguments))
        call(n_members, _spread_address(), _address(kernel, key, arguments), arguments)
    else:
        # Compiled here and now: a helper that compiled could hold numba's lock just when this process forks.
        entry = _entry(kernel, key, arguments)
        _hire(n_members - 1)
        try:
            for _ in range(n_members - 1):
                _calls.put((entry, arguments, alive))
            entry(*arguments)
        except BaseException:  # interrupted before it began: helpers must not go on writing to what is the caller's
            arguments[0][:] = ALL_DONE
            raise


def _can_be_interrupted() -> bool:
    """Whether signals come to this thread, and a kernel would keep it from seeing them."""
    return threading.current_thread() is threading.main_thread() and not (config.DISABLE_JIT or config.BOUNDSCHECK)


def _watch(entry: Any, n_members: int, arguments: tuple[Any, ...], alive: Any) -> None:
    """Have helpers do everything, and wait for them; stop them if something is raised meanwhile."""
    counts, ended, raised = arguments[0], SimpleQueue[None](), None

    def work(*arguments: Any) -> None:
        try:
            entry(*arguments)
        finally:
            ended.put(None)

    _hire(n_members)
    try:
        for _ in range(n_members):
            _calls.put((work, arguments, alive))
    except BaseException:
        counts[:] = ALL_DONE
        raise
    left = n_members
    while left:
        try:
            ended.get(timeout=_PATIENCE)
            left -= 1
        except Empty:
            continue
        except BaseException as error:
            counts[:] = ALL_DONE
            raised = error
    if raised is not None:
        raise raised


@Kernel
def _together(n_members, spread, body, arguments):
    """Call the function at `body` on as many threads, through tbb."""
    pointers.call_on_threads(n_members, spread, body, arguments)


@Kernel
def _spread(n_members, function, record):
    """Call `function` once for each member, in parallel if there are threads to be had."""
    for _ in prange(n_members):
        pointers.call(function, (record,))


@cache
def _spread_address() -> int:
    return pointers.address_of(_spread, (types.int64,) * 3, of_parallel=True)


_addresses: dict[tuple[Kernel, Hashable], int] = {}
_entries: dict[tuple[Kernel, Hashable], Any] = {}


def _address(kernel: Kernel, key: Hashable, arguments: tuple[Any, ...]) -> int:
    """Where `kernel` is, compiled for arguments like these."""
    found = _addresses.get((kernel, key))
    if found is None:
        found = _addresses[kernel, key] = pointers.address_of(kernel, _type(arguments).types)
    return found


def _entry(kernel: Kernel, key: Hashable, arguments: tuple[Any, ...]) -> Any:
    """What Python calls to run `kernel`, compiled for arguments like these."""
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


def size(n_threads: int | None) -> int:
    """How many threads a call may have: never more than numba's pool, and no more than the caller's numba mask."""
    if n_threads is None:
        # Asking for the mask starts a threading layer; before one runs, nobody can have set it.
        return numba.get_num_threads() if running_layer() else pool_size()
    return min(n_threads, pool_size())


def _hire(n_helpers: int) -> None:
    """See to it that there are so many helpers."""
    global _n_helpers
    if n_helpers > _n_helpers:
        with _hiring:
            for _ in range(_n_helpers, n_helpers):
                threading.Thread(target=_help, args=(_calls,), name="jitloss", daemon=True).start()
                _n_helpers += 1


def _help(calls: SimpleQueue[_Call]) -> None:
    while True:
        function, arguments, alive = calls.get()
        function(*arguments)
        del function, arguments, alive  # or the caller's arrays stay alive until the next call


def _forget_helpers() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _calls, _n_helpers, _hiring
    _calls, _n_helpers, _hiring = SimpleQueue(), 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)
