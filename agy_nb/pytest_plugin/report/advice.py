"""Adds to an error about a cassette what the user can do: a marker's argument, a command.

The command is complete: you can paste it where pytest was called.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest

from agy_nb.pytest_plugin.marker import MARKER

if TYPE_CHECKING:
    from pathlib import Path


def advise(
    error: BaseException,
    covered: pytest.Item | pytest.Collector,
    config: pytest.Config,
    *,
    shared_in: Path | None,
    by_ci: bool,
    echo: bool,
) -> None:
    """Add notes to an error: how to record again, and how to accept what differs.

    Args:
        error: The error; one that is not about a cassette stays as it is.
        covered: The test, class, module or session whose cassette it is.
        config: Configuration of the run.
        shared_in: File or folder of the tests that share the cassette, None if it is not shared.
        by_ci: Whether the cassette is only replayed because `CI` is set.
        echo: Whether the cassette has answers of the echo model.
    """
    from agy_nb.cassette import (
        CassetteInvalidError,
        CassetteMismatchError,
        CassetteNotFoundError,
        EchoRecordingError,
    )
    from agy_nb.cassette.remedies import RECORD_AGAIN

    def command(mode: str, what: str, *, echo: bool = False) -> str:
        return f"{what}{_recording(covered, config, mode, shared_in=shared_in, echo=echo)}"

    if isinstance(error, CassetteNotFoundError):
        why = "CI is set: cassettes are only replayed. " if by_ci else ""
        error.add_note(f"{why}{command('once', 'To record it')}")
    elif isinstance(error, EchoRecordingError):
        error.add_note(command("all", "To record it", echo=True))
    elif isinstance(error, CassetteMismatchError):
        error.args = (error.text(None),)  # its advice is for code that calls use_cassette
        for number, remedy in enumerate(error.remedies or (RECORD_AGAIN,)):
            if remedy is RECORD_AGAIN:
                what = "If you intended the change, record it again"
                error.add_note(command("all", what, echo=echo))
            elif remedy.marker:
                error.add_note(f"{remedy.when}:\n    @pytest.mark.{MARKER}({remedy.marker})")
            else:
                python = remedy.python
                error.add_note(f"Or {python}" if number else f"{python[:1].upper()}{python[1:]}")
    if isinstance(error, CassetteInvalidError):
        error.add_note(command("all", "To record it again", echo=echo))


def _recording(
    covered: pytest.Item | pytest.Collector,
    config: pytest.Config,
    mode: str,
    *,
    shared_in: Path | None,
    echo: bool,
) -> str:
    """Return the command that records a cassette, with the tests and the model that it needs."""
    place = os.path.relpath(shared_in or covered.path, config.invocation_params.dir)
    inside = [] if shared_in else covered.nodeid.split("::")[1:]
    words = ["pytest", "::".join([place, *inside]), f"--agy-record-mode={mode}"]
    if folder := config.getoption("--agy-cassette-dir"):
        words.append(f"--agy-cassette-dir={folder}")
    if echo:
        words.append("--agy-echo")
    alone = shared_in is None and isinstance(covered, pytest.Item)
    sharing = "" if alone else ", with all tests that can share it"
    model = "the echo model" if echo else "a model at hand"
    return f"{sharing}, with {model}:\n    {shlex.join(words)}"
