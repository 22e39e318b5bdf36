"""Slowdowns that are meant: ``accepted.toml``.

    [[accepted]]
    benchmark = "losses.Loss.time_loss(softmax, fused, dev, float64)"   # or a regular expression
    commit = "4f0c2a91"                                                 # the one that brings it
    reason = "exponentials are accurate to half a unit in the last place now"
    floor = 0.15                                                        # how much worse it may be

An entry counts only while its commit lies between the two that are compared: once both have it, the old floor is back.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

from .plan import Benchmark
from .sides import BrokenError, git

_FIELDS = {"benchmark": str, "commit": str, "reason": str, "floor": (int, float)}


def read(file: Path) -> list[dict]:
    """The entries; BrokenError that names what is wrong with one. No file, no entries."""
    if not file.exists():
        return []
    try:
        entries = tomllib.loads(file.read_text()).get("accepted", [])
    except tomllib.TOMLDecodeError as error:
        raise BrokenError(f"{file}: {error}") from error
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise BrokenError(f"{file}: entries begin with [[accepted]]")
    for number, entry in enumerate(entries, 1):
        for name, kind in _FIELDS.items():
            if not isinstance(entry.get(name), kind) or isinstance(entry.get(name), bool):
                raise BrokenError(f"{file}, entry {number}: {name} is missing or of the wrong type")
        if unknown := entry.keys() - _FIELDS:
            raise BrokenError(f"{file}, entry {number}: unknown {', '.join(sorted(unknown))}")
        if not (entry["reason"].strip() and entry["floor"] > 0):
            raise BrokenError(f"{file}, entry {number}: a reason and a floor above 0 are needed")
    return entries


def floors(
    entries: Iterable[dict], benchmarks: Iterable[Benchmark], repository: Path, before: str, after: str
) -> dict[str, tuple[float, str]]:
    """New floors and their reasons, by benchmark, for what lies between the two commits."""
    found: dict[str, tuple[float, str]] = {}
    benchmarks = list(benchmarks)
    for entry in entries:
        commit = git(repository, "rev-parse", "--verify", f"{entry['commit']}^{{commit}}").strip()
        if not _is_in(repository, commit, after) or _is_in(repository, commit, before):
            continue
        for benchmark in benchmarks:
            if benchmark.name == entry["benchmark"] or re.fullmatch(entry["benchmark"], benchmark.name):
                found[benchmark.name] = (float(entry["floor"]), f"{commit[:10]}: {entry['reason']}")
    return found


def _is_in(repository: Path, commit: str, head: str) -> bool:
    command = ["git", "-C", str(repository), "merge-base", "--is-ancestor", commit, head]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
