"""What is timed: calls of the public names, made and compiled once a process, or skipped where a commit lacks them.

asv runs `setup` before every single sample, so that it has to cost nothing the second time: hence the memo.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from . import problems

try:
    from asv_runner.benchmarks.mark import SkipNotImplemented as Skipped
except ImportError:  # the gate does without asv
    Skipped = NotImplementedError

N_THREADS = 2
REG = 1e-3

# How asv takes samples of calls of a millisecond or so: one call each, for setup makes `number` one in any case; more
# than seven, for fewer cannot be told apart by its rank test.
SAMPLING = {"number": 1, "repeat": (7, 200, 0.3), "rounds": 1, "warmup_time": 0.15}


def sampled(benchmarks: type) -> type:
    """Give a class the way its samples are taken."""
    for name, value in SAMPLING.items():
        setattr(benchmarks, name, value)
    return benchmarks


def lacking(error: Exception) -> Exception:
    return Skipped(f"not in this commit: {error}")


def make_loss(
    name: str, implementation: str, shape: str, dtype: str, n_threads: int = N_THREADS, **options: object
) -> Callable[[], object]:
    """A call of ``svm_loss`` or ``softmax_loss`` on a named problem, compiled; Skipped where it cannot be made."""
    import jitloss

    function, problem = getattr(jitloss, f"{name}_loss"), problems.named(shape, dtype)
    if implementation in ("jit", "fused", "auto"):
        options["n_threads"] = n_threads

    def call() -> object:
        return function(*problem, REG, implementation=implementation, **options)

    try:
        call()
    except (TypeError, ValueError) as error:
        raise lacking(error) from error
    return call


loss = lru_cache(maxsize=None)(make_loss)  # called in every setup
