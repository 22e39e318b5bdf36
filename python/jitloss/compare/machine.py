"""What the figures were measured on, and the same number of threads for both sides."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

from ..runtime import info


@contextmanager
def blas_threads(n_threads: int) -> Iterator[None]:
    """Hold BLAS at `n_threads`; RuntimeError where it will not be held, for then a comparison means nothing."""
    with threadpool_limits(n_threads, user_api="blas"):
        for pool in _blas():
            if pool["num_threads"] != n_threads:
                raise RuntimeError(f"{pool['internal_api']} runs on {pool['num_threads']} threads, not on {n_threads}")
        yield


def describe(n_threads: int) -> dict[str, Any]:
    """The header of a report."""
    runtime = info()
    blas = ", ".join(f"{pool['internal_api']} {pool['version']}" for pool in _blas())
    layer = runtime["threading_layer"]
    return {
        "cpu": f"{cpu_name()} ({runtime['cpu']}, {runtime['simd_bits']}-bit SIMD)",
        "cores": available_cores(),
        "threads": n_threads,
        "blas": blas or "unknown",
        "launch": "jit: one lane after the other" if layer == "none" or n_threads == 1 else f"jit: prange on {layer}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": runtime["versions"],
    }


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The CPU as its maker calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _blas() -> list[dict[str, Any]]:
    return [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
