"""`%%agy_cassette`: a cell whose agents are recorded once and replayed ever after.

Rule 1: the cell runs as it would by itself: top-level `await`, the value of its last line, magics.
Rule 2: it prints nothing of its own, so that a notebook shows the same with every run.
Rule 3: its errors are shown as the cell's own, and those of a replay in words; our frames are not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from agy_nb import kernel
from agy_nb.cassette import CassetteError, use_cassette
from agy_nb.errors import AgyError, InvalidInputError

FOLDER = "cassettes"


@magics_class
class CassetteMagics(Magics):
    """The magic of cassettes; `%load_ext agy_nb` registers it."""

    @magic_arguments()
    @argument("name", help=f"the cassette: a name in ./{FOLDER}, or a path")
    @argument(
        "--mode",
        default="once",
        choices=["once", "none", "new_episodes", "all"],
        help="once (default): record a new cassette, replay an old one; none: only replay; "
        "new_episodes: replay, and record new sessions; all: record again",
    )
    @argument(
        "--seam",
        default="wire",
        choices=["wire", "model"],
        help="what to replay: the harness (wire), or only the model behind a real harness",
    )
    @argument("--speed", type=float, default=0.0, help="0: no delays; 1: the recorded pace")
    @argument(
        "--tools",
        default="check",
        choices=["check", "run", "replay"],
        help="host tools: run and compare (check), run, or do not call (replay)",
    )
    @argument("--ignore", action="append", default=[], help="a path in the frames that may differ")
    @argument("--allow-unplayed", action="store_true", help="allow the cell to replay only a part")
    @cell_magic
    def agy_cassette(self, line: str, cell: str) -> None:
        """Run the cell in a cassette: recorded the first time, replayed from then on.

        Start the agents in the cell itself: a cassette holds what begins in it.
        """
        given = parse_argstring(self.agy_cassette, line)
        try:
            cassette = use_cassette(
                place_of(given.name),
                given.mode,
                seam=given.seam,
                speed=given.speed,
                tools=given.tools,
                ignore=given.ignore,
                allow_unplayed=given.allow_unplayed,
            )
        except (CassetteError, InvalidInputError) as error:
            raise UsageError(f"%%agy_cassette: {error}") from error
        try:
            self._run(cassette, cell)
        except CassetteError as error:
            _in_words(error)
            raise

    def _run(self, cassette: use_cassette, cell: str) -> None:
        shell: Any = self.shell
        code = shell.transform_cell(cell)
        with _kept_traceback(shell) as traceback:
            if shell.should_run_async(cell, transformed_cell=code):
                kernel.run(_played(shell, cassette, cell, code, traceback))
                return
            with _opened(cassette):
                _raise(shell.run_cell(cell), traceback)


def place_of(name: str) -> Path:
    """The folder of a cassette: a plain name is one in `cassettes`.

    Example:
        >>> place_of("weather").as_posix(), place_of("../weather").as_posix()
        ('cassettes/weather', '../weather')
    """
    path = Path(name)
    return path if len(path.parts) > 1 or path.is_absolute() else Path(FOLDER) / name


@contextlib.contextmanager
def _opened(cassette: use_cassette) -> Iterator[None]:
    """A cassette for a cell that blocks; read before the cell runs, agent or not."""
    kernel.run(cassette.__aenter__())
    try:
        yield
    except BaseException as error:
        kernel.run(cassette.__aexit__(type(error), error, error.__traceback__))
        raise
    kernel.run(cassette.__aexit__(None, None, None))


async def _played(
    shell: Any,  # noqa: ANN401 - IPython's shell
    cassette: use_cassette,
    cell: str,
    code: str,
    traceback: list[str],
) -> None:
    async with cassette:
        result = await shell.run_cell_async(cell, transformed_cell=code)
        shell.events.trigger("post_execute")  # it is left to the caller to say that the cell ended
        if not cell.isspace():
            shell.events.trigger("post_run_cell", result)
        _raise(result, traceback)


def _raise(result: Any, traceback: list[str]) -> None:  # noqa: ANN401 - IPython's result of a cell
    """Raise what the cell raised, so that it shows the traceback that it had in the cell."""
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return
    lines = list(traceback)
    if lines:
        error._render_traceback_ = lambda: lines
    raise error


def _in_words(error: AgyError) -> None:
    """Show an error without a traceback: what happened, where, and what to do is in its text."""
    lines = [f"{type(error).__name__}: {error}"]
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]


@contextlib.contextmanager
def _kept_traceback(shell: Any) -> Iterator[list[str]]:  # noqa: ANN401 - IPython's shell
    """Keep what the shell would show of an error: the cell around this one shows it."""
    kept: list[str] = []

    def keep(kind: object, value: object, lines: list[str]) -> None:
        del kind, value
        kept[:] = lines

    shell._showtraceback, shown = keep, shell._showtraceback  # noqa: SLF001 - no public hook for it
    try:
        yield kept
    finally:
        shell._showtraceback = shown  # noqa: SLF001 - as above
