"""NumPy's matrix products in turn with ours: ``python asv_benchmarks/turns.py``.

Two libraries with threads of their own can ruin each other: threads that wait by spinning take the cores from whoever
works. Each side is timed alone, then the two call by call in turn, in a process where numba's threads run on tbb and
in one where they do not run. What is printed is the time in turn over the time alone; the promise is at most 2.5 for
the median and 4 for nine calls in ten. Exit status 1 if it is broken.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np

from benchmarks import problems
from jitloss import softmax_loss
from jitloss.compare import machine
from jitloss_kernels import threads

MEDIAN, NINE_IN_TEN = 2.5, 4.0
ALONE, TOGETHER = 1.5, 4.0  # seconds
SETTLE = 0.3


def once(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alone(call) -> np.ndarray:
    """Seconds of calls of one side, once it is compiled and the other's threads have gone to sleep."""
    call()
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        call()
    end, seconds = time.perf_counter() + ALONE, []
    while time.perf_counter() < end:
        seconds.append(once(call))
    return np.array(seconds)


def child(n_threads: int, on_tbb: bool) -> int:
    """Measure in this process; returns how many promises are broken."""
    if on_tbb and (layer := threads.start_layer()) != "tbb":
        print(f"  not measured: numba runs on {layer}")
        return 0
    case = problems.generated(problems.SHAPES["dev"], "float64")
    a, b = np.ones((400, 800)), np.ones((800, 60))
    sides = {
        "ours": lambda: softmax_loss(case.W, case.X, case.y, n_threads=n_threads),
        "NumPy's product": lambda: a @ b,
    }
    broken = 0
    with machine.blas_threads(n_threads):
        before = {name: alone(call) for name, call in sides.items()}
        turns = {name: [] for name in sides}
        end = time.perf_counter() + TOGETHER
        while time.perf_counter() < end:
            for name, call in sides.items():
                turns[name].append(once(call))
    for name, seconds in turns.items():
        median = np.median(seconds) / np.median(before[name])
        tail = np.quantile(seconds, 0.9) / np.quantile(before[name], 0.9)
        kept = median <= MEDIAN and tail <= NINE_IN_TEN
        broken += not kept
        print(
            f"  {name:16} alone {1e3 * np.median(before[name]):6.3f} ms, in turn {1e3 * np.median(seconds):6.3f} ms: "
            f"{median:.2f} times, nine in ten {tail:.2f} times{'' if kept else '  BROKEN'}",
            flush=True,
        )
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=machine.available_cores())
    parser.add_argument("--child", choices=("with", "without"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        return min(child(chosen.threads, chosen.child == "with"), 1)
    status = 0
    for on_tbb in ("with", "without"):
        print(f"{on_tbb} tbb's threads", flush=True)
        command = [sys.executable, __file__, "--child", on_tbb, "--threads", str(chosen.threads)]
        status |= subprocess.run(command, check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
