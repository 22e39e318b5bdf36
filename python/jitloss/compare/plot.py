"""The report as a picture that can be projected: bars on a log axis, a panel a loss."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

from .results import Row
from .run import Report

# Okabe and Ito's palette: told apart with every common colour blindness, and by lightness on a bad projector.
COLOURS = {
    "loop": "#999999",
    "naive": "#E69F00",
    "numpy": "#56B4E9",
    "tuned": "#009E73",
    "jit": "#0072B2",
    "fused": "#000000",
    "sklearn": "#CC79A7",
    "torch": "#D55E00",
    "jax": "#F0E442",
}
GAP = 1.0  # between groups, in bars


def draw(report: Report, path: Path) -> None:
    """Write the picture; its format follows the suffix of `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    losses = list(dict.fromkeys(row.loss for row in report.rows))
    groups = list(dict.fromkeys((row.case, row.dtype) for row in report.rows))
    bars = max(sum(row.loss == loss for row in report.rows) for loss in losses)
    height = 2.0 + 0.29 * (bars + (1 + GAP) * len(groups))
    figure, panels = pyplot.subplots(1, len(losses), figsize=(12.8, height), dpi=100, squeeze=False, sharex=True)
    for panel, loss in zip(panels[0], losses, strict=True):
        _panel(panel, loss, [row for row in report.rows if row.loss == loss], groups)
    figure.legend(*_key(pyplot), loc="lower left", ncols=3, frameon=False, fontsize=10, bbox_to_anchor=(0.01, 0.07))
    figure.text(0.015, 0.015, _caption(report), fontsize=9.5, color="#333333", va="bottom")
    figure.suptitle("Time for one loss and its gradient", x=0.015, ha="left", fontsize=15, fontweight="bold")
    figure.tight_layout(rect=(0, 1.15 / height, 1, 1))
    figure.savefig(path)
    pyplot.close(figure)


def _panel(panel: Any, loss: str, rows: list[Row], groups: list[tuple[str, str]]) -> None:
    """One loss: a group of bars for each case and dtype, from the top down."""
    place, ticks, names = 0.0, [], []
    for case, dtype in groups:
        same = [row for row in rows if (row.case, row.dtype) == (case, dtype)]
        if not same:
            continue
        label = f"{same[0].title}, {dtype}"
        panel.text(
            0.0, place, label, transform=panel.get_yaxis_transform(), fontsize=11, fontweight="bold", va="center"
        )
        numpy = next((row for row in same if row.contender == "numpy"), None)
        for row in same:
            place += 1
            _bar(panel, place, row, numpy)
            ticks.append(place)
            names.append(row.contender)
        place += 1 + GAP
    panel.set_yticks(ticks, names, fontsize=11)
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(place - GAP, -1)
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    panel.set_xlim(low, high * 25)  # room for the factors
    panel.set_xlabel("milliseconds (log scale), median and quartiles", fontsize=11)
    panel.set_title({"svm": "SVM", "softmax": "softmax"}.get(loss, loss), fontsize=13, loc="center")
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)


def _bar(panel: Any, place: float, row: Row, numpy: Row | None) -> None:
    """The median, its quartiles, hatched up to the cold first call where code is compiled, and the factor."""
    colour, median = COLOURS.get(row.contender, "#000000"), row.median * 1e3
    end = median
    if not row.verdict.right:
        panel.text(median, place, " FAILED", va="center", fontsize=11, fontweight="bold", color="#B00020")
        return
    if row.first is not None and row.first.cached is not None:
        end = max(end, row.first.cold * 1e3)
        panel.barh(place, end, height=0.45, facecolor="none", edgecolor=colour, hatch="////", linewidth=0.8)
    panel.barh(place, median, height=0.78, color=colour)
    first, third = (value * 1e3 for value in row.quartiles)
    panel.errorbar(median, place, xerr=[[median - first], [third - median]], color="black", capsize=2.5, linewidth=1.1)
    if numpy is not None and numpy.verdict.right and row is not numpy:
        panel.text(end * 1.2, place, _factor(numpy.median / row.median), va="center", fontsize=11, fontweight="bold")


def _factor(ratio: float) -> str:
    """A ratio of times in words: 1.7 is faster, 0.0005 is 2,000× slower."""
    size, word = (ratio, "faster") if ratio >= 1 else (1 / ratio, "slower")
    return f"{size:,.0f}× {word}" if size >= 100 else f"{size:.1f}× {word}" if size >= 10 else f"{size:.2f}× {word}"


def _key(pyplot: Any) -> tuple[list[Any], list[str]]:
    whisker = pyplot.Line2D([], [], color="black", marker="|", markersize=7, linewidth=1.1)
    hatched = pyplot.Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=COLOURS["jit"], hatch="////")
    return [whisker, hatched], ["quartiles", "first call of a process, compiling (× faster or slower: than NumPy)"]


def _caption(report: Report) -> str:
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    text = f"{machine['cpu']}, {machine['threads']} threads a side, {machine['launch']}. {machine['blas']}. {versions}."
    if any(row.approximate for row in report.rows):
        text += " Loops in Python: scaled up from fewer rows."
    return fill(text, 170)
