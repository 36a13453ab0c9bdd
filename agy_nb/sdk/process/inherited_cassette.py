"""Refuse agents of child processes that start while a cassette is in use.

A child that was spawned, and not forked, knows nothing of its parent's cassette, so its agents
would be live ones. The parent names the cassette in the environment. A child that imports agy_nb
then refuses to start agents, except in a cassette of its own; see `patches.install_on_import`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "AGY_CASSETTE_IN_USE"
"""Names the process that uses a cassette, and the cassette: `4711 cassettes/weather`."""


@contextlib.contextmanager
def announced(cassette: Path) -> Iterator[None]:
    """Name the cassette to child processes while the block lasts."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = f"{os.getpid()} {cassette}"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def refuse_agent() -> None:
    """Refuse to start an agent that the parent's cassette should have had.

    Raises:
        CassetteActiveError: An ancestor of this process uses a cassette.
    """
    process, _, cassette = os.environ.get(VARIABLE, "").partition(" ")
    if not cassette or process == str(os.getpid()):
        return
    from agy_nb.errors import CassetteActiveError

    raise CassetteActiveError(
        f"this process was started while the cassette {cassette} was in use in process {process}, "
        "and its agents would be neither recorded nor replayed. Start agents in the process that "
        "uses the cassette, use another cassette in this process, or use `agy-nb harness`",
        path=cassette,
    )
