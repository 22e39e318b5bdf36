"""Where each contender stands under the machine's roof: flops a second over flops for each byte of X.

S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from .plot import COLOURS
from .results import Row
from .roof import Roof, intensity
from .run import Report

_MARKERS = "osD^v"
_LINES = {"float64": "-", "float32": "--"}


def draw(report: Report, roof: Roof, path: Path) -> None:
    """Write the picture; its format follows the suffix of `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    losses = list(dict.fromkeys(row.loss for row in report.rows))
    figure, panels = pyplot.subplots(1, len(losses), figsize=(12.8, 7.2), dpi=100, squeeze=False, sharey=True)
    for panel, loss in zip(panels[0], losses, strict=True):
        _panel(panel, [row for row in report.rows if row.loss == loss and row.verdict.right], roof, report)
        panel.set_title({"svm": "SVM", "softmax": "softmax"}.get(loss, loss), fontsize=13)
    panels[0][0].set_ylabel("GFLOP/s of 4·N·D·C (log scale)", fontsize=11)
    figure.legend(
        *_key(pyplot, report), loc="lower left", ncols=5, frameon=False, fontsize=10, bbox_to_anchor=(0.01, 0.07)
    )
    figure.text(0.015, 0.015, _caption(report, roof), fontsize=9.5, color="#333333", va="bottom")
    figure.suptitle("Under the machine's roof", x=0.015, ha="left", fontsize=15, fontweight="bold")
    figure.tight_layout(rect=(0, 0.2, 1, 1))
    figure.savefig(path)
    pyplot.close(figure)


def _panel(panel: Any, rows: list[Row], roof: Roof, report: Report) -> None:
    """One loss: the roof of each dtype, and a mark for each contender and problem."""
    places = [intensity(row) for row in rows] or [1.0]
    x = np.geomspace(min(places) / 2.5, max(places) * 4, 200)
    for dtype, product in roof.product.items():
        limit = np.minimum(roof.bandwidth * x, product) / 1e9
        panel.plot(x, limit, color="black", linestyle=_LINES[dtype], linewidth=1.4)
        panel.text(x[-1], limit[-1] * 1.06, f"product, {dtype}", ha="right", va="bottom", fontsize=9.5)
    panel.text(x[0], roof.bandwidth * x[0] / 1e9 * 0.75, "memory", fontsize=9.5, va="top")
    cases = _cases(report)
    for row in rows:
        colour = COLOURS.get(row.contender, "#000000")
        panel.plot(
            intensity(row), row.gflops, marker=_MARKERS[cases.index(row.title) % len(_MARKERS)], markersize=9,
            color=colour, markerfacecolor=colour if row.dtype == "float64" else "white", markeredgewidth=1.8,
        )  # fmt: skip
    panel.set_xscale("log")
    panel.set_yscale("log")
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if x[0] <= tick <= x[-1]]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("flops for each byte of X (log scale)", fontsize=11)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)


def _cases(report: Report) -> list[str]:
    return list(dict.fromkeys(row.title for row in report.rows))


def _key(pyplot: Any, report: Report) -> tuple[list[Any], list[str]]:
    """Colours are contenders, shapes are problems, filled is float64."""

    def mark(marker: str, colour: str, filled: bool = True) -> Any:
        face = colour if filled else "white"
        return pyplot.Line2D([], [], linestyle="", marker=marker, markersize=9, color=colour, markerfacecolor=face)

    contenders = list(dict.fromkeys(row.contender for row in report.rows))
    marks = [mark("o", COLOURS.get(name, "#000000")) for name in contenders]
    names = list(contenders)
    for number, case in enumerate(_cases(report)):
        marks.append(mark(_MARKERS[number % len(_MARKERS)], "#555555"))
        names.append(case)
    return [*marks, mark("o", "#555555"), mark("o", "#555555", False)], [*names, "float64", "float32"]


def _caption(report: Report, roof: Roof) -> str:
    machine = report.machine
    product = " / ".join(f"{flops / 1e9:.0f} GFLOP/s in {dtype}" for dtype, flops in roof.product.items())
    text = (
        f"{machine['cpu']}, {machine['threads']} threads a side. Measured in the same run: "
        f"{roof.bandwidth / 1e9:.1f} GB/s read from memory, matrix product {product}. "
        "A problem that fits in a cache may stand above the memory's roof."
    )
    return fill(text, 170)
