"""Changes for the worse, each a small edit of one file, that the gate has to catch; and one for the better."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from .sides import BrokenError, git

_SCORES = (
    "            scores(plan, X, first, n, bias, scratch, s0, w0, -plan.block_rows if steals else plan.block_rows)\n"
)
_BLOCK = _SCORES + "            loss_of_block"
_EXPONENTIAL = "    r = vectors.multiply_add(whole, low, vectors.multiply_add(whole, high, inside))\n"
_ADDITIONS = "    for _ in range(240):\n        r = vectors.multiply_add(vectors.zero, inside, r)\n"
_FULL_SERIES = "else (_FLOAT64, _D)"
_COMPILED = "        return 0, code.address(_TYPES[char])\n"


@dataclass(frozen=True)
class Injection:
    """An edit, and the benchmarks (a regular expression) that have to show it; `undone`: it is BASE that has it."""

    name: str
    says: str
    file: str = ""
    old: str = ""
    new: str = ""
    expect: str = ""
    undone: bool = False

    @property
    def harmless(self) -> bool:
        """Whether an alarm would be a false one."""
        return self.undone or not self.file


def _scores_again(share: int) -> str:
    """Scores computed twice in so many of twenty blocks: once takes somewhat less than half of the time."""
    now_and_then = f"            if first // plan.block_rows * {share} % 20 < {share}:\n"
    return _SCORES + now_and_then + "    " + _BLOCK


_FUSED = r"losses\.Loss\.time_loss\((svm|softmax), fused, (batch|dev|tall)"

INJECTIONS = (
    Injection("same", "A/A: the same code, another commit"),
    Injection(
        "kernel-10", "(a) fused kernel: scores twice in 5 of 20 blocks, about 10 %",
        "kernels/jitloss_kernels/narrow_lane.py", _BLOCK, _scores_again(5), _FUSED,
    ),
    Injection(
        "kernel-25", "(a) fused kernel: scores twice in 11 of 20 blocks, about 25 %",
        "kernels/jitloss_kernels/narrow_lane.py", _BLOCK, _scores_again(11), _FUSED,
    ),
    Injection(
        "helper", "(b) the exponential, in another file: 240 more additions of 0",
        "kernels/jitloss_kernels/exponential.py", _EXPONENTIAL, _EXPONENTIAL + _ADDITIONS,
        r"losses\..*softmax, fused, .*float64|training\.Objective",
    ),
    Injection(
        "reference", "(c) the NumPy reference: scores computed twice",
        "python/jitloss/reference.py", "row_loss(X @ W if bias is None", "row_loss(X @ W + 0 * (X @ W) if bias is None",
        r"losses\.Loss\.time_loss\(.*, numpy, dev",
    ),
    Injection(
        "import", "(d) import jitloss: 20 ms more",
        "python/jitloss/__init__.py", "from __future__ import annotations\n",
        "from __future__ import annotations\n\nimport time\n\ntime.sleep(0.02)\n", r"startup\.Import",
    ),
    Injection(
        "compile", "(e) compile time: the first call compiles every loss, not one",
        "kernels/jitloss_kernels/rows.py", _COMPILED,
        "        for name in ROWS:\n            compiled(name, char, False, False)\n" + _COMPILED,
        r"startup\.(FirstCallCold|Compiled)",
    ),
    Injection(
        "accuracy", "(f) accuracy: the exponential's series ends after ten terms",
        "kernels/jitloss_kernels/exponential.py", _FULL_SERIES, "else (_FLOAT64, _D[:10])",
        r"accuracy\..*softmax, fused, float64",
    ),
    Injection(
        "speed-up", "a kernel 25 % faster: (a) undone",
        "kernels/jitloss_kernels/narrow_lane.py", _BLOCK, _scores_again(11), undone=True,
    ),
)  # fmt: skip
BY_NAME = {injection.name: injection for injection in INJECTIONS}


def commit(injection: Injection, repository: Path) -> tuple[str, str]:
    """Commit the edit on top of what is checked out; BASE and HEAD of the comparison."""
    start = git(repository, "rev-parse", "HEAD").strip()
    if injection.file:
        file = repository / injection.file
        text = file.read_text()
        if text.count(injection.old) != 1:
            raise BrokenError(f"{injection.name}: what is to be changed is not, or not once, in {injection.file}")
        file.write_text(text.replace(injection.old, injection.new))
    command = ["-c", "user.name=proof", "-c", "user.email=proof@example.com", "commit", "--allow-empty", "-qam"]
    subprocess.run(["git", "-C", str(repository), *command, f"Injected: {injection.says}"], check=True)
    changed = git(repository, "rev-parse", "HEAD").strip()
    git(repository, "reset", "-q", "--hard", start)
    return (changed, start) if injection.undone else (start, changed)
