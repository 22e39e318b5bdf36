"""Two commits side by side: a wheel of each, built and installed apart, over the same dependencies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks.calls import N_THREADS

WORKER = Path(__file__).with_name("worker.py")
PACKAGES = {"jitloss": "python/jitloss", "jitloss_kernels": "kernels/jitloss_kernels"}
PATIENCE = 300  # seconds for one process


class BrokenError(Exception):
    """A side that cannot be built, does not run, or is not the commit it should be."""


@dataclass(frozen=True)
class Side:
    """One commit, installed."""

    name: str  # "before" or "after"
    commit: str
    folder: Path  # what is on PYTHONPATH
    cache: Path  # its own compiled code: none of the other side's can be served here
    files: dict[str, str]  # hash of the contents that the commit has, by path below `folder`

    def run(self, asked: dict[str, Any], cache: Path | None = None) -> dict[str, float]:
        """Figures of a fresh process; BrokenError if it fails, or if it imported anything but this commit."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "PYTHON"))}
        environment |= {
            "PYTHONPATH": str(self.folder),
            "NUMBA_CACHE_DIR": str(cache or self.cache),
            "NUMBA_NUM_THREADS": str(N_THREADS),
            "OPENBLAS_NUM_THREADS": str(N_THREADS),
        }
        command = [sys.executable, str(WORKER), json.dumps(asked)]
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise BrokenError(f"{self.name} ({self.commit[:10]}) took more than {PATIENCE} s") from error
        if done.returncode:
            raise BrokenError(f"{self.name} ({self.commit[:10]}) failed:\n{done.stderr[-3000:]}")
        answer = json.loads(done.stdout.splitlines()[-1])
        self.verify(answer["imported"])
        return answer["figures"]

    def verify(self, imported: dict[str, str]) -> None:
        """BrokenError unless every file that was imported is, byte for byte, the commit's."""
        if not imported:
            raise BrokenError(f"{self.name}: jitloss was not imported")
        for path, found in imported.items():
            place = Path(path)
            inside = place.relative_to(self.folder).as_posix() if place.is_relative_to(self.folder) else None
            if inside is None:
                raise BrokenError(f"{self.name}: {path} was imported, not what was installed in {self.folder}")
            if self.files.get(inside) != found:
                raise BrokenError(f"{self.name}: {inside} is not the file of commit {self.commit[:10]}")


# Python 3.11.0 to 3.11.3 know no filters; what git packs holds nothing that one would refuse.
_CAREFULLY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def install(name: str, revision: str, repository: Path, folder: Path) -> Side:
    """Build the wheel of a revision from nothing but what git has of it, and install it below `folder`."""
    commit = git(repository, "rev-parse", "--verify", f"{revision}^{{commit}}").strip()
    # Paths of one length: an environment that is a byte longer moves the stack, and that can be measured.
    place = folder / {"before": "a", "after": "b"}[name]
    source, wheels, target = (place / part for part in ("source", "wheels", "site"))
    archive = subprocess.run(["git", "-C", str(repository), "archive", commit], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as packed:
        packed.extractall(source, **_CAREFULLY)
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source), what=f"the wheel of {revision}")
    wheel = next(wheels.glob("*.whl"))
    _pip("install", "--no-deps", "--target", str(target), str(wheel), what=f"the installation of {revision}")
    return Side(name, commit, target, place / "cache", _tree(repository, commit))


def install_both(revisions: tuple[str, str], repository: Path, folder: Path) -> tuple[Side, Side]:
    """BASE and HEAD, built at the same time."""
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(install, ("before", "after"), revisions, [repository] * 2, [folder] * 2)
    return before, after


def git(repository: Path, *arguments: str) -> str:
    """Output of a git command; BrokenError with git's own words."""
    done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def _tree(repository: Path, commit: str) -> dict[str, str]:
    """Hashes of the packages' files in a commit, by path as installed."""
    found = {}
    for package, folder in PACKAGES.items():
        for line in git(repository, "ls-tree", "-r", commit, "--", folder).splitlines():
            (_, _, blob), path = line.split("\t")[0].split(), line.split("\t")[1]
            found[f"{package}/{Path(path).relative_to(folder).as_posix()}"] = blob
    return found


def _pip(*arguments: str, what: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenError(f"{what} failed:\n{done.stderr[-3000:]}")
