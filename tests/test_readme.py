"""Every snippet of the README runs, and every line it quotes from a source file stands there."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jitloss
import jitloss_kernels
from problems import JIT_DISABLED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SOURCES = {
    path.name: path.read_text()
    for package in (jitloss, jitloss_kernels)
    for path in Path(package.__file__).parent.glob("*.py")
}


def test_python_snippets_run_in_order(capsys, tmp_path, monkeypatch):
    """One after the other, in one namespace, as a reader would; what a comment promises is asserted in the snippet."""
    monkeypatch.chdir(tmp_path)
    snippets = [code for language, code in BLOCKS if language == "python"]
    assert len(snippets) >= 2
    namespace: dict[str, object] = {}
    for number, code in enumerate(snippets):
        exec(compile(code, f"README.md, Python snippet {number + 1}", "exec"), namespace)


def commands() -> list[str]:
    return [line for language, code in BLOCKS if language == "bash" for line in code.splitlines()]


def test_every_block_is_of_a_kind_that_is_tested():
    assert {language for language, _ in BLOCKS} <= {"python", "bash", "text"}


def test_the_first_two_commands_install_and_run():
    """The two commands that do everything; CI runs the second as it stands."""
    assert commands()[:2] == ["pip install -e '.[cli]' && jitloss compare", "pip install -e '.[test]' && pytest"]
    assert commands()[1] in (ROOT / ".ci" / "run").read_text().replace("pip install -q", "pip install")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the README's reader keeps their own files: mine.npz and CIFAR-10, as its binary version is laid out."""
    folder, random = tmp_path_factory.mktemp("reader"), np.random.default_rng(0)
    np.savez(folder / "mine.npz", X=random.standard_normal((50, 4)), y=random.integers(0, 3, 50))
    (folder / "cifar-10-batches-bin").mkdir()
    for number in range(1, 6):
        records = random.integers(0, 256, (10_000, 3073), np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / "cifar-10-batches-bin" / f"data_batch_{number}.bin")
    return folder


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("jitloss ")])
def test_commands_run(command, folder):
    """Each command of the README, brief where it would take long."""
    words = command.partition("#")[0].split()
    if words[1] == "compare":
        if "sklearn" in words:
            pytest.importorskip("sklearn")
        if JIT_DISABLED and "mine.npz" not in words:
            pytest.skip("minutes of pure Python")
        words += ["--quick", "--loss", "softmax", "--dtype", "float32"]
        if "--roofline" not in words:  # one of them measures first calls
            words += ["--no-first-calls"]
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_quoted_lines_stand_in_their_files():
    """The table from formula to kernel quotes the sources; it may not drift from them."""
    section = README.split("## From formula to kernel")[1].split("\n## ")[0]
    header, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    files = re.findall(r"`(\w+\.py)`", header)
    quotes = 0
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")][-len(files) :]
        for name, cell in zip(files, cells, strict=True):
            for quote in re.findall(r"`([^`]+)`", cell):
                assert quote in SOURCES[name], (name, quote)
                quotes += 1
    assert quotes >= 12


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_no_line_is_about_a_machine_of_ours():
    """No absolute path, nobody's home folder."""
    assert not re.search(r"/(root|home|work|tmp)/", README)
