"""The command `agy-nb harness`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from agy_nb.cassette.shim.errors import ShimError
from agy_nb.cassette.shim.shim_options import DESCRIPTION, add_arguments

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command `harness`."""
    parser = commands.add_parser(
        "harness", help="replace the harness of any SDK: record or replay",
        description=DESCRIPTION,
    )  # fmt: skip
    add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: Namespace) -> int:
    if sys.platform == "win32":  # it needs the file locks and process groups of POSIX
        raise ShimError("agy-nb harness needs a POSIX system; on Windows, run it in WSL")
    from agy_nb.cassette.shim.program import run

    return run(arguments)
