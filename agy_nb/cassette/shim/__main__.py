"""`python -m agy_nb.cassette.shim`: what a launcher starts. As `agy-nb harness`, but sooner."""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import ArgumentParser

from agy_nb.cassette.shim.program import run
from agy_nb.cassette.shim.shim_options import DESCRIPTION, add_arguments
from agy_nb.errors import AgyError


def main() -> int:
    """Run the stand-in; gives the exit code."""
    parser = ArgumentParser(prog="agy-nb harness", description=DESCRIPTION)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except AgyError as error:
        sys.stderr.write(f"agy-nb harness: {error}\n")
        return 1


if __name__ == "__main__":
    code = main()
    with contextlib.suppress(OSError):  # the client reads no more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # the client waits for this end, and taking down all modules takes 40 ms
