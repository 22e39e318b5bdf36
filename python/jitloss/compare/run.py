"""Every contender on every case, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from .. import __version__
from ..data import Data
from ..losses import LOSSES
from . import peers
from .cases import Case, make
from .contenders import Contender, own
from .first_call import FirstCall, first_call, import_cost
from .machine import blas_threads, describe
from .measure import FULL, Effort, affordable_rows, alternate, extra_memory
from .results import Row, judge
from .roof import Roof, measure

Progress = Callable[[str], None]  # called before each step of Plan.steps, with what it does


@dataclass(frozen=True)
class Plan:
    """What to compare."""

    data: Sequence[Data]
    losses: Sequence[str] = tuple(LOSSES)
    dtypes: Sequence[str] = ("float64", "float32")
    n_threads: int = 1
    against: Sequence[str] = ()
    effort: Effort = FULL
    first_calls: int = 3  # repetitions of the cached first call; 0 leaves first calls out
    roof: bool = False  # measure what memory and arithmetic allow, too

    @property
    def steps(self) -> int:
        """Progress steps: a turn of each contender in each round, and each first call."""
        runs = sum(len(_contenders(self, loss)) for loss in self.losses) * len(self.dtypes)
        return runs * (len(self.data) * self.effort.rounds + bool(self.first_calls))


@dataclass
class Report:
    """What came of it."""

    machine: dict[str, Any]
    import_seconds: float | None = None
    rows: list[Row] = field(default_factory=list)
    roof: Roof | None = None

    @property
    def right(self) -> bool:
        return all(row.verdict.right for row in self.rows)

    def tables(self) -> Iterator[tuple[tuple[str, str], list[Row]]]:
        """Rows by (case, loss), in the order they were measured."""
        keys = dict.fromkeys((row.case, row.loss) for row in self.rows)
        for key in keys:
            yield key, [row for row in self.rows if (row.case, row.loss) == key]

    def as_dict(self) -> dict[str, Any]:
        return {
            "jitloss": __version__,
            "machine": self.machine,
            "import_s": self.import_seconds,
            "roof": None if self.roof is None else asdict(self.roof),
            "rows": [row.as_dict() for row in self.rows],
        }


def compare(plan: Plan, progress: Progress) -> Report:
    """Carry out `plan`."""
    report = Report(describe(plan.n_threads))
    firsts = _first_calls(plan, report, progress)
    if plan.roof:
        with blas_threads(plan.n_threads):
            report.roof = measure(plan.n_threads, tuple(plan.dtypes))
    for data, loss, dtype in product(plan.data, plan.losses, plan.dtypes):
        report.rows += _table(plan, make(data, dtype), loss, firsts, progress)
    return report


def _contenders(plan: Plan, loss: str) -> list[Contender]:
    return [who for who in own() + [peers.PEERS[name] for name in plan.against] if loss in who.losses]


def _first_calls(plan: Plan, report: Report, progress: Progress) -> dict[tuple[str, str, str], FirstCall]:
    """First calls, on the first data set's shape: what is compiled depends on loss and dtype, not on the data."""
    found: dict[tuple[str, str, str], FirstCall] = {}
    if not plan.first_calls:
        return found
    report.import_seconds = import_cost()
    shape = (*plan.data[0].X.shape, plan.data[0].n_classes)
    for loss, dtype in product(plan.losses, plan.dtypes):
        for who in _contenders(plan, loss):
            progress(f"first call of {who.name}, {loss} {dtype}")
            if not who.interpreted:  # a loop in Python has nothing to wait for but itself
                repeats = plan.first_calls if who.cached else 0
                found[who.name, loss, dtype] = first_call(who.name, loss, dtype, shape, plan.n_threads, repeats)
    return found


def _table(
    plan: Plan, case: Case, loss: str, firsts: dict[tuple[str, str, str], FirstCall], progress: Progress
) -> list[Row]:
    """All contenders on one case and loss."""
    from jitloss_kernels.lanes import lane_count

    contenders = {who.name: who for who in _contenders(plan, loss)}
    cases = {name: _affordable(who, loss, case, plan) for name, who in contenders.items()}
    calls = {name: who.prepare(loss, cases[name], plan.n_threads) for name, who in contenders.items()}
    verdicts = {name: judge(loss, cases[name], call()) for name, call in calls.items()}
    with blas_threads(plan.n_threads):
        seconds = alternate(calls, plan.effort, lambda name: progress(f"{case.name} {loss} {case.dtype}: {name}"))
    rows = []
    for name, who in contenders.items():
        measured = len(cases[name].X)
        scaled = tuple(value * len(case.X) / measured for value in seconds[name])
        extra = extra_memory(calls[name]) if who.on_numpy else None
        identity = (case.name, case.says, case.shape, loss, case.dtype, name)
        first = firsts.get((name, loss, case.dtype))
        rows.append(Row(*identity, verdicts[name], scaled, measured, extra, first, lane_count(*case.shape)))
    return rows


def _affordable(who: Contender, loss: str, case: Case, plan: Plan) -> Case:
    """The case, cut to as many rows as Python's loops can do in the time there is."""
    if not who.interpreted:
        return case
    rows = affordable_rows(
        lambda n: who.prepare(loss, case.head(n), plan.n_threads), len(case.X), plan.effort.python_call
    )
    return case.head(rows)
