"""Proof that the gate works: ``python asv_benchmarks/proof.py run``, then ``table``. It takes an hour or more.

In a temporary clone, commits that change nothing and commits that are worse by a known amount go through the gate, end
to end, as a user would run it. Every figure of every process is kept in ``asv_benchmarks/proof``; ``table`` prints what
was caught, and rates by size of the effect, replayed from the kept figures of the runs that changed nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import gate
from gating import decide, injections, plan, replay, report

HERE = Path(__file__).parent
KEPT = HERE / "proof"
# Spread over the whole time, so that one bad quarter of an hour is not all that A/A runs see.
SCHEDULE = (
    "same", "kernel-10", "helper", "kernel-25", "same", "reference", "kernel-10", "import", "same", "compile",
    "accuracy", "same", "kernel-10", "speed-up", "kernel-25", "same",
)  # fmt: skip
EFFECTS = (0.0, 0.05, 0.1, 0.15, 0.25)
REPLAYS = 400
SLOWED = r"losses\.Loss\.time_loss\((svm|softmax), fused, dev, float64\)"


def run(schedule: list[str]) -> int:
    """Put every change of the schedule through the gate, in a clone of what is committed."""
    KEPT.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "-q", str(HERE.parent), str(clone)], check=True)
        for name in schedule:
            before, after = injections.commit(injections.BY_NAME[name], clone)
            number = 1 + len(list(KEPT.glob(f"{name}-[0-9].json")))
            file, started = KEPT / f"{name}-{number}.json", time.monotonic()
            print(f"\n== {name}, run {number}: {injections.BY_NAME[name].says}", flush=True)
            status = gate.main([before, after, "--repository", str(clone), "--json", str(file)])
            print(f"exit {status} after {time.monotonic() - started:.0f} s", flush=True)
    return 0


def table() -> int:
    """Print the proof as Markdown, from what is kept; 1 if a promise is not kept."""
    found = [(path.stem, report.load(path)) for path in sorted(KEPT.glob("*.json"))]
    print("| injected | runs | exits | measured, after / before | caught by | seconds |\n|---|---:|---|---|---|---:|")
    kept = True
    for injection in injections.INJECTIONS:
        runs = [r for stem, r in found if stem.rpartition("-")[0] == injection.name]
        rows = [_caught(injection, r) for r in runs]
        kept &= bool(runs) and all(right for right, _, _ in rows)
        exits = " ".join(str(r.status) for r in runs)
        seconds = f"{max((r.seconds for r in runs), default=0):.0f}"
        ratios = "; ".join(dict.fromkeys(row[1] for row in rows))
        by = "; ".join(dict.fromkeys(row[2] for row in rows))
        print(f"| {injection.says} | {len(runs)} | {exits} | {ratios} | {by} | {seconds} |")
    same = [r for stem, r in found if stem.startswith("same-")]
    print(f"\nReplayed from {len(same)} A/A runs, {len(same) * gate.PAIRS} pairs in blocks of {replay.BLOCK}:\n")
    print("| slower by | regression found | of the rest, too noisy to say |\n|---:|---|---:|")
    pairs = (gate.PAIRS, gate.CONFIRMING_PAIRS, gate.COLD_PAIRS)
    for effect in EFFECTS if same else ():
        rate = replay.rate([r.runs for r in same], plan.everything(), SLOWED, effect, pairs, REPLAYS)
        says = f"{effect:.0%}" if effect else "nothing (false alarms)"
        print(f"| {says} | {rate} | {rate.unsure} of {rate.replays - rate.hits} |")
    return 0 if kept else 1


def _caught(injection: injections.Injection, found: report.Report) -> tuple[bool, str, str]:
    """Whether the gate was right; the ratios where the change has to show; how many of them were found worse."""
    worse = [v for v in found.verdicts if v.word == decide.WORSE]
    if injection.harmless:
        names = ", ".join(v.name for v in worse)
        return not worse and found.status in (0, 3), "", names or "no alarm"
    expected = [v for v in found.verdicts if re.search(injection.expect, v.name)]
    hits = [v for v in expected if v.word == decide.WORSE]
    ratios = sorted(v.ratio for v in hits)
    shown = f"{ratios[0]:.2f} – {ratios[-1]:.2f}" if len(ratios) > 1 else f"{ratios[0]:.2f}" if ratios else "–"
    others = len(worse) - len(hits)
    by = f"{len(hits)} of {len(expected)} where it must show" + (f", {others} others" if others else "")
    return found.status == 1 and bool(hits), shown, by


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="put the injected changes through the gate, an hour or more")
    running.add_argument(
        "names", nargs="*", choices=[*injections.BY_NAME, []], help="only these (default: all, several times)"
    )
    commands.add_parser("table", help="what was found, from the kept figures")
    chosen = parser.parse_args()
    return run(chosen.names or list(SCHEDULE)) if chosen.command == "run" else table()


if __name__ == "__main__":
    sys.exit(main())
