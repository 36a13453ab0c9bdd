"""Refuse agents of child processes that start while a cassette is in use.

A child that was spawned, and not forked, knows nothing of its parent's cassette, so its agents
would be live ones. The parent names the cassette in the environment. A child that imports agy_nb
then refuses to start agents, except in a cassette of its own; see `patches.install_on_import`. A
child of `multiprocessing` imports agy_nb first of all, also if its program does not. Its parent may
be a server that was started before the cassette, so it gets the name again. Each other child
that does not import agy_nb finds a harness that refuses; see `refused_harness`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from multiprocessing import spawn
from pathlib import Path
from typing import Any

from agy_nb.sdk.process import refused_harness

VARIABLE = "AGY_CASSETTE_IN_USE"
"""Names the process that uses a cassette, and the cassette: `4711 cassettes/weather`."""


class _Announcement:
    """What `multiprocessing` hands to a child, which runs this line as it reads it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __reduce__(self) -> tuple[Any, ...]:
        # The child has no path of modules yet, so agy_nb is found only if it is installed.
        line = (
            f"import contextlib, os\nos.environ[{VARIABLE!r}] = {self._text!r}\n"
            "with contextlib.suppress(ImportError):\n import agy_nb"
        )
        return exec, (line, {})


@contextlib.contextmanager
def announced(cassette: Path) -> Iterator[None]:
    """Name the cassette to child processes while the block lasts."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = f"{os.getpid()} {cassette}"
    prepare = spawn.get_preparation_data

    def with_cassette(name: str) -> dict[str, Any]:
        return {**prepare(name), "agy_nb": _Announcement(f"{os.getpid()} {cassette}")}

    spawn.get_preparation_data = with_cassette
    try:
        with refused_harness.refused(f"agy_nb: {refusal(cassette, os.getpid())}"):
            yield
    finally:
        spawn.get_preparation_data = prepare
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def refusal(cassette: object, process: object) -> str:
    """Return why a process started by the one that uses a cassette can have no agents."""
    return (
        f"this process was started while the cassette {cassette} was in use in process {process}, "
        "and its agents would be neither recorded nor replayed. Start agents in the process that "
        "uses the cassette, use another cassette in this process, or use `agy-nb harness`"
    )


def refuse_agent() -> None:
    """Refuse to start an agent that the parent's cassette should have had.

    Raises:
        CassetteActiveError: An ancestor of this process uses a cassette.
    """
    process, _, cassette = os.environ.get(VARIABLE, "").partition(" ")
    if not cassette or process == str(os.getpid()):
        return
    from agy_nb.errors import CassetteActiveError

    raise CassetteActiveError(refusal(cassette, process), path=cassette)
