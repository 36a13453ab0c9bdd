"""Find recordings: from a path, a pattern or a list of these.

Rule 1: a recording that is named twice is read once; of two forms, the fuller one is read.
Rule 2: a place without a recording is a problem, never silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agy_nb.analysis.read.harness_databases import is_conversation as _names_a_database
from agy_nb.analysis.read.harness_logs import (
    NAMES as TRANSCRIPTS,
    belongs_to_another,
    conversation_of,
)
from agy_nb.protocol.short_repr import short_repr


@dataclass(frozen=True, slots=True)
class RecordingPath:
    """A recording that is there to be read.

    Attributes:
        path: Its folder, or the file of its wire.
        name: Its path below the folder that was loaded; the id of a conversation of the harness.
        url: Its URL, if it is not on this machine's disk.
        stamp: Sizes and times of its files, if it has a URL.
    """

    path: Path
    name: str
    url: str = ""
    stamp: str = ""

    __repr__ = short_repr

    @property
    def place(self) -> str:
        """Its URL or its path."""
        return self.url or str(self.path)


@dataclass(frozen=True, slots=True)
class SearchProblem:
    """A place without a recording that can be read.

    Attributes:
        path: The place.
        problem: A word of the column `problem`.
        detail: The reason.
    """

    path: str
    problem: str
    detail: str


@dataclass(frozen=True, slots=True)
class Found:
    """The recordings of a path, a pattern or a list of these.

    Attributes:
        recordings: The recordings, in order; each once.
        problems: Places without a recording.
    """

    recordings: tuple[RecordingPath, ...]
    problems: tuple[SearchProblem, ...]


def search(where: Any) -> Found:
    """Find the recordings of a path, a pattern or a list of these, sorted by name.

    The database of a conversation is left where its transcript is, too, and the transcript of a
    subagent where its agent's is.
    """
    problems: list[SearchProblem] = []
    found = list(_paths(where, problems))
    logged = {name_of(path) for _, path in found if path.name in TRANSCRIPTS}
    seen: set[str] = set()
    recordings = []
    for root, path in found:
        there = os.path.realpath(path)
        if there in seen or (_names_a_database(path.name) and name_of(path) in logged):
            continue
        seen.add(there)
        try:
            name = path.relative_to(root).as_posix()
        except ValueError:
            name = path.name
        if name in ("", ".") or is_conversation(path):
            name = name_of(path)
        recordings.append(RecordingPath(path, name))
    links = [each for each in problems if os.path.realpath(each.path) not in seen]
    return Found(tuple(recordings), tuple(links))


def _paths(where: Any, problems: list[SearchProblem]) -> Iterator[tuple[Path, Path]]:
    """Yield each recording with the folder to which its name is relative."""
    if not isinstance(where, str | Path):
        for item in where:
            yield from _paths(item, problems)
        return
    path = Path(where).expanduser()
    text = str(path)
    if path.is_dir():
        found = [path] if _is_recording(path) else sorted(_below(path, problems))
        if not found:
            detail = "the folder has no recording"
            problems.append(SearchProblem(text, "nothing_found", detail))
        for item in found:
            yield (path.parent if item == path else path), item
    elif not path.exists() and any(mark in text for mark in "*?["):
        import glob

        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - takes absolute patterns
        if not matches:
            problems.append(SearchProblem(text, "nothing_found", "nothing matches this pattern"))
        of_matches: list[SearchProblem] = []
        for item in matches:
            yield from _paths(item, of_matches)
        problems += (each for each in of_matches if each.problem != "nothing_found")
    else:
        item = path.parent if _belongs_to_recording(path) else path
        yield item.parent, item


def is_conversation(path: Path) -> bool:
    """Return whether the harness keeps a conversation in a file."""
    return path.name in TRANSCRIPTS or _names_a_database(path.name)


def name_of(path: Path) -> str:
    """Return the name of the session at a path, without its folders."""
    if path.name in TRANSCRIPTS:
        return conversation_of(path)
    if _names_a_database(path.name):
        return path.stem
    return path.parent.name if path.name.endswith(".jsonl") else path.name


def _is_recording(path: Path) -> bool:
    return (path / "wire.jsonl").is_file() or (path / "header.json").is_file()


def _belongs_to_recording(path: Path) -> bool:
    """Return whether a file found by a pattern belongs to a recording."""
    other = path.name.endswith(".jsonl") and path.name != "wire.jsonl"
    return not other and not is_conversation(path) and _is_recording(path.parent)


def _below(path: Path, problems: list[SearchProblem]) -> Iterator[Path]:
    for folder, folders, files in os.walk(path):
        place = Path(folder)
        if "wire.jsonl" in files or "header.json" in files:
            yield place
            folders.clear()
            continue
        for link in (place / name for name in sorted(folders) if (place / name).is_symlink()):
            detail = "a link to a folder is not followed; load the folder itself"
            problems.append(SearchProblem(str(link), "link_not_followed", detail))
        yield from (place / name for name in files if _names_a_database(name))
        transcript = next((place / name for name in TRANSCRIPTS if name in files), None)
        if transcript is not None:
            folders.clear()
            if not belongs_to_another(transcript):
                yield transcript
