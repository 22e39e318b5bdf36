"""The threading layer, forks, and how the lanes of a kernel are launched.

numba spreads a ``prange`` over one of three layers, and each has a trap:

=========  ============================================================================================
tbb        its pool is shut down for a fork, which fails if another thread than the main one is known to
           it; then a child that launches, or forks, hangs now and then: only the main thread launches,
           and no forked child. numba does not find the library that pip installs: ``load_tbb``
omp        a forked child that launches is killed, its own child hangs: there the lanes run serially
workqueue  two Python threads that launch at once abort the process: ours take turns
=========  ============================================================================================

A kernel gives the same bits however it is launched, so falling back to the serial one changes nothing else.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import site
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config
from numba.np.ufunc import parallel

from .cache import warn_once
from .jit import Kernel

# The oldest interface that numba's tbb layer accepts (oneTBB 2021.6).
_OLDEST_TBB = 12060

_turns = threading.RLock()


def launch(kernel: Kernel, n_lanes: int, n_threads: int | None, arguments: tuple[Any, ...]) -> Any:
    """Run `kernel` over `n_lanes` lanes on at most `n_threads` threads (None: as many as the caller's numba mask)."""
    if n_lanes == 1 or n_threads == 1 or pool_size() == 1 or _pool_is_lost or (not _is_main() and _expects_tbb()):
        return kernel.serial(*arguments)
    layer = start_layer()
    if layer == "none":
        return kernel.serial(*arguments)
    with _mask(n_threads) as granted:
        if granted == 1:
            return kernel.serial(*arguments)
        if layer == "workqueue":
            with _turns:
                return kernel.parallel(*arguments)
        return kernel.parallel(*arguments)


def pool_size() -> int:
    """The most threads a launch can have; fixed when numba is imported."""
    return 1 if config.DISABLE_JIT else int(config.NUMBA_NUM_THREADS)


@cache
def start_layer() -> str:
    """Start numba's pool, on tbb where that is allowed; return the layer's name, "none" where no layer will start."""
    _expects_tbb()  # loads it, where no other layer is named or runs
    try:
        numba.get_num_threads()  # starts the pool
    except ValueError as error:  # the layer that the user named is not to be had
        warn_once(f"numba starts no threads, so lanes run one after the other: {error}")
        return "none"
    return numba.threading_layer()


def _expects_tbb() -> bool:
    """Whether numba's threads run on tbb, or will."""
    layer = running_layer()
    if layer is not None:
        return layer == "tbb"
    return str(config.THREADING_LAYER).lower() not in ("omp", "workqueue") and _has_tbb()


@cache
def _has_tbb() -> bool:
    return load_tbb()


def _is_main() -> bool:
    return threading.get_ident() == threading.main_thread().ident


def running_layer() -> str | None:
    """The layer this process already runs on, if any."""
    if not getattr(parallel, "_is_initialized", True):  # sooner than an exception
        return None
    try:
        return numba.threading_layer()
    except ValueError:  # numba's way to say "not started"
        return None


def load_tbb() -> bool:
    """Load pip's libtbb, which the loader cannot see, so that numba finds it by name; whether a fit one was found."""
    for path in _tbb_candidates():
        try:
            library = ctypes.CDLL(str(path))
            if library.TBB_runtime_interface_version() >= _OLDEST_TBB:
                return True
        except (OSError, AttributeError):
            continue
    return False


def _tbb_candidates() -> Iterator[Path]:
    """Where pip may have put the library: as the package's own record says, then the usual folders."""
    name = {"win32": "tbb12.dll", "darwin": "libtbb.12.dylib"}.get(sys.platform, "libtbb.so.12")
    try:
        files = importlib.metadata.files("tbb") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    yield from (Path(str(file.locate())).resolve() for file in files if file.name == name)
    below = Path("Library/bin") if sys.platform == "win32" else Path("lib")
    for base in (sys.prefix, site.getuserbase()):
        if (path := Path(base) / below / name).exists():
            yield path


@contextmanager
def _mask(n_threads: int | None) -> Iterator[int]:
    """Hold numba's thread mask at `n_threads`, never above the pool, and give the caller's own back."""
    before = numba.get_num_threads()
    if n_threads is None:
        yield before
        return
    granted = min(n_threads, pool_size())
    numba.set_num_threads(granted)
    try:
        yield granted
    finally:
        numba.set_num_threads(before)


def _forked_before_import() -> bool:
    """Whether somebody else's omp pool was lost in a fork before this file could watch: it has no thread left."""
    tasks = Path("/proc/self/task")  # Linux, where GNU OpenMP is what numba runs on
    return running_layer() == "omp" and tasks.is_dir() and len(list(tasks.iterdir())) == 1


def _after_fork_in_child() -> None:
    global _turns, _pool_is_lost
    _turns = threading.RLock()  # the parent's may be held by a thread that does not exist here
    _pool_is_lost = _pool_is_lost or running_layer() in ("omp", "tbb")


_pool_is_lost = _forked_before_import()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
