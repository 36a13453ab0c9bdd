"""Whether a cassette is sound: its form, what should have been redacted, whether it plays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from agy_nb.cassette.errors import CassetteError, CassetteInvalidError
from agy_nb.cassette.redaction import Rule
from agy_nb.cassette.redaction.leaks import find_leaks
from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.cassette.storage.cassette_reader import Cassette, load
from agy_nb.cassette.storage.format import (
    FILES,
    MODEL,
    TOOLS,
    Header,
    is_edited,
    is_partial,
    read_header,
)
from agy_nb.cassette.storage.model_log import has_model, read_model, read_vcr
from agy_nb.cassette.storage.safe_files import files_of, name_within, open_plain
from agy_nb.cassette.storage.writer import installed_sdk

Kind: TypeAlias = Literal["unreadable", "partial", "version", "secret", "replay", "model", "drift"]

_MOST_LEAKS = 20


@dataclass(frozen=True, slots=True)
class VerifyProblem:
    """One thing that is wrong with a cassette.

    Attributes:
        kind: `unreadable`, `partial`, `version` (of the SDK), `secret`, `replay` (a session cannot
            be played), `model` (the model's side), or `drift` (from a live model).
        text: What is wrong, without the secret.
        file: Name of the file, empty where no single file is meant.
        line: Number of the line or of the exchange in it, from 1; 0 for the whole file.
    """

    kind: Kind
    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Verdict:
    """What is to be said of one cassette.

    Attributes:
        path: Its folder.
        problems: What is wrong.
        remarks: What is worth knowing.
    """

    path: Path
    problems: list[VerifyProblem]
    remarks: list[str] = field(default_factory=list)

    def data(self) -> dict[str, object]:
        """The verdict as JSON data: `path`, `ok`, `problems`, `remarks`."""
        return {
            "path": str(self.path),
            "ok": not self.problems,
            "problems": [asdict(problem) for problem in self.problems],
            "remarks": self.remarks,
        }


def problems(path: Path, *, rules: Iterable[Rule] = ()) -> Iterator[VerifyProblem]:
    """What is wrong with a cassette; nothing if it is sound. Reads every file of it.

    Args:
        path: Its folder.
        rules: Rules of redaction beside the built-in ones.
    """
    try:
        recording = load(path)
        for file in files_of(path):
            open_plain(file).close()
    except CassetteError as error:
        yield VerifyProblem("unreadable", str(error))
        return
    except OSError as error:
        name = Path(error.filename or path).name
        yield VerifyProblem("unreadable", f"{name} cannot be read: {error.strerror}", name)
        return
    if recording.partial:
        yield VerifyProblem("partial", "it is partial: the recording, or the file, was cut off")
    yield from _stale(recording.header)
    yield from _secrets(path, rules)
    yield from _unplayable(recording)
    yield from _exchanges(path, recording.header)


def _secrets(path: Path, rules: Iterable[Rule]) -> Iterator[VerifyProblem]:
    found = 0
    try:
        for leak in find_leaks(path, rules):
            found += 1
            if found <= _MOST_LEAKS:
                text = f"{leak} holds what should be redacted"
                yield VerifyProblem("secret", text, leak.file, leak.line)
    except CassetteError:
        return  # reported with the model's side
    if found > _MOST_LEAKS:
        yield VerifyProblem("secret", f"and {found - _MOST_LEAKS} more places do")
    if found:
        yield VerifyProblem("secret", f"run `agy-nb cassette redact {path}` to clean it")


def _unplayable(recording: Cassette) -> Iterator[VerifyProblem]:
    for session in recording.sessions:
        machine = SessionMachine(session, path=str(recording.path))
        machine.reveal()  # as our own runtime does, which checks the calls of subagents
        try:
            for line in session.lines:
                while machine.release() is not None:
                    pass
                if line.direction == "client":
                    machine.receive(line.frame)
            while machine.release() is not None:
                pass
        except (CassetteError, ValueError) as error:
            yield VerifyProblem("replay", f"session {session.number} cannot be played: {error}")


def _stale(header: Header) -> Iterator[VerifyProblem]:
    installed = installed_sdk()
    of_python = header.sdk[:1].isdigit()  # others stand behind their language's name
    if installed and of_python and header.sdk != installed:
        yield VerifyProblem(
            "version",
            f"it is of google-antigravity {header.sdk}, installed is {installed}: record it again",
        )


def _exchanges(path: Path, header: Header) -> Iterator[VerifyProblem]:
    try:
        if (header.model or has_model(path)) and not read_model(path):
            yield VerifyProblem("model", f"{MODEL} holds no request", MODEL)
        if (path / TOOLS).exists():
            read_vcr(path / TOOLS)
    except CassetteInvalidError as error:
        yield VerifyProblem("model", str(error))


def remarks(path: Path) -> Iterator[str]:
    """What is worth knowing of a sound cassette, one line each."""
    header = read_header(path)
    if not is_partial(path, header) and is_edited(path, header):
        yield "its frames were edited since it was recorded; they are played as they stand"
    others = [name for file in files_of(path) if (name := name_within(path, file)) not in FILES]
    if others:
        yield f"files that no recorder writes: {', '.join(others)}"
