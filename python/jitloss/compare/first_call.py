"""What a user waits for: from the start of a process to the first answer, compiling or loading what was compiled."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple


class FirstCall(NamedTuple):
    """Seconds from the start of a process, imports included, to its first answer."""

    cold: float  # nothing on disk
    cached: float | None  # compiled code on disk; None where nothing is compiled to disk


def first_call(
    name: str, loss: str, dtype: str, shape: tuple[int, int, int], n_threads: int, repeats: int
) -> FirstCall:
    """Time the first call of `name` in fresh processes: one with an empty cache folder, `repeats` with a full one."""
    code = f"from jitloss.compare.first_call import child; child{(name, loss, dtype, shape, n_threads)!r}"
    with tempfile.TemporaryDirectory() as folder:
        cold = _process(code, folder)
        warm = [_process(code, folder) for _ in range(repeats)]
    return FirstCall(cold, statistics.median(warm) if warm else None)


def child(name: str, loss: str, dtype: str, shape: tuple[int, int, int], n_threads: int) -> None:
    """In the fresh process: one call, then the time of day, less what it took to make up a problem."""
    from ..data import generated
    from .cases import make
    from .contenders import by_name

    start = time.time()
    case = make(generated(*shape), dtype)
    making = time.time() - start
    by_name(name).prepare(loss, case, n_threads)()
    print(time.time() - making)


def import_cost(repeats: int = 5) -> float:
    """Seconds that ``import jitloss`` takes where NumPy is imported already; median of fresh processes."""
    code = "import numpy, time; t = time.perf_counter(); import jitloss; print(time.perf_counter() - t)"
    return statistics.median(float(_output(code, os.environ.copy())) for _ in range(repeats))


def _process(code: str, cache_folder: str) -> float:
    start = time.time()
    return float(_output(code, os.environ | {"NUMBA_CACHE_DIR": cache_folder})) - start


def _output(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a fresh process failed:\n{done.stderr[-2000:]}")
    return done.stdout.split()[-1]
