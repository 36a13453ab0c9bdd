"""The command `agy-nb`.

Rule 1: what is looked at or done lives elsewhere; here arguments are read and results are shown.
Rule 2: an error of ours is one clear line and exit code 1, never a traceback.
Rule 3: further commands come from the layers: each module of `PLUGINS` that exists has
`add_parser(commands)`, which adds parsers and sets `run`, a function of the parsed arguments that
gives the exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import io
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from agy_nb import demo, doctor
from agy_nb.errors import AgyError
from agy_nb.terminal import printable

PLUGINS = ("agy_nb.cassette.cli", "agy_nb.cassette.shim.cli", "agy_nb.analysis.cli")

INTERRUPTED = 130
_MARKS = {"ok": "ok", "note": "--", "fail": "FAIL"}
_COLOURS = {"ok": "green", "note": "yellow", "fail": "bold red"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Its arguments; those of the process when None.

    Returns:
        The exit code: 0 when all went well, 1 on an error or a difference, 2 on wrong arguments,
        130 when interrupted.

    Example:
        >>> main(["--version"])
        agy-nb ...
        0
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that a terminal has no letters for
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as exit_:  # argparse has said why
        return int(exit_.code or 0)
    if arguments.run is None:
        parser.print_help()
        return 2
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("agy-nb: interrupted", file=sys.stderr)
        return INTERRUPTED
    except AgyError as error:
        print(f"agy-nb: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"agy-nb: {printable(_plainly(error))}", file=sys.stderr)
        return 1
    return code


def _plainly(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}. Name another place, or see that this one is right"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agy-nb", description="The Google Antigravity SDK at home in Jupyter."
    )
    parser.add_argument(
        "--version", action="version", version=f"agy-nb {metadata.version('agy-nb')}"
    )
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    demo_parser = commands.add_parser("demo", help="run the quickstart notebook, headless")
    demo_parser.add_argument(
        "--output",
        type=Path,
        default=demo.OUTPUT,
        metavar="DIR",
        help="where to write the executed notebook and its page (default: %(default)s)",
    )
    demo_parser.set_defaults(run=_demo)
    doctor_parser = commands.add_parser(
        "doctor", help="show what is installed, and try an agent; exit code 0 if it answers"
    )
    doctor_parser.add_argument("--json", action="store_true", help="print the report as JSON")
    doctor_parser.set_defaults(run=_doctor)
    for name in PLUGINS:
        if find_spec(name) is not None:
            import_module(name).add_parser(commands)
    return parser


def _tell(line: str) -> None:
    print(printable(line), flush=True)


def _demo(arguments: argparse.Namespace) -> int:
    demo.run(arguments.output, tell=_tell)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    checks: list[doctor.Check] = asyncio.run(_examined(lines=not arguments.json))
    good = doctor.passed(checks)
    if arguments.json:
        report = {"ok": good, "checks": [dataclasses.asdict(check) for check in checks]}
        _tell(json.dumps(report, indent=2))
    elif sys.stdout.isatty():
        _show_table(checks)
    return 0 if good else 1


async def _examined(*, lines: bool) -> list[doctor.Check]:
    """All checks; in a pipe, each is told as soon as it is done."""
    checks = []
    async for check in doctor.examine():
        checks.append(check)
        if lines and sys.stdout.isatty():
            print(f"\r\x1b[Klooked at {check.name} ...", end="", file=sys.stderr, flush=True)
        elif lines:
            _tell(f"{_MARKS[check.status]:<4}  {check.name:<13}  {check.detail}")
    if lines and sys.stdout.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return checks


def _show_table(checks: list[doctor.Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False)
    for check in checks:
        mark = Text(_MARKS[check.status], style=_COLOURS[check.status])
        detail = Text(printable(check.detail), overflow="fold")
        table.add_row(mark, printable(check.name), detail)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
