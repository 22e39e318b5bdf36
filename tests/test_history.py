"""What changed at which commit: asv's detector on made-up series, and the history that is kept here."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("asv")

import history

COMMITS = [f"{number:040x}" for number in range(16)]


def series(values):
    return history.Series("made up", COMMITS, np.asarray(values, float), [None] * len(values))


def test_a_step_is_found_where_it_is():
    noise = 1 + 0.005 * np.sin(np.arange(16))
    (step,) = series(np.where(np.arange(16) < 9, 1.0, 1.5) * noise).steps()
    assert step[:2] == (COMMITS[8], COMMITS[9])
    assert step[3] / step[2] == pytest.approx(1.5, rel=0.02)


def test_no_step_where_there_is_none():
    assert series(1 + 0.01 * np.sin(np.arange(16))).steps() == []


def test_commits_that_lack_it_are_passed_over():
    values = np.where(np.arange(16) < 9, 1.0, 2.0)
    values[[0, 1, 8, 9]] = np.nan
    (step,) = series(values).steps()
    assert step[:2] == (COMMITS[7], COMMITS[10])


def test_the_history_that_is_kept():
    """At least fifteen commits, small, under a name that says what machine it was."""
    assert sum(path.stat().st_size for path in history.RESULTS.rglob("*.json")) < 5 << 20
    kept = subprocess.run(["git", "ls-files"], cwd=history.RESULTS, capture_output=True, text=True, check=True).stdout
    (name,) = {Path(line).parent.name for line in kept.split() if line.count("/")}  # not what was measured just here
    assert name.endswith("cores")
    assert kept.count(f"{name}/") - kept.count("machine.json") >= 15


def test_machine_names_say_the_class():
    assert history.machine_name() == history.machine_name().lower()
    assert history.machine_name().rpartition("-")[2].removesuffix("cores").isdigit()
