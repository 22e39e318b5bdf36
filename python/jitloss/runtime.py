"""info() and warmup(): what this installation runs on, and compiling ahead of time."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from typing import Any

import numpy as np

from . import __version__, checks
from .losses import LOSSES

_DTYPES = ("float32", "float64")


def info() -> dict[str, Any]:
    """What jitloss runs on: threads, threading layer, SIMD width, cache folder, versions.

    Starts numba's thread pool, so that the layer is the one in use and not a guess.

    Returns
    -------
    dict
        ``threads`` (int, as many as a call uses by default), ``threading_layer`` ("tbb", "omp", "workqueue", or
        "none" where the JIT is disabled), ``simd_bits`` (int), ``cpu`` (LLVM's name for it), ``cache_folder``
        (str, or None where compiled code cannot be saved) and ``versions`` (dict of str).

    Examples
    --------
    >>> from jitloss import info
    >>> info()["threads"] >= 1
    True
    """
    import numba

    from jitloss_kernels import cache, threads

    cpu, simd_bits = _target()
    layer = "none" if numba.config.DISABLE_JIT else threads.start_layer()
    return {
        "threads": 1 if layer == "none" else numba.get_num_threads(),
        "threading_layer": layer,
        "simd_bits": simd_bits,
        "cpu": cpu,
        "cache_folder": None if (folder := cache.folder()) is None else str(folder),
        "versions": {"jitloss": __version__, "python": platform.python_version(), **_versions()},
    }


def warmup(
    losses: str | Sequence[str] | None = None, dtypes: str | Sequence[str] | None = None
) -> dict[tuple[str, str], float]:
    """Compile ahead, or load from the disk cache, all that the given losses need, serial and parallel.

    Parameters
    ----------
    losses : any of "svm", "softmax"; default: all
    dtypes : any of "float32", "float64"; default: both

    Returns
    -------
    dict
        Seconds that each (loss, dtype) took.

    Raises
    ------
    ValueError
        For an unknown loss or dtype.

    Examples
    --------
    >>> from jitloss import warmup
    >>> list(warmup("softmax", "float32"))
    [('softmax', 'float32')]
    """
    seconds = {}
    for loss, dtype in product(_names("losses", losses, tuple(LOSSES)), _names("dtypes", dtypes, _DTYPES)):
        start = time.perf_counter()
        W = np.zeros((512, 64), dtype)
        X = np.zeros((128, 512), dtype)  # enough work for two lanes
        for rows, n_threads in ((1, 1), (128, None)):  # serial, then parallel where there is more than one thread
            y = np.zeros(rows, np.int64)
            LOSSES[loss].function(W, X[:rows], y, wrt=("W", "X"), n_threads=n_threads, implementation="jit")
        seconds[loss, dtype] = time.perf_counter() - start
    return seconds


def _names(argument: str, given: str | Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    """The names given, all of them known ones."""
    names = known if given is None else (given,) if isinstance(given, str) else given
    for name in names:
        if name not in known:
            checks.unknown(argument, name, known)
    return names


def _target() -> tuple[str, int]:
    """LLVM's name for the CPU that numba compiles for, and the width of its vectors in bits."""
    from numba.core.registry import cpu_target

    _, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    for flag, bits in (("+avx512f", 512), ("+avx,", 256), ("+avx2", 256)):
        if flag in features + ",":
            return cpu, bits
    return cpu, 128


def _versions() -> dict[str, str]:
    found = {}
    for name in ("numpy", "numba", "llvmlite", "tbb"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
