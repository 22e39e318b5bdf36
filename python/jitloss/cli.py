"""The command ``jitloss``. Exit status: 0 right, 1 a wrong result, 2 a request that cannot be carried out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__, data
from .losses import LOSSES
from .terminal import Refused, console, progress_bar, require, require_folders, write_whole
from .train import command as train

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (Refused, data.DataError) as error:
        print(f"jitloss: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"jitloss: not enough memory: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jitloss: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `jitloss compare | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jitloss", description="Multiclass losses and gradients, fast, on a CPU.")
    parser.add_argument("--version", action="version", version=f"jitloss {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    compare = _command(commands, "compare", run_compare, "time the ways to write a loss on the same data")
    source = compare.add_mutually_exclusive_group()
    source.add_argument(
        "--data", nargs="+", metavar="SOURCE",
        help="FILE.npz, with arrays X and y; or cifar10 FOLDER, the folder of CIFAR-10's binary version",
    )  # fmt: skip
    source.add_argument(
        "--shape", action="append", metavar="NxDxC", help=f"a generated problem, or one of {', '.join(data.SHAPES)}"
    )
    compare.add_argument("--loss", choices=tuple(LOSSES), help="only this loss")
    compare.add_argument("--dtype", choices=("float64", "float32"), help="only this dtype")
    compare.add_argument("--threads", type=_at_least(1), metavar="N", help="threads a side (default: all)")
    compare.add_argument("--against", default="", metavar="PEERS", help="others too, out of sklearn,torch,jax")
    compare.add_argument("--quick", action="store_true", help="a look: fewer rounds, one first call")
    compare.add_argument(
        "--no-first-calls", action="store_true", help="leave first calls out: to compile takes most of the time"
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    compare.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the figures")
    compare.add_argument("--roofline", type=Path, metavar="FILE.png", help="draw where each stands under the roof")

    train.add_arguments(_command(commands, "train", train.run, "fit a model to data, and draw how it learned"))

    check = _command(commands, "check", run_check, "check gradients against central differences and the reference")
    check.add_argument("--seed", type=_at_least(0), default=0, help="of the problems (default: 0)")

    _command(commands, "info", run_info, "what this installation runs on")
    _command(commands, "warmup", run_warmup, "compile everything now, so that no first call has to wait")
    return parser


def _command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], says: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` on."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return parse


def run_compare(options: argparse.Namespace) -> int:
    require("rich", "threadpoolctl", *(["matplotlib"] if options.plot or options.roofline else []))
    from .compare.measure import FULL, QUICK
    from .compare.run import Plan, compare
    from .compare.table import show
    from .runtime import info

    require_folders(options.json, options.plot, options.roofline)
    n_threads = _threads(options.threads, info()["threads"])
    plan = Plan(
        data=_data(options),
        losses=(options.loss,) if options.loss else tuple(LOSSES),
        dtypes=(options.dtype,) if options.dtype else ("float64", "float32"),
        n_threads=n_threads,
        against=_peers(options.against, n_threads),
        effort=QUICK if options.quick else FULL,
        first_calls=0 if options.no_first_calls else 1 if options.quick else 3,
        roof=options.roofline is not None,
    )
    with progress_bar(plan.steps) as step:
        report = compare(plan, step)
    if options.json:  # files first: what was measured is not lost to a terminal that cannot show it
        write_whole(options.json, lambda path: path.write_text(json.dumps(report.as_dict(), indent=1) + "\n"))
    if options.plot:
        from .compare.plot import draw

        write_whole(options.plot, lambda path: draw(report, path))
    if options.roofline:
        from .compare import roofline

        assert report.roof is not None
        roof = report.roof
        write_whole(options.roofline, lambda path: roofline.draw(report, roof, path))
    with console() as output:
        show(report, output)
    return 0 if report.right else 1


def _data(options: argparse.Namespace) -> list[data.Data]:
    if options.shape:
        return [data.of_shape(text) for text in options.shape]
    if not options.data:
        return [data.digits(), data.of_shape("dev")]
    if options.data[0] == "cifar10":
        return [data.from_words(options.data)]
    return [data.read_npz(Path(name)) for name in options.data]


def _threads(wanted: int | None, most: int) -> int:
    if wanted is not None and wanted > most:
        raise Refused(f"--threads {wanted}: numba's pool has {most} (NUMBA_NUM_THREADS sets it)")
    return wanted or most


def _peers(text: str, n_threads: int) -> list[str]:
    from .compare.machine import available_cores
    from .compare.peers import PEERS, installed

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PEERS:
            raise Refused(f"--against {name}: expected names out of {', '.join(PEERS)}")
        if not installed(name):
            raise Refused(
                f"--against {name}: it is not installed (pip install {'scikit-learn' if name == 'sklearn' else name})"
            )
    if "jax" in names and n_threads != available_cores():
        raise Refused(f"--against jax: JAX runs on every core, so the other side needs --threads {available_cores()}")
    return names


def run_check(options: argparse.Namespace) -> int:
    require("rich")
    from rich.table import Table

    from .gradcheck import check_all

    table = Table("loss", "implementation", "dtype", "N×D×C", title="Largest relative error", title_justify="left")
    for heading in ("loss", "gradient", "vs. differences", ""):
        table.add_column(heading, justify="right")
    checks = check_all(options.seed)
    for row in checks:
        errors = (f"{error:.1e}" for error in (row.loss_error, row.reference_error, row.differences_error))
        verdict = "ok" if row.passed else "FAILED"
        shape = "×".join(map(str, row.shape))
        style = None if row.passed else "bold red"
        table.add_row(row.loss, row.implementation, row.dtype, shape, *errors, verdict, style=style)
    failed = sum(not row.passed for row in checks)
    with console() as output:
        output.print(table)
        output.print(f"{len(checks) - failed} of {len(checks)} checks passed", highlight=False)
    return 1 if failed else 0


def run_info(options: argparse.Namespace) -> int:
    from .runtime import info

    for name, value in info().items():
        text = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        print(f"{name:16} {text}")
    return 0


def run_warmup(options: argparse.Namespace) -> int:
    from .runtime import warmup

    for (loss, dtype), seconds in warmup().items():
        print(f"{loss:8} {dtype:8} {seconds:6.2f} s")
    return 0
