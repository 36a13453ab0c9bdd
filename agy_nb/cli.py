"""The command `agy-nb`: parse arguments, call the code of a command, show its result.

An `AgyError` is shown as one line with exit code 1, never as a traceback. The modules in `PLUGINS`
add further commands: their `add_parser(commands)` adds parsers and sets `run`, a function of the
parsed arguments that returns the exit code.
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
        argv: The arguments; those of the process when None.

    Returns:
        The exit code: 0 for success, 1 for an error or a difference, 2 for wrong arguments, 130
        after an interrupt.

    Example:
        >>> main(["--version"])
        agy-nb ...
        0
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # the terminal may not support all characters
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as exit_:  # argparse has printed the reason
        return int(exit_.code or 0)
    if arguments.run is None:
        parser.print_help()
        return 2
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, e.g. `head`, has closed the pipe
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
    return f"{error.filename}: {error.strerror}. Check the path, or choose another one"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agy-nb",
        description="Run, record, replay and analyse Google Antigravity agents in Jupyter.",
    )
    parser.add_argument(
        "--version", action="version", version=f"agy-nb {metadata.version('agy-nb')}"
    )
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    demo_parser = commands.add_parser(
        "demo",
        help="run the quickstart notebook without a browser",
        description="Run the quickstart notebook without a browser, and write it with its outputs.",
    )
    demo_parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the executed notebook and its HTML page (default: a new temporary folder)",
    )
    demo_parser.set_defaults(run=_demo)
    doctor_parser = commands.add_parser(
        "doctor",
        help="check the installation and try an agent; exit code 0 if it answers",
        description="Check the installation and try an agent. The exit code is 0 if it answers.",
    )
    doctor_parser.add_argument("--json", action="store_true", help="print the report as JSON")
    doctor_parser.set_defaults(run=_doctor)
    for name in PLUGINS:
        if find_spec(name) is not None:
            import_module(name).add_parser(commands)
    return parser


def _print_line(line: str) -> None:
    print(printable(line), flush=True)


def _demo(arguments: argparse.Namespace) -> int:
    demo.run(arguments.output, tell=_print_line)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    checks: list[doctor.Check] = asyncio.run(_examined(lines=not arguments.json))
    good = doctor.passed(checks)
    if arguments.json:
        report = {"ok": good, "checks": [dataclasses.asdict(check) for check in checks]}
        _print_line(json.dumps(report, indent=2))
    elif sys.stdout.isatty():
        _show_table(checks)
    return 0 if good else 1


async def _examined(*, lines: bool) -> list[doctor.Check]:
    """Run all checks; without a terminal, print each one as soon as it is done."""
    checks = []
    async for check in doctor.examine():
        checks.append(check)
        if lines and sys.stdout.isatty():
            print(f"\r\x1b[Kchecked {check.name} ...", end="", file=sys.stderr, flush=True)
        elif lines:
            _print_line(f"{_MARKS[check.status]:<4}  {check.name:<13}  {check.detail}")
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
