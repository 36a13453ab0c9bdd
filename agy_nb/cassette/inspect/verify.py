"""Verify a cassette: its files, its redaction, and that it can be replayed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from agy_nb.cassette import echo_model
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
from agy_nb.cassette.storage.model_log import has_model, read_model
from agy_nb.cassette.storage.safe_files import files_of, is_plain, name_within, open_plain
from agy_nb.cassette.storage.shared.vcr_file import read_vcr
from agy_nb.cassette.storage.writer import installed_sdk

Kind: TypeAlias = Literal["unreadable", "partial", "version", "secret", "replay", "model", "drift"]

_MOST_LEAKS = 20


@dataclass(frozen=True, slots=True)
class VerifyProblem:
    """One fault of a cassette.

    Attributes:
        kind: `unreadable`, `partial`, `version` (another SDK version), `secret`, `replay` (a
            session cannot be replayed), `model` (requests to the model), or `drift` (a live run
            differs).
        text: Description of the fault, without secrets.
        file: Name of the file; empty if the fault is not in a single file.
        line: Number of the line or exchange in the file, from 1; 0 for the whole file.
    """

    kind: Kind
    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Verdict:
    """The result of verifying one cassette.

    Attributes:
        path: The cassette's folder.
        problems: The faults.
        remarks: Notes that are not faults.
    """

    path: Path
    problems: list[VerifyProblem]
    remarks: list[str] = field(default_factory=list)

    def data(self) -> dict[str, object]:
        """Return the verdict as JSON data: `path`, `ok`, `problems`, `remarks`."""
        return {
            "path": str(self.path),
            "ok": not self.problems,
            "problems": [asdict(problem) for problem in self.problems],
            "remarks": self.remarks,
        }


def problems(path: Path, *, rules: Iterable[Rule] = ()) -> Iterator[VerifyProblem]:
    """Find the faults of a cassette. Reads all of its files.

    Args:
        path: The cassette's folder.
        rules: Redaction rules in addition to the built-in ones.
    """
    try:
        recording = load(path)
        for file in files_of(path):
            if is_plain(file) or name_within(path, file) in FILES:
                open_plain(file).close()
    except CassetteError as error:
        yield VerifyProblem("unreadable", str(error))
        return
    except OSError as error:
        name = Path(error.filename or path).name
        yield VerifyProblem("unreadable", f"{name} cannot be read: {error.strerror}", name)
        return
    if recording.partial:
        yield VerifyProblem("partial", "partial: the recording or a file was cut off")
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
                text = f"{leak} holds a secret that is not redacted"
                yield VerifyProblem("secret", text, leak.file, leak.line)
    except CassetteError:
        return  # reported as a fault of the kind "model"
    if found > _MOST_LEAKS:
        yield VerifyProblem("secret", f"{found - _MOST_LEAKS} more places hold secrets")
    if found:
        yield VerifyProblem("secret", f"run `agy-nb cassette redact {path}` to remove the secrets")


def _unplayable(recording: Cassette) -> Iterator[VerifyProblem]:
    for session in recording.sessions:
        machine = SessionMachine(session, path=str(recording.path))
        machine.show_requests()  # like agy_nb's runtime, which checks the calls of subagents itself
        try:
            for line in session.lines:
                while machine.release() is not None:
                    pass
                if line.direction == "client":
                    machine.receive(line.frame)
            while machine.release() is not None:
                pass
        except (CassetteError, ValueError) as error:
            yield VerifyProblem("replay", f"session {session.number} cannot be replayed: {error}")


def _stale(header: Header) -> Iterator[VerifyProblem]:
    installed = installed_sdk()
    of_python = header.sdk[:1].isdigit()  # SDKs of other languages begin with their name
    if installed and of_python and header.sdk != installed:
        yield VerifyProblem(
            "version",
            f"recorded with google-antigravity {header.sdk}, but {installed} is installed: "
            "record it again",
        )


def _exchanges(path: Path, header: Header) -> Iterator[VerifyProblem]:
    try:
        if (header.model or has_model(path)) and not read_model(path):
            yield VerifyProblem("model", f"{MODEL} has no requests", MODEL)
        if (path / TOOLS).exists():
            read_vcr(path / TOOLS)
    except CassetteInvalidError as error:
        yield VerifyProblem("model", str(error))


def echo_remarks(path: Path) -> Iterator[str]:
    """Yield a note if the echo model answers in a cassette, whether it has faults or not."""
    if echo_model.any_echo(session.config for session in load(path).sessions):
        yield echo_model.REMARK


def remarks(path: Path) -> Iterator[str]:
    """Yield notes about a cassette without faults, one line each."""
    header = read_header(path)
    if not is_partial(path, header) and is_edited(path, header):
        yield "frames were edited after the recording; a replay uses the edited frames"
    files = {name_within(path, file): file for file in files_of(path)}
    others = [name for name in files if name not in FILES]
    if others:
        yield f"unknown files: {', '.join(others)}"
    if special := [name for name in others if not is_plain(files[name])]:
        yield f"not checked for secrets, because not a regular file: {', '.join(special)}"
