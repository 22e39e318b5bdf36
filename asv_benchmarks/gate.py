"""Is HEAD worse than BASE? ``python asv_benchmarks/gate.py BASE HEAD``.

Builds a wheel of each commit, installs both side by side over the same dependencies, and lets them take turns in
processes of their own: A B, B A, … Whatever looks worse is measured again, and only what replicates counts. Speed,
first calls, memory, accuracy and the number of compiled functions are judged; each has a floor below which a change is
none, and ``accepted.toml`` raises it for a slowdown that is meant.

Exit status: 0 nothing got worse; 1 a regression that replicated; 2 a commit that cannot be built or run, or lost a
benchmark; 3 too noisy to say.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gating import accepted, decide, machine, plan, report, sides, turns

HERE = Path(__file__).parent
# Only the lower halves of a side count, so many exchanges of pairs change nothing: with ten confirming pairs p stays
# above ALPHA for one in eight slowdowns however clear they are, with fourteen for none (``proof.py table``).
PAIRS, CONFIRMING_PAIRS, COLD_PAIRS, CONFIRMING_COLD_PAIRS = 6, 14, 3, 8
BUDGET = 540.0  # seconds


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", metavar="BASE", help="the commit to compare with")
    parser.add_argument("after", metavar="HEAD", nargs="?", default="HEAD", help="the commit that is judged")
    parser.add_argument("--bench", metavar="REGEX", default="", help="only benchmarks whose name matches")
    parser.add_argument(
        "--budget", type=float, default=BUDGET, metavar="SECONDS", help="stop in time (default: %(default)g)"
    )
    parser.add_argument(
        "--pairs", type=int, default=PAIRS, help="pairs of runs before a first look (default: %(default)s)"
    )
    parser.add_argument(
        "--repository", type=Path, default=HERE.parent, help="where the commits are (default: this one)"
    )
    parser.add_argument("--accepted", type=Path, default=HERE / "accepted.toml", help="slowdowns that are meant")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure of every process, and the verdicts")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="a report for a pull request")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and their floors, and stop")
    return parser.parse_args(arguments)


def judge(chosen: argparse.Namespace, progress: Progress) -> report.Report:
    """Build, measure, decide."""
    started = time.monotonic()
    benchmarks = plan.everything(chosen.bench)
    if not benchmarks:
        raise sides.BrokenError(f"no benchmark matches {chosen.bench!r}")
    bar = progress.add_task("building both commits", total=None)

    def stage(says: str, total: int | None) -> Callable[[int], None]:
        progress.update(bar, description=says, total=total, completed=0)
        return lambda done: progress.update(bar, completed=done)

    with TemporaryDirectory() as folder:
        both = sides.install_both((chosen.before, chosen.after), chosen.repository, Path(folder).resolve())
        entries = accepted.read(chosen.accepted)
        floors = accepted.floors(entries, benchmarks, chosen.repository, both[0].commit, both[1].commit)
        stage("compiling", None)
        turns.compile_both(both, benchmarks)
        runs = turns.figures_once(both, benchmarks)
        # Some of the time is kept for what is flagged.
        until = started + 0.65 * chosen.budget
        step = stage("measuring, pairs of runs", chosen.pairs)
        runs += turns.take_turns("screen", both, benchmarks, chosen.pairs, COLD_PAIRS, until, step)
        if again := decide.flagged(runs, benchmarks):
            step = stage(f"measuring again what looks worse: {len(again)}", CONFIRMING_PAIRS)
            until = started + chosen.budget
            runs += turns.take_turns("confirm", both, again, CONFIRMING_PAIRS, CONFIRMING_COLD_PAIRS, until, step)
    found = decide.verdicts(runs, benchmarks, floors)
    noise = decide.too_noisy(runs)
    return report.Report(
        both[0].commit, both[1].commit, machine.describe(), time.monotonic() - started, found, runs, noise,
        decide.exit_status(found, noise),
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    chosen = options(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    if chosen.list:
        for benchmark in plan.everything(chosen.bench):
            console.print(f"{benchmark.floor:4.0%}  {benchmark.name}")
        return 0
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            found = judge(chosen, progress)
    except sides.BrokenError as error:
        print(f"gate: {error}", file=sys.stderr)
        return 2
    report.show(found, console)
    if chosen.json:
        report.write_json(found, chosen.json)
    if chosen.markdown:
        chosen.markdown.write_text(report.markdown(found))
    return found.status


if __name__ == "__main__":
    sys.exit(main())
