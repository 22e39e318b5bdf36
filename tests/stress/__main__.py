"""Stress: random calls, threads, forks and signals for a chosen time, every result compared.

    python tests/stress --minutes 20
    python tests/stress --minutes 20 --layer workqueue  # one threading layer alone
    python tests/stress --replay SEED NUMBER            # one case again, alone

Processes follow each other on tbb, omp and workqueue, each for half a minute, with a pool of four. In each: calls of
any shape, dtype, layout and options, one in eight of a net; several Python threads at once; forks, whose children call
too; Ctrl-C in the middle of a call. In some of them every call of the main thread counts as a long one. Between two
processes the cache of compiled code is damaged. Exit status 1 if a result was wrong, a process crashed or hung, or
memory grew.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

LAYERS = ("tbb", "omp", "workqueue")
TURN, PATIENCE = 30.0, 180.0  # seconds of a process; until it counts as hung
FORK_PATIENCE = 60.0  # until a forked child does
# Bytes that a process may grow by after its first third: cases differ in size, and LLVM keeps what it needs to compile
# for a new kind of X. Small leaks are what tests/test_hosts.py looks for, over a hundred thousand calls.
GROWTH = 400 << 20
N_THREADS = 4
# One case of so many is a net.
A_NET_IN = 8


def kind(number: int) -> ModuleType:
    """The module that draws the case of this number, runs it, and says what is wrong with a result."""
    import cases
    import nets

    return nets if number % A_NET_IN == 0 else cases


def child(layer: str, seed: int, first: int, seconds: float) -> int:
    """Cases from number `first` on; the last line says what was done."""
    from jitloss_kernels import workers

    signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, it would be ignored
    done: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    numbers = iter(range(first, 1 << 60))
    end, settled, early = time.monotonic() + seconds, time.monotonic() + seconds / 3, 0
    if random.Random(f"{seed} {first}").random() < 0.4:
        workers.LONG_FLOPS = 1  # every call counts as long: helpers do it, while this thread can be interrupted
        done["processes of long calls"] += 1

    def one(number: int) -> None:
        cases = kind(number)
        case = cases.draw(seed, number)
        done[case.engine] += 1
        try:
            if problem := cases.mismatch(case, cases.run(case)):
                wrong.append(f"{case}: {problem}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            wrong.append(f"{case}: {type(error).__name__}: {error}")

    while time.monotonic() < end and not wrong:
        event = random.Random(f"{seed} {first} {sum(done.values())}").random()
        if event < 0.08:
            several_threads(one, numbers, done)
        elif event < 0.12 and hasattr(os, "fork"):
            forked(one, numbers, wrong, done)
        elif event < 0.16:
            interrupted(one, numbers, done)
        else:
            one(next(numbers))
        if not early and time.monotonic() > settled:
            early = resident()
    grown = resident() - (early or resident())
    if grown > GROWTH:
        wrong.append(f"memory grew by {grown >> 20} MB")
    print(json.dumps({"next": next(numbers), "done": done, "wrong": wrong, "grown": grown, "layer": layer}))
    return 0


def several_threads(one, numbers, done) -> None:
    """Four Python threads call at once."""
    threads = [threading.Thread(target=one, args=(next(numbers),)) for _ in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done["at once"] += 1


def forked(one, numbers, wrong, done) -> None:
    """A forked child calls, and forks a child that calls."""
    number = next(numbers)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()  # so that it can be killed with its own child
        status = 1
        try:
            one(number)
            grandchild = os.fork()
            if not grandchild:
                one(number)
            status = os.waitpid(grandchild, 0)[1] if grandchild else 0
            os.write(writer, "\n".join(wrong).encode()[:4000])
        finally:
            os._exit(1 if status or wrong else 0)
    os.close(writer)
    ended, status = _waited(pid, time.monotonic() + FORK_PATIENCE)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace") if ended else ""
    if not ended:
        wrong.append(f"case {number}: a forked child hung")
    elif status:
        wrong.append(f"case {number}: a forked child or its own ended with {status}: {said}")
    done["forks"] += 1


def _waited(pid: int, deadline: float) -> tuple[bool, int]:
    """Whether a child has ended in time, and its status; else it is killed."""
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _kill(pid)  # its child, if it has left one behind
            return True, os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    _kill(pid)
    os.waitpid(pid, 0)
    return False, 0


def _kill(group: int) -> None:
    """End all processes of a group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def interrupted(one, numbers, done) -> None:
    """Ctrl-C within a few milliseconds of a call; what comes after must be right."""
    timer = threading.Timer(random.random() * 0.02, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        one(next(numbers))
        timer.join()
        time.sleep(0.001)
    except KeyboardInterrupt:
        done["interrupts"] += 1
    finally:
        timer.cancel()


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def environment(layer: str, cache: Path) -> dict[str, str]:
    """A pool of four on a layer; tbb is what is taken when none is named."""
    settings = os.environ | {"NUMBA_NUM_THREADS": str(N_THREADS), "NUMBA_CACHE_DIR": str(cache)}
    if layer in ("omp", "workqueue"):
        settings["NUMBA_THREADING_LAYER"] = layer
    return settings


def damage(cache: Path, chance: random.Random) -> int:
    """Cut off or garble a file of compiled code."""
    files = sorted(path for path in cache.rglob("*") if path.is_file())
    if not files:
        return 0
    file = chance.choice(files)
    content = bytearray(file.read_bytes())
    if chance.random() < 0.5:
        content = content[: len(content) // 2]
    elif content:
        content[chance.randrange(len(content))] ^= 0xFF
    file.write_bytes(content)
    return 1


def stress(minutes: float, seed: int, layers: tuple[str, ...] = LAYERS) -> int:
    """Process after process, until time is up."""
    end, first = time.monotonic() + 60 * minutes, 0
    totals: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    chance = random.Random(seed)
    with TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        turn = 0
        while time.monotonic() < end and not failures:
            layer = layers[turn % len(layers)]
            seconds = min(TURN, max(5.0, end - time.monotonic()))
            command = [sys.executable, __file__, "--child", layer, str(seed), str(first), str(seconds)]
            try:
                done = subprocess.run(
                    command,
                    env=environment(layer, cache),
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                failures.append(f"{layer}, from case {first} on: hung")
                break
            if done.returncode:
                failures.append(f"{layer}, from case {first} on: exit {done.returncode}\n{done.stderr[-2000:]}")
                break
            found = json.loads(done.stdout.splitlines()[-1])
            first = found["next"]
            failures += [f"{layer}: {what}" for what in found["wrong"]]
            totals.update(found["done"])
            totals[f"processes on {layer}"] += 1
            totals["most grown, MB"] = max(totals["most grown, MB"], found["grown"] >> 20)
            totals["damaged cache files"] += damage(cache, chance)
            turn += 1
            if sys.stderr.isatty():
                print(f"\r{first} cases, {max(0, end - time.monotonic()):.0f} s left ", end="", file=sys.stderr)
    print(f"seed {seed}: {first} cases; " + ", ".join(f"{k}: {v}" for k, v in sorted(totals.items())))
    print("\n".join(failures) or "no mismatch, no crash, no hang")
    return 1 if failures else 0


def replay(seed: int, number: int) -> int:
    """One case again."""
    cases = kind(number)
    case = cases.draw(seed, number)
    print(case)
    problem = cases.mismatch(case, cases.run(case))
    print(problem or "right")
    return 1 if problem else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    parser.add_argument("--replay", nargs=2, type=int, metavar=("SEED", "NUMBER"))
    parser.add_argument("--layer", choices=LAYERS, help="one layer alone")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        layer, seed, first, seconds = chosen.child
        return child(layer, int(seed), int(first), float(seconds))
    if chosen.replay:
        return replay(*chosen.replay)
    seed = int(time.time()) if chosen.seed is None else chosen.seed
    return stress(chosen.minutes, seed, (chosen.layer,) if chosen.layer else LAYERS)


if __name__ == "__main__":
    sys.exit(main())
