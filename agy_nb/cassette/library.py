"""Cassettes on disk: which there are, whether they are sound, and mending them.

Nothing here reads a whole cassette into memory.
"""

from __future__ import annotations

import shutil
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agy_nb.cassette.episodes import has_model, read_model, read_vcr, write_vcr
from agy_nb.cassette.errors import CassetteError, CassetteInvalid
from agy_nb.cassette.format import (
    HEADER,
    MODEL,
    TOOLS,
    Frame,
    Header,
    Line,
    is_edited,
    is_partial,
    read_header,
    read_lines,
)
from agy_nb.cassette.journal import PARTIAL, Journal, installed_sdk
from agy_nb.cassette.machine import SessionMachine
from agy_nb.cassette.recording import load
from agy_nb.cassette.redaction import Redactor, Rule
from agy_nb.cassette.redaction.exchanges import cleaned
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.swap import OLD


@dataclass(frozen=True, slots=True)
class Entry:
    """One cassette of a list.

    Attributes:
        path: Its folder.
        header: What is known of it, None if it cannot be read.
        partial: Whether frames are missing.
        size: Bytes of all its files.
        problem: Why it cannot be read, empty if it can.
    """

    path: Path
    header: Header | None = None
    partial: bool = False
    size: int = 0
    problem: str = ""


def find(roots: Iterable[Path]) -> Iterator[Path]:
    """The cassettes in some folders and below, sorted; a cassette itself counts too."""
    for root in roots:
        if (root / HEADER).exists() or not root.is_dir():
            yield root
        else:
            yield from sorted(path.parent for path in root.rglob(HEADER))


def entry(path: Path) -> Entry:
    """What a list shows of a cassette; never raises for a bad one."""
    try:
        header = read_header(path)
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    except CassetteError as error:
        return Entry(path, problem=str(error))
    return Entry(path, header, is_partial(path, header), size)


def problems(path: Path, *, rules: Iterable[Rule] = ()) -> Iterator[str]:
    """What is wrong with a cassette, one line each; none if it is sound.

    Looks at the files' form, at what should have been redacted, at whether each session can be
    played to its end, and at whether the installed SDK is the recorded one.
    """
    try:
        recording = load(path)
    except CassetteError as error:
        yield str(error)
        return
    if recording.partial:
        yield "it is partial: the recording, or the file, was cut off"
    yield from _stale(recording.header)
    redactor = Redactor(rules)
    leaks = _leaks(path, redactor)
    if leaks:
        yield f"{leaks} frames hold what should be redacted; run `agy-nb cassette redact {path}`"
    for session in recording.sessions:
        machine = SessionMachine(session, path=str(path))
        machine.reveal()  # as our own runtime does, which checks the calls of subagents
        try:
            for line in session.lines:
                while machine.release() is not None:
                    pass
                if line.direction == "client":
                    machine.receive(line.frame)
        except CassetteError as error:
            yield f"session {session.number} cannot be played: {error}"
    if recording.header.model or has_model(path):
        yield from _model_problems(path)


def remarks(path: Path) -> Iterator[str]:
    """What is worth knowing of a sound cassette, one line each."""
    header = read_header(path)
    if not is_partial(path, header) and is_edited(path, header):
        yield "its frames were edited since it was recorded; they are played as they stand"


def _leaks(path: Path, redactor: Redactor) -> int:
    """How many frames redaction would change."""
    before: defaultdict[int, deque[Frame]] = defaultdict(deque)

    def noted() -> Iterator[Line]:
        for line in read_lines(path):
            before[line.session].append(line.frame)
            yield line

    return sum(
        redactor.frame(line.frame) != before[line.session].popleft()
        for line in joined(noted(), redactor)
    )


def _stale(header: Header) -> Iterator[str]:
    installed = installed_sdk()
    of_python = header.sdk[:1].isdigit()  # others stand behind their language's name
    if installed and of_python and header.sdk != installed:
        yield f"it is of google-antigravity {header.sdk}, installed is {installed}: record it again"


def _model_problems(path: Path) -> Iterator[str]:
    try:
        if not read_model(path):
            yield f"{MODEL} holds no request"
    except CassetteInvalid as error:
        yield str(error)


def redact(path: Path, rules: Iterable[Rule]) -> Header:
    """Write a cassette anew, with more rules.

    Args:
        path: Its folder.
        rules: Beside the built-in ones.

    Returns:
        Its new header.

    Raises:
        CassetteError: It cannot be read or written; it is then as it was.
    """
    header = read_header(path)
    whole = not is_partial(path, header)
    redactor = Redactor(rules)
    journal = Journal(path, header, keep=map(redactor.line, joined(read_lines(path), redactor)))
    try:
        found = {MODEL: read_model(path)}
        if (path / TOOLS).exists():
            found[TOOLS] = read_vcr(path / TOOLS)
        for name, interactions in found.items():
            if interactions:
                clean = [cleaned(made, redactor) for made in interactions]
                write_vcr(journal.folder / name, clean)
    except BaseException:
        journal.abandon()
        raise
    counts = dict(header.redactions)
    return journal.finish(
        lambda: {k: counts.get(k, 0) + redactor.counts[k] for k in {*counts, *redactor.counts}},
        complete=whole,
    )


def leftovers(root: Path) -> Iterator[Path]:
    """What recordings that were not finished left behind."""
    for path in sorted(root.rglob("*")):
        unfinished = path.suffix in (PARTIAL, OLD) and (path / HEADER).exists()
        if unfinished or (path.name.startswith(".") and path.suffix == ".lock"):
            yield path


def remove(path: Path) -> None:
    """Delete a leftover."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
