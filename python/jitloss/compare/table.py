"""The report as tables: in colour on a terminal, plain and of a fixed width elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .results import Row
from .run import Report

WIDE = 128  # from this width on, one table holds every column

Cell = Callable[[Row, dict[str, Row]], str]


def show(report: Report, console: Console) -> None:
    """Print header, tables and what to make of them."""
    for line in header(report):
        console.print(line, highlight=False, soft_wrap=True)
    for (_, loss), rows in report.tables():
        lanes = "one lane" if rows[0].n_lanes == 1 else f"{rows[0].n_lanes} lanes"
        title = f"{loss} · {rows[0].title} · {rows[0].says} · jit runs {lanes}"
        for columns in [SPEED + COSTS] if console.width >= WIDE else [SPEED, COSTS]:
            console.print(_table(title, rows, columns))
    for line in footer(report):
        console.print(line, highlight=False, soft_wrap=True)


def header(report: Report) -> list[str]:
    machine = report.machine
    versions = " · ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = "" if machine["load"] is None else f" · load {machine['load']}"
    return [
        f"{machine['cpu']} · {machine['cores']} cores · {machine['platform']}{load}",
        f"threads a side: {machine['threads']} · {machine['launch']} · BLAS: {machine['blas']}",
        versions,
    ]


def footer(report: Report) -> list[str]:
    """Only the explanations that this report needs."""
    lines = [
        "× is the other's time over this one's: above 1 is faster. NumPy is the readable definition, tuned is NumPy "
        "written for speed with few classes.",
        "GFLOP/s counts 4·N·D·C, done or not. Errors are relative to the float64 reference.",
    ]
    if any(row.approximate for row in report.rows):
        lines.append("≈ measured on as many rows as time allowed, scaled to all.")
    if report.import_seconds is not None:
        lines.append(
            f"First calls are fresh processes on the shape of {report.rows[0].case}, imports included: cold (one) "
            "without, cached (median) with compiled code on disk; cold pays off against NumPy after so many calls."
        )
        lines.append(f"import jitloss takes {report.import_seconds * 1e3:.1f} ms more than import numpy.")
    noisy = sum(row.noisy for row in report.rows)
    if noisy:
        lines.append(f"~ quartiles more than 30 % apart ({noisy} rows): noisy, run again.")
    if not report.right:
        wrong = ", ".join(f"{r.contender} ({r.loss}, {r.case}, {r.dtype})" for r in report.rows if not r.verdict.right)
        lines.append(f"FAILED: {wrong}")
    return lines


def _table(title: str, rows: list[Row], columns: list[tuple[str, Cell]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for dtype in dict.fromkeys(row.dtype for row in rows):
        same = {row.contender: row for row in rows if row.dtype == dtype}
        table.add_row(dtype, style="bold")
        for row in same.values():
            cells = [cell(row, same) for _, cell in columns]
            table.add_row(f" {row.contender}", *cells, style=None if row.verdict.right else "bold red")
        table.add_section()
    return table


def _median(row: Row, same: dict[str, Row]) -> str:
    if not row.verdict.right:
        return "FAILED"
    return f"{'≈' if row.approximate else ''}{_milliseconds(row.median)}{'~' if row.noisy else ''}"


def _quartiles(row: Row, same: dict[str, Row]) -> str:
    first, third = row.quartiles
    return f"{_milliseconds(first)}–{_milliseconds(third)}" if row.verdict.right else ""


def _times(other: str) -> Cell:
    def cell(row: Row, same: dict[str, Row]) -> str:
        base = same.get(other)
        if base is None or not row.verdict.right or not base.verdict.right:
            return ""
        ratio = base.median / row.median
        approximate = row.approximate or base.approximate
        digits = ",.0f" if ratio >= 100 else ".3g" if ratio >= 0.01 else ".1g"
        return ("≈" if approximate and base is not row else "") + format(ratio, digits)

    return cell


def _gflops(row: Row, same: dict[str, Row]) -> str:
    return f"{row.gflops:.3g}" if row.verdict.right else ""


def _extra(row: Row, same: dict[str, Row]) -> str:
    return "–" if row.extra_bytes is None else f"{row.extra_bytes / 1e6:.2f}"


def _cold(row: Row, same: dict[str, Row]) -> str:
    return f"{row.first.cold:.2f} s" if row.first else "–"


def _cached(row: Row, same: dict[str, Row]) -> str:
    return f"{row.first.cached:.2f} s" if row.first and row.first.cached else "–"


def _pays_off(row: Row, same: dict[str, Row]) -> str:
    numpy = same.get("numpy")
    calls = None if numpy is None else row.calls_to_pay_off(numpy)
    if calls is None or row.contender in ("numpy", "tuned"):
        return "–"
    return "never" if calls == float("inf") else f"{calls:,.0f} calls"


def _milliseconds(seconds: float) -> str:
    value = seconds * 1e3
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


SPEED: list[tuple[str, Cell]] = [
    ("median ms", _median),
    ("quartiles", _quartiles),
    ("× loop", _times("loop")),
    ("× naive", _times("naive")),
    ("× NumPy", _times("numpy")),
    ("GFLOP/s", _gflops),
]
COSTS: list[tuple[str, Cell]] = [
    ("extra MB", _extra),
    ("cold", _cold),
    ("cached", _cached),
    ("pays off", _pays_off),
    ("loss err", lambda row, same: f"{row.verdict.loss_error:.0e}"),
    ("grad err", lambda row, same: f"{row.verdict.gradient_error:.0e}"),
]
