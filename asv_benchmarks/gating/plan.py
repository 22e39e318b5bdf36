"""What the gate measures: benchmarks of the suite by the names asv gives them, and how much worse each may get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from benchmarks import losses, ratios, training

CALLS, FIRST, COLD, ONCE = "calls", "first", "cold", "once"


@dataclass(frozen=True)
class Benchmark:
    """A figure of a process, lower is better.

    `kind` says in which process it is taken: CALLS, with all that is timed call by call; FIRST, a fresh process; COLD,
    one with nothing compiled on disk; ONCE, figures that do not vary from process to process. It is worse where it
    grows by more than the share `floor`, and by more than `least` of its unit.
    """

    name: str
    kind: str
    floor: float = 0.05
    least: float = 0.0
    unit: str = "s"


READ = "read(tall, float64)"
# Nothing of ours: where these two differ between sides, or scatter, the machine was too noisy for a verdict.
CONTROLS = (
    Benchmark("ratios.Yardstick.time_numpy(dev, float64)", CALLS),
    Benchmark(READ, CALLS),
)

_PROCESSES = (
    Benchmark("startup.Import.timeraw_import", FIRST, floor=0.25, least=1e-3),
    Benchmark("startup.FirstCallCached.timeraw_first_call", FIRST, floor=0.08, least=0.02),
    Benchmark("startup.FirstCallCold.timeraw_first_call", COLD, floor=0.08, least=0.2),
    Benchmark("startup.Compiled.track_compiled", COLD, floor=0.0, least=0.5, unit="functions"),
)
_MEMORY = tuple(
    Benchmark(f"memory.Extra.track_extra(softmax, {dtype})", ONCE, floor=0.25, least=1 << 20, unit="bytes")
    for dtype in losses.DTYPES
)
# Another order of adding up moves an error by a third; what loses digits moves it by far more than half.
_ERRORS = tuple(
    Benchmark(f"accuracy.Error.track_error({loss}, {implementation}, {dtype})", ONCE, floor=0.5, unit="relative")
    for loss, implementation, dtype in product(losses.LOSSES, ("numpy", "jit", "fused"), losses.DTYPES)
)


def everything(pattern: str = "") -> list[Benchmark]:
    """All benchmarks whose name contains the regular expression; controls are not among them."""
    timed = (Benchmark(label(cls, method, params), CALLS, floor=floor) for cls, method, params, floor in _timed())
    controls = {control.name for control in CONTROLS}
    found = (*timed, *_PROCESSES, *_MEMORY, *_ERRORS)
    return [b for b in found if b.name not in controls and re.search(pattern, b.name)]


def timed_by_name() -> dict[str, tuple[type, str, tuple]]:
    """Class, method and params of what is timed call by call."""
    return {label(cls, method, params): (cls, method, params) for cls, method, params, _ in _timed()}


def label(cls: type, method: str, params: tuple) -> str:
    """The name asv gives it."""
    name = f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}.{method}"
    return f"{name}({', '.join(map(str, params))})" if params else name


def _timed() -> Iterator[tuple[type, str, tuple, float]]:
    """Class, method, params and floor; whoever wakes BLAS's threads comes last, for they spin for a while."""
    for params in product(*losses.Loss.params):
        if params[1] == "fused" or params[1:3] == ("jit", "dev"):
            yield losses.Loss, "time_loss", params, 0.05
    for loss in losses.LOSSES:
        yield losses.OneThread, "time_loss", (loss, "fused", "float64"), 0.05
    for implementation in ("loop", "jit", "fused"):
        yield losses.Overhead, "time_tiny", ("softmax", implementation), 0.08
    for option in losses.OPTIONS:
        yield losses.Options, "time_batch", (option,), 0.05
    for dtype in losses.DTYPES:
        yield training.Net, "time_loss", (dtype,), 0.05
    yield training.Objective, "time_fun", (), 0.05
    yield training.Epoch, "time_epoch", ("LinearSVM",), 0.05
    yield losses.Overhead, "time_tiny", ("softmax", "numpy"), 0.08
    for loss in losses.LOSSES:
        yield losses.Loss, "time_loss", (loss, "numpy", "dev", "float64"), 0.05
    yield ratios.Yardstick, "time_numpy", ("dev", "float64"), 0.05
