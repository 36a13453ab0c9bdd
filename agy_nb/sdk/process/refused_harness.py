"""Refuse harnesses of other programs that this process starts while a cassette is in use.

A child that uses only the SDK does not import agy_nb, so nothing in it knows of the cassette. The
SDK takes its harness from ANTIGRAVITY_HARNESS_PATH. While a cassette is in use, children find a
small program there. It prints why they get no harness, and the SDK shows that text in its error. A
child that imports agy_nb refuses agents by itself, and forgets this program; see
`inherited_cassette`.

Rule 1: only the environment of children changes, not that of this process.
Rule 2: a launcher of `agy-nb harness` stays, because it records or replays the child.
Rule 3: a forked process writes and removes nothing, because it may leave without a clean-up.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

PATH_VARIABLE = "ANTIGRAVITY_HARNESS_PATH"
"""The SDK's variable for another harness binary."""
BEFORE = "AGY_HARNESS_PATH_BEFORE"
"""Holds the value of the variable that this module has replaced; empty for none."""
LAUNCHER_MARK = "# starts agy-nb in the place of the harness"
"""A line of each launcher that `agy-nb harness --write-launcher` writes."""
_ENV = 10
"""The place of `env` among the arguments of `subprocess.Popen`."""
_left: list[Path] = []
"""Folders of programs whose block is over; the end of a block must not write the disk."""


@contextlib.contextmanager
def refused(words: str) -> Iterator[None]:
    """Have harnesses of children print a text and end, while the block lasts.

    Call `remove_programs` afterwards, in a thread if a loop runs.

    Args:
        words: The text.
    """
    if sys.platform == "win32":  # where the SDK needs a program in the machine's own format
        yield
        return
    refuser = _Refuser(words)
    start: Any = subprocess.Popen.__init__
    subprocess.Popen.__init__ = refuser.around(start)  # type: ignore[method-assign]
    try:
        yield
    finally:
        subprocess.Popen.__init__ = start  # type: ignore[method-assign]
        if refuser.folder is not None and refuser.is_here:
            _left.append(refuser.folder)


def remove_programs() -> None:
    """Remove the programs of blocks that are over. Writes the disk."""
    while _left:
        shutil.rmtree(_left.pop(), ignore_errors=True)


def forget() -> None:
    """Undo the change in the environment of this process, which refuses agents by itself."""
    before = os.environ.pop(BEFORE, None)
    if before is None:
        return
    os.environ.pop(PATH_VARIABLE, None)
    if before:
        os.environ[PATH_VARIABLE] = before


class _Refuser:
    """The program, which is written when the first child starts.

    Args:
        words: What the program prints.

    Attributes:
        folder: The program's folder, None before it is written.
    """

    def __init__(self, words: str) -> None:
        self._words = words
        self._process = os.getpid()
        self.folder: Path | None = None

    @property
    def is_here(self) -> bool:
        """Whether this process is the one that uses the cassette, and not a fork of it."""
        return os.getpid() == self._process

    def around(self, start: Callable[..., None]) -> Callable[..., None]:
        """Return `Popen.__init__` with the variable in the child's environment."""

        def init(popen: Any, *args: Any, **options: Any) -> None:
            if len(args) <= _ENV:
                given = options.get("env")
                options["env"] = self._environ(os.environ if given is None else given)
            start(popen, *args, **options)

        return init

    def _environ(self, environ: Mapping[Any, Any]) -> Mapping[Any, Any]:
        named = environ.get(PATH_VARIABLE) or ""
        if BEFORE in environ or (named and _is_launcher(named)):
            return environ
        if self.folder is None and not self.is_here:
            return environ
        return {**environ, PATH_VARIABLE: self._program(), BEFORE: named}

    def _program(self) -> str:
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="agy-nb-refused-"))
            path = self.folder / "harness"
            say = f"echo {shlex.quote(self._words)} >&2"
            # Without a reader, the SDK would fail as it writes, and not show the text.
            path.write_text(f"#!/bin/sh\nhead -c 4 >/dev/null\n{say}\nexit 1\n")
            path.chmod(0o700)
        return str(self.folder / "harness")


def _is_launcher(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return LAUNCHER_MARK.encode() in file.read(4096)
    except OSError:
        return False
