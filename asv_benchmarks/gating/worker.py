"""One process of one side: measures what it is asked to and says what it really imported; JSON in, JSON out.

Run by ``turns``; the side is on PYTHONPATH, the suite is the one beside this file, whatever the side.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

SUITE = Path(__file__).parents[1]
VISITS = 4  # to each benchmark in a process, so that a burst of noise hits one of them at most
WARM, SPIN = 0.004, 0.15  # seconds of calls that do not count; how long BLAS's threads spin after a call
LEAST_CALLS, QUANTILE = 2, 0.1  # a visit; of all calls the low ones count: noise only ever adds time


def timed(names: list[str], seconds: float) -> dict[str, float]:
    """The low quantile of each benchmark's calls; what this side lacks is left out."""
    calls = prepared(names)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(VISITS):
        blas_awake = False
        for name, call in calls.items():  # what wakes BLAS comes last
            if uses_blas(name) and not blas_awake:
                settle(call, SPIN)
                blas_awake = True
            taken[name] += visit(call, seconds / VISITS)
        if blas_awake:
            time.sleep(SPIN)
    return {name: sorted(found)[int(QUANTILE * len(found))] for name, found in taken.items()}


def prepared(names: list[str]) -> dict[str, Callable[[], object]]:
    """A call for each name that this side has, compiled."""
    import jitloss  # noqa: F401 – so that the side is verified also where only controls are asked for
    from gating import plan

    found: dict[str, Callable[[], object]] = {}
    for name in names:
        if name == plan.READ:
            found[name] = reading()
            continue
        cls, method, params = plan.timed_by_name()[name]
        benchmark = cls()
        try:
            benchmark.setup(*params)
        except NotImplementedError:
            continue
        found[name] = partial(getattr(benchmark, method), *params)
    return found


def visit(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each counted call."""
    settle(call, WARM)
    gc.collect(0)
    gc.disable()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < LEAST_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    gc.enable()
    return taken


def settle(call: Callable[[], object], seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()


def first_call() -> dict[str, float]:
    """``import jitloss`` over NumPy, and the first call with numba's import; how many functions were compiled."""
    import numpy as np

    W, X, y = np.ones((64, 10)), np.ones((32, 64)), np.arange(32) % 10
    start = time.perf_counter()
    import jitloss

    imported = time.perf_counter()
    jitloss.softmax_loss(W, X, y)
    return {"import": imported - start, "first call": time.perf_counter() - start}


def once() -> dict[str, float]:
    """Figures that do not vary: scratch, errors."""
    from benchmarks import accuracy, losses, memory

    found = {}
    for dtype in losses.DTYPES:
        found[f"memory.Extra.track_extra(softmax, {dtype})"] = memory.extra_bytes("softmax", dtype)
        for loss in losses.LOSSES:
            for implementation in ("numpy", "jit", "fused"):
                name = f"accuracy.Error.track_error({loss}, {implementation}, {dtype})"
                try:
                    found[name] = accuracy.largest_error(loss, implementation, dtype)
                except ValueError:
                    continue
    return found


def imported() -> dict[str, str]:
    """Path and git's hash of the contents of each module of the package that this process has loaded."""
    files = (
        getattr(module, "__file__", None)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in ("jitloss", "jitloss_kernels")
    )
    return {path: git_hash(Path(path)) for path in files if path}


def git_hash(path: Path) -> str:
    """What git calls the contents of a file."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def reading() -> Callable[[], object]:
    """A control: NumPy reads what does not fit into any cache."""
    from benchmarks import problems

    X = problems.named("tall", "float64").X
    return X.sum


def uses_blas(name: str) -> bool:
    return "numpy" in name


def main() -> None:
    asked = json.loads(sys.argv[1])
    if asked["do"] == "first":
        figures = first_call()
    else:
        sys.path.insert(0, str(SUITE))
        figures = once() if asked["do"] == "once" else timed(asked["names"], asked["seconds"])
    sys.stdout.flush()
    print("\n" + json.dumps({"figures": figures, "imported": imported(), "process": os.getpid()}))


if __name__ == "__main__":
    main()
