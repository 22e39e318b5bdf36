"""The history of speed: what changed at which commit, a picture of it, and a way to add to it.

    python asv_benchmarks/history.py                     # step changes by commit, found by asv's own detector
    python asv_benchmarks/history.py add [COMMIT …]      # measure commits (HEAD) and keep the results
    python asv_benchmarks/history.py draw FILE.png       # our time over NumPy's, and NumPy's own, over the commits

Results lie in ``asv_benchmarks/results``, by machine; the name of a machine says its class of CPU and its cores, so
that figures of two classes are never joined by a line.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import numpy as np

from gating import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LEAST_STEP = 0.1  # a share
# What no commit of ours can move: a step here is a change of the machine.
CONTROLS = ("ratios.Yardstick.", "ratios.Machine.")
DRAWN = [("dev", "float64"), ("dev", "float32"), ("tall", "float64"), ("tall", "float32")]


@dataclass(frozen=True)
class Series:
    """One benchmark with one choice of parameters, over the measured commits in git's order; NaN where lacking."""

    name: str
    commits: list[str]
    values: np.ndarray
    weights: list[float | None]

    def steps(self) -> list[tuple[str, str, float, float]]:
        """Last commit before, first commit after, value before, value after."""
        from asv.step_detect import detect_steps

        found = detect_steps(self.values.tolist(), self.weights)
        changes = []
        for (_, end, before, *_), (start, _, after, *_) in pairwise(found):
            if abs(np.log(after / before)) > np.log(1 + LEAST_STEP):
                changes.append((self.commits[end - 1], self.commits[start], before, after))
        return changes


def machines() -> list[str]:
    """Machines that have results."""
    return sorted(folder.name for folder in RESULTS.iterdir() if folder.is_dir()) if RESULTS.exists() else []


def series(name: str) -> list[Series]:
    """All there is of one machine."""
    from asv._stats import get_weight
    from asv.results import iter_results_for_machine

    results = {found.commit_hash: found for found in iter_results_for_machine(str(RESULTS), name)}
    commits = [commit for commit in _in_order() if commit in results]
    values: dict[str, dict[str, tuple[float, float | None]]] = {}
    for commit in commits:
        for key in results[commit].get_all_result_keys():
            params = results[commit].get_result_params(key)
            found = results[commit].get_result_value(key, params)
            stats = results[commit].get_result_stats(key, params) or [None] * len(found)
            for chosen, value, stat in zip(product(*params), found, stats, strict=True):
                label = f"{key}({', '.join(chosen)})".replace("'", "").removesuffix("()")
                values.setdefault(label, {})[commit] = (np.nan if value is None else value, get_weight(stat))
    return [
        Series(
            label, commits,
            np.array([points.get(commit, (np.nan, None))[0] for commit in commits]),
            [points.get(commit, (np.nan, None))[1] for commit in commits],
        )
        for label, points in sorted(values.items())
    ]  # fmt: skip


def list_steps(name: str) -> None:
    """Print what changed, commit by commit, the machine's own changes first."""
    from rich.console import Console
    from rich.table import Table

    everything = series(name)
    changes = [(step, one.name) for one in everything for step in one.steps()]
    order = {commit: place for place, commit in enumerate(everything[0].commits)} if everything else {}
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(
        f"{name}: {len(order)} commits, {len(everything)} series, {len(changes)} steps of over {LEAST_STEP:.0%}"
    )
    for commit in sorted({step[1] for step, _ in changes}, key=order.__getitem__):
        here = [(step, label) for step, label in changes if step[1] == commit]
        table = Table(box=None, pad_edge=False, show_header=False)
        for (before, _, old, new), label in sorted(
            here, key=lambda row: (not _is_control(row[1]), row[0][3] / row[0][2])
        ):
            kind = "the machine" if _is_control(label) else "better" if new < old else "worse"
            style = {"the machine": "yellow", "better": "green", "worse": "red"}[kind]
            table.add_row(
                f"  {kind}", label, f"{old:.3g} → {new:.3g}", f"× {new / old:.2f}", f"since {before[:8]}", style=style
            )
        console.print(f"\n{commit[:8]} {_git('log', '-1', '--format=%s', commit)}", style="bold")
        console.print(table)


def draw(name: str, file: Path) -> None:
    """Ratio of softmax to the frozen NumPy above, that NumPy's own time below: what drifts there is the machine's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = {one.name: one for one in series(name)}
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9, 6.5), sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    for shape, dtype in DRAWN:
        ratio = found[f"ratios.Ratio.track_ratio(softmax, {shape}, {dtype})"]
        numpy = found[f"ratios.Yardstick.time_numpy({shape}, {dtype})"].values
        line = above.plot(ratio.values, marker="o", markersize=4, label=f"{shape}, {dtype}")[0]
        below.plot(numpy / np.nanmedian(numpy), marker="o", markersize=3, linewidth=1, color=line.get_color())
    commits = ratio.commits
    above.axhline(1, color="0.6", linewidth=0.8)
    at_the_end = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
    above.annotate("NumPy", (1, 1.01), color="0.4", fontsize=9, **at_the_end)
    above.set(
        yscale="log", ylabel="softmax: our time / NumPy's", title=f"Default implementation over the commits · {name}"
    )
    ticks = [0.2, 0.3, 0.5, 0.7, 1, 1.5, 2]
    above.set_yticks(ticks, [str(t) for t in ticks])
    above.minorticks_off()
    above.legend(frameon=False, ncols=2)
    below.axhline(1, color="0.6", linewidth=0.8)
    below.set(ylabel="NumPy's own time\n/ its median", ylim=(0.5, max(1.6, below.get_ylim()[1])))
    below.set_xticks(range(len(commits)), [commit[:8] for commit in commits], rotation=60, ha="right", fontsize=8)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
    figure.savefig(file, dpi=130)


def add(commits: list[str]) -> int:
    """Measure commits with the suite as it is now."""
    name = machine_name()
    facts = {"os": platform.system(), "arch": platform.machine(), "cpu": machine.cpu(), "num_cpu": str(_cores())}
    described = [part for key, value in facts.items() for part in (f"--{key}", value)]
    _asv("machine", "--yes", "--machine", name, *described)
    hashes = [_git("rev-parse", "--verify", f"{commit}^{{commit}}") for commit in commits or ["HEAD"]]
    return max(_asv("run", "--machine", name, f"{commit}^!") for commit in hashes)


def machine_name() -> str:
    """The class of the CPU and the number of cores: nothing that two kinds of machine could share."""
    from llvmlite.binding import get_host_cpu_name

    return re.sub(r"[^a-z0-9]+", "-", f"{get_host_cpu_name()}-{_cores()}cores".lower())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_control(label: str) -> bool:
    return label.startswith(CONTROLS)


def _in_order() -> list[str]:
    return _git("rev-list", "--reverse", "--topo-order", "--all").split()


def _asv(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "asv", *arguments], cwd=HERE, check=False).returncode


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", help="whose results (default: the only one there is, or this one)")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("add", help="measure commits").add_argument("commits", nargs="*")
    commands.add_parser("draw", help="a picture").add_argument("file", type=Path)
    chosen = parser.parse_args()
    if chosen.command == "add":
        return add(chosen.commits)
    known = machines()
    name = chosen.machine or (known[0] if len(known) == 1 else machine_name())
    if name not in known:
        parser.error(f"no results of {name}; there are some of: {', '.join(known) or 'none'}")
    if chosen.command == "draw":
        draw(name, chosen.file)
    else:
        list_steps(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
