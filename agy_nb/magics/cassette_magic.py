"""The magic `%%agy_cassette`: record a cell's agents once, then replay them.

The cell runs as it would without the magic: top-level `await`, the value of its last line and other
magics work. The magic prints nothing, so a notebook shows the same output in every run. An error of
the cell has the cell's own traceback; an error of the replay is shown without one.
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
from agy_nb.cassette.matching.normalize import NORMALIZERS
from agy_nb.errors import AgyError, InvalidInputError

FOLDER = "cassettes"


@magics_class
class CassetteMagics(Magics):
    """The magic for cassettes; `%load_ext agy_nb` registers it."""

    @magic_arguments()
    @argument("name", help=f"the cassette: a name in ./{FOLDER}, or a path")
    @argument(
        "--mode",
        default="once",
        choices=["once", "none", "new_episodes", "all", "rewrite"],
        help="once (default): record a new cassette, replay an old one; none: only replay; "
        "new_episodes: replay, and record new sessions; all or rewrite: record again",
    )
    @argument(
        "--seam",
        default="wire",
        choices=["wire", "model"],
        help="replay the harness (wire, default), or the model of a real harness (model)",
    )
    @argument("--speed", type=float, default=0.0, help="0: no delays; 1: the recorded pace")
    @argument(
        "--tools",
        default="check",
        choices=["check", "run", "replay"],
        help="host tools: run and compare (check), run, or do not call (replay)",
    )
    @argument("--ignore", action="append", default=[], help="a path in the frames that may differ")
    @argument(
        "--normalize",
        action="append",
        default=[],
        choices=list(NORMALIZERS),
        help="values in texts to ignore",
    )
    @argument("--echo", action="store_true", help="with --mode all: record the echo model")
    @argument("--allow-unplayed", action="store_true", help="allow the cell to replay only a part")
    @cell_magic
    def agy_cassette(self, line: str, cell: str) -> None:
        """Run the cell with a cassette: record it the first time, replay it afterwards.

        Start the agents inside the cell: a cassette contains only agents that start in it.
        """
        given = parse_argstring(self.agy_cassette, line)
        try:
            cassette = use_cassette(
                folder_of(given.name),
                given.mode,
                seam=given.seam,
                speed=given.speed,
                tools=given.tools,
                ignore=given.ignore,
                normalize=given.normalize,
                allow_unplayed=given.allow_unplayed,
                echo=given.echo,
            )
        except (CassetteError, InvalidInputError) as error:
            raise UsageError(f"%%agy_cassette: {error}") from error
        try:
            self._run(cassette, cell)
        except CassetteError as error:
            _hide_traceback(error)
            raise

    def _run(self, cassette: use_cassette, cell: str) -> None:
        shell: Any = self.shell
        code = shell.transform_cell(cell)
        with _captured_traceback(shell) as traceback:
            if shell.should_run_async(cell, transformed_cell=code):
                kernel.run(_played(shell, cassette, cell, code, traceback))
                return
            with _opened(cassette):
                _raise(shell.run_cell(cell), traceback)


def folder_of(name: str) -> Path:
    """Return the folder of a cassette; a plain name is a folder in `cassettes`.

    Example:
        >>> folder_of("weather").as_posix(), folder_of("../weather").as_posix()
        ('cassettes/weather', '../weather')
    """
    path = Path(name)
    return path if len(path.parts) > 1 or path.is_absolute() else Path(FOLDER) / name


@contextlib.contextmanager
def _opened(cassette: use_cassette) -> Iterator[None]:
    """Open a cassette around a synchronous cell."""
    kernel.run(cassette.__aenter__())
    try:
        yield
    except BaseException as error:
        kernel.run(cassette.__aexit__(type(error), error, error.__traceback__))
        raise
    kernel.run(cassette.__aexit__(None, None, None))


async def _played(
    shell: Any,
    cassette: use_cassette,
    cell: str,
    code: str,
    traceback: list[str],
) -> None:
    async with cassette:
        result = await shell.run_cell_async(cell, transformed_cell=code)
        shell.events.trigger("post_execute")  # `run_cell_async` leaves these events to its caller
        if not cell.isspace():
            shell.events.trigger("post_run_cell", result)
        _raise(result, traceback)


def _raise(result: Any, traceback: list[str]) -> None:
    """Raise the cell's error with the traceback that the cell showed."""
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return
    lines = list(traceback)
    if lines:
        error._render_traceback_ = lambda: lines
    raise error


def _hide_traceback(error: AgyError) -> None:
    """Show an error without a traceback; its message is complete."""
    lines = [f"{type(error).__name__}: {error}"]
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]


@contextlib.contextmanager
def _captured_traceback(shell: Any) -> Iterator[list[str]]:
    """Capture the traceback that the shell would show, so that the outer cell can show it."""
    kept: list[str] = []

    def keep(kind: object, value: object, lines: list[str]) -> None:
        del kind, value
        kept[:] = lines

    shell._showtraceback, shown = keep, shell._showtraceback  # noqa: SLF001 - no public hook for it
    try:
        yield kept
    finally:
        shell._showtraceback = shown  # noqa: SLF001 - as above
