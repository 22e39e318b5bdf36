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
# Enough work for two lanes; few classes, with a pivot in float64 and without, and many; then tiles of each height: what
# these need is all that any call on such arrays needs.
_WARMUP_SHAPES = ((256, 2048, 7), (256, 2048, 4), (256, 512, 150), *((60, 16, n_classes) for n_classes in range(1, 11)))


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
    from numba.core.registry import cpu_target

    from jitloss_kernels import cache, simd, threads

    layer = "none" if numba.config.DISABLE_JIT else threads.start_layer()
    return {
        "threads": 1 if layer == "none" else numba.get_num_threads(),
        "threading_layer": layer,
        "simd_bits": 8 * simd.target().vector_bytes,
        "cpu": cpu_target.target_context.codegen().magic_tuple()[1],
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
        for shape, n_threads in product(_WARMUP_SHAPES, (1, None)):
            n_rows, n_features, n_classes = shape
            X, W = np.zeros((n_rows, n_features), dtype), np.zeros((n_features, n_classes), dtype)
            for implementation in ("jit", "fused"):
                y = np.zeros(n_rows, np.int64)
                function = LOSSES[loss].function
                function(W, X, y, wrt=("W", "X"), n_threads=n_threads, implementation=implementation)
        seconds[loss, dtype] = time.perf_counter() - start
    return seconds


def _names(argument: str, given: str | Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    """The names given, all of them known ones."""
    names = known if given is None else (given,) if isinstance(given, str) else given
    for name in names:
        if name not in known:
            checks.unknown(argument, name, known)
    return names


def _versions() -> dict[str, str]:
    found = {}
    for name in ("numpy", "numba", "llvmlite", "tbb"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
