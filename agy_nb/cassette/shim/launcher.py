"""A file that starts a stand-in: what ANTIGRAVITY_HARNESS_PATH is set to.

The variable wants the path of one program and has no room for arguments; they stand in the file.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from agy_nb.cassette.shim.errors import NoLauncherError

MARK = "# starts agy-nb in the place of the harness"
"""The second line of each launcher. `sdk/process/refused_harness.sh` looks for it."""

_MODE = 0o755


def write(path: Path, argv: Sequence[str]) -> Path:
    """Write a launcher. Writes the disk.

    Args:
        path: The file to be; an older launcher is replaced.
        argv: Arguments of the stand-in.

    Returns:
        Its absolute path.

    Raises:
        NoLauncherError: It cannot be written, or something else is in its place.
    """
    path = path.absolute()
    # -P: the client's folder may hold a types.py; a program that it starts must not import that.
    command = [sys.executable, "-P", "-m", "agy_nb.cassette.shim", *argv]
    text = f'#!/bin/sh\n{MARK}\nexec {shlex.join(command)} "$@"\n'
    try:
        if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
            raise NoLauncherError(
                f"{path} exists and is not a launcher; it is not overwritten. Choose another name"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(_MODE)
        new.replace(path)
    except OSError as error:
        raise NoLauncherError(
            f"{path} cannot be written: {error.strerror or error}. Choose another place"
        ) from error
    return path
