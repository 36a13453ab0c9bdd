"""Refuse harnesses of other programs that this process starts while a cassette is in use.

A child that uses only the SDK does not import agy_nb, so nothing in it knows of the cassette. The
SDK takes its harness from ANTIGRAVITY_HARNESS_PATH. While a cassette is in use, children find the
program `refused_harness.sh` there. It prints why they get no harness, and the SDK shows that text
in its error. A child that imports agy_nb refuses agents by itself, and forgets this program; see
`inherited_cassette`.

Rule 1: only the environment of children changes; see `child_environment`.
Rule 2: a launcher of `agy-nb harness` still runs, because it records or replays the child. The
program starts it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from agy_nb.sdk.process.child_environment import changed

PATH_VARIABLE = "ANTIGRAVITY_HARNESS_PATH"
"""The SDK's variable for another harness binary."""
BEFORE = "AGY_HARNESS_PATH_BEFORE"
"""Holds the value of the variable that this module has replaced; empty for none."""
WORDS = "AGY_HARNESS_REFUSAL"
"""Holds the text that the program prints."""
PROGRAM = Path(__file__).with_suffix(".sh")


@contextlib.contextmanager
def refused(words: str) -> Iterator[None]:
    """Have harnesses of children print a text and end, while the block lasts.

    Args:
        words: The text.
    """
    if sys.platform == "win32":  # where the SDK needs a program in the machine's own format
        yield
        return

    def change(environ: Mapping[str, str]) -> dict[str, str]:
        named = environ.get(PATH_VARIABLE, "")
        if named == str(PROGRAM):
            named = environ.get(BEFORE, "")
        return {PATH_VARIABLE: str(PROGRAM), BEFORE: named, WORDS: words}

    with changed(change):
        yield


def forget() -> None:
    """Undo the change in the environment of this process, which refuses agents by itself."""
    before = os.environ.pop(BEFORE, None)
    if before is None:
        return
    os.environ.pop(WORDS, None)
    os.environ.pop(PATH_VARIABLE, None)
    if before:
        os.environ[PATH_VARIABLE] = before
