"""`agy-nb cassette diff` and `textconv`."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from agy_nb.cassette.command_arguments import to_cassette
from agy_nb.cassette.commands.git_revisions import checked_out, is_revision
from agy_nb.cassette.commands.terminal_tables import say
from agy_nb.cassette.errors import CassetteNotFoundError
from agy_nb.cassette.inspect.readable_files import readable
from agy_nb.cassette.inspect.session_digests import differences
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.format import HEADER
from agy_nb.errors import InvalidInputError


def diff(arguments: Namespace) -> int:
    """Run `diff`.

    Raises:
        CassetteError: A cassette cannot be read.
        InvalidInputError: The arguments are not two folders, or revisions and folders.
    """
    revisions, paths = _sorted_out(arguments.what)
    found = False
    for line in _two_folders(*paths) if not revisions else _revisions(revisions, paths):
        found = True
        say(line)
    return 1 if found else 0


def textconv(arguments: Namespace) -> int:
    """Run `textconv`, which git calls with a file."""
    for line in readable(arguments.file):
        say(line)
    return 0


def _sorted_out(words: list[str]) -> tuple[list[str], list[Path]]:
    """Return the revisions and the folders of a command line."""
    revisions: list[str] = []
    rest = list(words)
    while rest and len(revisions) < 2 and not os.path.lexists(rest[0]) and is_revision(rest[0]):  # noqa: PLR2004
        revisions.append(rest.pop(0))
    paths = [to_cassette(word) for word in rest]
    if not paths:
        raise InvalidInputError(
            "name a cassette, or a folder of cassettes: agy-nb cassette diff HEAD~1 -- tests",
            field="what",
        )
    if not revisions and len(paths) == 1:
        return ["HEAD"], paths
    if not revisions and len(paths) != 2:  # noqa: PLR2004
        raise InvalidInputError(
            f"diff compares two cassettes, got {len(paths)}; to compare with a revision of git, "
            "name it first: agy-nb cassette diff HEAD -- cassettes/weather",
            field="what",
        )
    return revisions, paths


def _two_folders(one: Path, other: Path) -> Iterator[str]:
    """Compare two cassettes, or the cassettes of the same names in two folders."""
    if any((path / HEADER).exists() or not path.is_dir() for path in (one, other)):
        yield from differences(one, other)
        return
    yield from _below(one, other, (str(one), str(other)))


def _below(one: Path, other: Path, names: tuple[str, str]) -> Iterator[str]:
    inside = [_cassettes(folder) for folder in (one, other)]
    several = len(inside[0] | inside[1]) > 1
    for name in sorted(inside[0] | inside[1]):
        called = tuple(str(Path(each) / name) for each in names)
        if name not in inside[0] or name not in inside[1]:
            yield f"only in {names[name not in inside[0]]}: {name if name != '.' else ''}".rstrip(
                ": "
            )
            continue
        lines = list(differences(one / name, other / name, names=(called[0], called[1])))
        if lines and several:
            yield f"{name}:"
        yield from lines


def _cassettes(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in catalog.find([folder])
        if (path / HEADER).exists()
    }


def _revisions(revisions: list[str], paths: list[Path]) -> Iterator[str]:
    for path in paths:
        with contextlib.ExitStack() as stack:
            one = stack.enter_context(checked_out(revisions[0], path))
            names = [f"{revision}:{path}" for revision in revisions]
            other = path
            if len(revisions) > 1:
                other = stack.enter_context(checked_out(revisions[1], path))
            else:
                names.append(str(path))
            if not _cassettes(one) and not _cassettes(other):
                raise CassetteNotFoundError(
                    f"there is no cassette at {path}, neither now nor in {revisions[0]}; check the "
                    "path",
                    path=str(path),
                )
            yield from _below(one, other, (names[0], names[1]))
