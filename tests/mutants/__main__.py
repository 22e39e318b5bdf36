"""Mutants: each small change of the ``.toml`` files, made to a copy of the repository, has to turn its test red.

python tests/mutants            # all of them, half an hour
python tests/mutants hinge      # those whose name contains a word

Some tests turn red in one of CI's other runs alone: their mutants have an `environment`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]
RED = 1  # pytest: tests ran, some failed; anything else (nothing collected, an error of usage) proves nothing
PATIENCE = 300


def copy(folder: Path) -> Path:
    """What git tracks, as it lies here now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        source = ROOT / name
        if name and source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def run(test: str, folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A test of the copy, on the copy, with a cache of its own; a crash of the process turns it red, too."""
    environment = {
        **os.environ,
        **settings,
        "PYTHONPATH": os.pathsep.join(str(folder / part) for part in ("kernels", "python")),
        "NUMBA_CACHE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--numprocesses=0", "-p", "no:cacheprovider", test]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def verdict(mutant: dict[str, Any], folder: Path) -> str:
    """ "killed", or what is wrong."""
    file = folder / mutant["file"]
    text = file.read_text()
    if text.count(mutant["old"]) != 1:
        return f"BROKEN: what it changes stands {text.count(mutant['old'])} times in {mutant['file']}"
    try:
        file.write_text(text.replace(mutant["old"], mutant["new"]))
        done = run(mutant["test"], folder, mutant.get("environment", {}))
    except subprocess.TimeoutExpired:
        return "killed (it hangs)"
    finally:
        file.write_text(text)
    if done.returncode == RED or done.returncode < 0:  # red, or the process itself died
        return "killed"
    if done.returncode == 0:
        return f"SURVIVED {mutant['test']}"
    return f"BROKEN: pytest ended with {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-500:]}"


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    lists = (tomllib.loads(path.read_text())["mutant"] for path in sorted(Path(__file__).parent.glob("*.toml")))
    mutants = [mutant for listed in lists for mutant in listed if word in mutant["name"]]
    left = 0
    with TemporaryDirectory() as temporary:
        folder = copy(Path(temporary).resolve())
        for test, *settings in sorted({(mutant["test"], *mutant.get("environment", {}).items()) for mutant in mutants}):
            if run(test, folder, dict(settings)).returncode:
                print(f"BROKEN: {test} is red without any mutant", flush=True)
                left += 1
        for mutant in mutants:
            start = time.monotonic()
            found = verdict(mutant, folder)
            left += not found.startswith("killed")
            print(f"{found.splitlines()[0]:9} {time.monotonic() - start:5.0f} s  {mutant['name']}", flush=True)
            print(*found.splitlines()[1:], sep="\n", end="\n" if "\n" in found else "")
    print(f"{len(mutants)} mutants, {left} not killed")
    return min(left, 1)


if __name__ == "__main__":
    sys.exit(main())
