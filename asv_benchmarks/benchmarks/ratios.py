"""Our time over what it is held against, measured in one process and in turn: lower is better, 1 is a draw.

asv takes a larger number for a worse one, hence ours / NumPy and not the other way round. The yardsticks' own times
stand beside, so that a machine that changed is not taken for a change of ours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from . import calls, problems, yardsticks
from .losses import DTYPES, LOSSES

ROUNDS, SETTLE, TURN = 7, 0.12, 0.03  # a rank test needs seven; OpenBLAS's threads spin for a tenth of a second


def a_turn(call: Callable[[], object]) -> float:
    """The median seconds of calls in a turn, once the other side's threads have gone to sleep."""
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        call()
    seconds, end = [], time.perf_counter() + TURN
    while not seconds or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def numpy_call(loss: str, shape: str, dtype: str) -> Callable[[], object]:
    """The frozen yardstick on a named problem."""
    problem = problems.named(shape, dtype)
    return lambda: yardsticks.numpy_loss(loss, *problem)


class Ratio:
    """The default implementation against the fastest NumPy."""

    unit = "ours / NumPy"
    param_names = ["loss", "shape", "dtype"]
    params = [LOSSES, ["batch", "dev", "tall"], DTYPES]

    def track_ratio(self, loss, shape, dtype):
        ours, numpy = calls.loss(loss, "auto", shape, dtype), numpy_call(loss, shape, dtype)
        return {"samples": [a_turn(ours) / a_turn(numpy) for _ in range(ROUNDS)], "number": 1}


class Roofline:
    """Our time over the limit of this machine: reading X once, or 4·N·D·C flops, whichever takes longer."""

    unit = "ours / limit"
    param_names = ["loss", "dtype"]
    params = [LOSSES, DTYPES]

    def track_roofline(self, loss, dtype):
        ours, (W, X, _) = calls.loss(loss, "auto", "tall", dtype), problems.named("tall", dtype)
        bandwidth, product = yardsticks.bandwidth(calls.N_THREADS), yardsticks.product(dtype, 1500)
        limit = max(X.nbytes / bandwidth, 4 * X.size * W.shape[1] / product)
        return {"samples": [a_turn(ours) / limit for _ in range(ROUNDS)], "number": 1}


@calls.sampled
class Yardstick:
    """The fastest NumPy itself, which no commit of ours can move; softmax."""

    param_names = ["shape", "dtype"]
    params = [["batch", "dev", "tall"], DTYPES]

    def setup(self, shape, dtype):
        self.call = numpy_call("softmax", shape, dtype)

    def time_numpy(self, shape, dtype):
        self.call()


class Machine:
    """What the machine gives: flops of a matrix product, bytes read from memory; as times, for lower is better."""

    unit = "seconds"

    def track_gigaflop(self):
        return 1e9 / yardsticks.product("float64", 1500)

    def track_gigabyte_read(self):
        return 1e9 / yardsticks.bandwidth(calls.N_THREADS)
