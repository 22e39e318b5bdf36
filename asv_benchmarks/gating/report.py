"""Verdicts as people read them: a table for the terminal, Markdown for a pull request, JSON with every figure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .decide import ACCEPTED, FASTER, GONE, NOT_CONFIRMED, SAME, UNCLEAR, UNMEASURED, WORSE, Verdict
from .turns import Run

_STYLES = {WORSE: "bold red", GONE: "bold red", FASTER: "green", UNCLEAR: "yellow", ACCEPTED: "cyan"}
_COLUMNS = ("benchmark", "before", "after", "ratio", "95 % interval", "floor", "pairs", "verdict")
# What a reviewer has to read first.
_ORDER = (GONE, WORSE, UNCLEAR, UNMEASURED, ACCEPTED, NOT_CONFIRMED, FASTER)
_SAYS = {
    0: "nothing got worse",
    1: "a regression, measured twice",
    2: "broken: a benchmark that was there is gone",
    3: "too noisy to say",
}


@dataclass(frozen=True)
class Report:
    """One run of the gate."""

    before: str
    after: str
    machine: str
    seconds: float
    verdicts: list[Verdict]
    runs: list[Run]
    noise: str
    status: int

    def conclusion(self) -> str:
        why = f": {self.noise}" if self.status == 3 and self.noise else ""
        return f"{self.before[:10]} → {self.after[:10]}: {_SAYS[self.status]}{why} (exit {self.status})"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def load(file: Path) -> Report:
    """A report as `write_json` left it."""
    found = json.loads(file.read_text())
    found["verdicts"] = [
        Verdict(**{name: math.nan if value is None else value for name, value in v.items()}) for v in found["verdicts"]
    ]
    found["runs"] = [Run(**r) for r in found["runs"]]
    return Report(**found)


def write_json(report: Report, file: Path) -> None:
    """Five significant digits of each figure are far below any noise; what is not known is null."""
    found = report.as_json()
    for verdict in found["verdicts"]:
        verdict.update({k: None for k, v in verdict.items() if isinstance(v, float) and not math.isfinite(v)})
    for run in found["runs"]:
        run["at"] = round(run["at"], 1)
        run["figures"] = {name: float(f"{value:.5g}") for name, value in run["figures"].items()}
    file.write_text(json.dumps(found, indent=None, separators=(",", ":"), allow_nan=False))


def show(report: Report, console: Console) -> None:
    """The table, worst first, and the conclusion."""
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in ("benchmark", "verdict") else "right", no_wrap=True)
    for verdict in _sorted(report.verdicts):
        table.add_row(*_cells(verdict), style=_STYLES.get(verdict.word, ""))
    console.print(table)
    for verdict in report.verdicts:
        if verdict.reason:
            console.print(f"accepted, {verdict.name}: {verdict.reason}", highlight=False)
    console.print(
        f"\nratio is after / before, lower is better; {report.machine}; {report.seconds:.0f} s", highlight=False
    )
    console.print(report.conclusion(), style="bold red" if report.status in (1, 2) else "bold", highlight=False)


def markdown(report: Report) -> str:
    """What changed, and the rest folded away."""
    changed = [v for v in _sorted(report.verdicts) if v.word != SAME]
    rest = [v for v in report.verdicts if v.word == SAME]
    parts = [f"### {report.conclusion()}", ""]
    parts += _markdown_table(changed) if changed else ["No benchmark changed by more than its floor."]
    if rest:
        parts += [
            "",
            f"<details><summary>{len(rest)} unchanged</summary>",
            "",
            *_markdown_table(rest),
            "",
            "</details>",
        ]
    parts += ["", f"Ratio is after / before, lower is better. {report.machine}; {report.seconds:.0f} s."]
    return "\n".join(parts) + "\n"


def _markdown_table(verdicts: Sequence[Verdict]) -> list[str]:
    head = ["| " + " | ".join(_COLUMNS) + " |", "|---|" + "---:|" * (len(_COLUMNS) - 2) + "---|"]
    return head + ["| " + " | ".join(_cells(v)) + " |" for v in verdicts]


def _sorted(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=lambda v: _ORDER.index(v.word) if v.word in _ORDER else len(_ORDER))


def _cells(verdict: Verdict) -> tuple[str, ...]:
    known = not math.isnan(verdict.ratio)
    interval = f"{verdict.low:.3f} – {verdict.high:.3f}" if known and verdict.pairs > 1 else ""
    return (
        verdict.name, amount(verdict.before, verdict.unit), amount(verdict.after, verdict.unit),
        f"{verdict.ratio:.3f}" if known else "", interval, f"{verdict.floor:.0%}", str(verdict.pairs), verdict.word,
    )  # fmt: skip


def amount(value: float, unit: str) -> str:
    """A figure with a unit that people read."""
    if math.isnan(value):
        return "–"
    if unit == "s":
        for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (math.inf, 1, "s")):
            if value < limit:
                return f"{value * factor:.3g} {name}"
    if unit == "bytes":
        return f"{value / 2**20:.2f} MB"
    return f"{value:.2g}" if unit == "relative" else f"{value:g}"
