"""What redaction would take out of a cassette's files, and taking it out.

Finding and cleaning go over the same pieces of the same files, so that `redact` cleans what
`verify` finds: the frames, what else a line of the wire holds, the exchanges with models and of
tools, the header's texts, and files that somebody put beside them.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.redaction import Redactor, Rule
from agy_nb.cassette.redaction.http.exchanges import cleaned
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.storage.format import (
    EPISODES,
    FILES,
    HEADER,
    MODEL,
    TOOLS,
    WIRE,
    Header,
    WireRecord,
    header_of,
    is_partial,
    numbered_lines,
    read_header,
    read_lines,
    read_torn_end,
)
from agy_nb.cassette.storage.model_log import read_log, read_model
from agy_nb.cassette.storage.ownership import RecordingLock
from agy_nb.cassette.storage.safe_files import files_of, is_plain, name_within, read_bytes
from agy_nb.cassette.storage.shared.model_yaml import read_model_yaml, write_model_yaml
from agy_nb.cassette.storage.shared.vcr_file import read_vcr, write_vcr
from agy_nb.cassette.storage.writer import CassetteWriter

LARGEST_OTHER = 4 * 2**20
"""Bytes of a file that no recorder writes, up to which it is looked at and cleaned."""
_COMPUTED = frozenset({"config", "digest", "format", "id", "recorded_at"})
"""Texts of a header that we compute from nothing secret."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A place that holds something to be redacted.

    Attributes:
        file: The file's name.
        line: Number of its line, from 1; of the exchange in `model.yaml` and `tools.yaml`; 0 for
            the whole file.
    """

    file: str
    line: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}, {'exchange' if self.file in (MODEL, TOOLS) else 'line'} {self.line}"


def find_leaks(path: Path, rules: Iterable[Rule] = ()) -> Iterator[Leak]:
    """Return each place of a cassette with something to redact. Reads the disk.

    Args:
        path: The cassette's folder.
        rules: Rules of the user's own.

    Raises:
        CassetteError: A file cannot be read.
    """
    yield from _leaks(path, Redactor(rules))


def _leaks(path: Path, redactor: Redactor) -> Iterator[Leak]:
    yield from _in_wire(path, redactor)
    for name, read in _EXCHANGES.items():
        if (path / name).exists():
            for number, made in enumerate(read(path / name), start=1):
                if cleaned(made, redactor) != made:
                    yield Leak(name, number)
            yield from _in_comments(path / name, redactor)
    header = json.loads(read_bytes(path / HEADER))
    if _clean_header(header, redactor.text) != header:
        yield Leak(HEADER)
    for file in _others(path):
        name = name_within(path, file)
        if file.stat().st_size > LARGEST_OTHER:
            yield Leak(name)  # not looked at, so not said to be clean
            continue
        lines = enumerate(_as_text(file).splitlines(), start=1)
        found = [number for number, text in lines if redactor.text(text) != text]
        yield from (Leak(name, number) for number in found)
        whole = _as_text(file)
        if not found and (
            redactor.text(whole) != whole or redactor.body(raw := read_bytes(file)) != raw
        ):
            yield Leak(name)  # JSON over several lines, compressed, or in another encoding


def _in_wire(path: Path, redactor: Redactor) -> Iterator[Leak]:
    # `joined` delays the lines of a session and keeps their order. The frames as they were read
    # wait here until their lines come.
    before: defaultdict[int, deque[tuple[int, Any]]] = defaultdict(deque)

    def noted() -> Iterator[WireRecord]:
        for number, raw, line in numbered_lines(path):
            before[line.session].append((number, line.frame))
            if line.text is None:
                beside.append((number, raw))
            yield line

    beside: list[tuple[int, bytes]] = []
    for line in joined(noted(), redactor):
        number, frame = before[line.session].popleft()
        if redactor.frame(line.frame) != frame:
            yield Leak(WIRE, number)
    for number, raw in beside:  # other fields than a recorder writes
        rest = {key: value for key, value in json.loads(raw).items() if key not in ("f", "c")}
        if redactor.frame(rest) != rest:
            yield Leak(WIRE, number)
    torn = read_torn_end(path)
    if redactor.text(torn) != torn:
        yield Leak(WIRE)


def _in_comments(file: Path, redactor: Redactor) -> Iterator[Leak]:
    """Yield the comments of YAML, which a parser drops."""
    if not file.exists():
        return
    for text in read_bytes(file).decode("utf-8", "replace").splitlines():
        if text.lstrip().startswith("#") and redactor.text(text) != text:
            yield Leak(file.name)
            return


_EXCHANGES: dict[str, Callable[[Path], Iterable[dict[str, Any]]]] = {
    MODEL: read_model_yaml,
    EPISODES: read_log,
    TOOLS: read_vcr,
}


def _others(path: Path) -> list[Path]:
    """List the files that no recorder wrote. Links and pipes have no text of their own."""
    return [
        file for file in files_of(path) if is_plain(file) and name_within(path, file) not in FILES
    ]


def _as_text(file: Path) -> str:
    return read_bytes(file).decode("utf-8", "surrogateescape")


def _clean_header(value: Any, text: Callable[[str], str], name: str = "") -> Any:
    if isinstance(value, dict):
        return {text(key): _clean_header(item, text, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean_header(item, text, name) for item in value]
    return text(value) if isinstance(value, str) and name not in _COMPUTED else value


def redact(path: Path, rules: Iterable[Rule], unmatched: set[str] | None = None) -> Header:
    """Remove from a cassette what `find_leaks` finds. Files without such a place stay as they are.

    Args:
        path: Its folder.
        rules: Beside the built-in ones.
        unmatched: Texts of rules; those that match something in this cassette are removed.

    Returns:
        Its new header.

    Raises:
        CassetteError: It cannot be read or written; it is then as it was.
    """
    header = read_header(path)
    for file in _others(path):
        if file.stat().st_size > LARGEST_OTHER:
            raise CassetteInvalidError(
                f"{file} was not written by a recorder and is too large to check; move it out of "
                "the cassette",
                path=str(path),
            )
    RecordingLock.check_not_written(path)
    redactor = Redactor(rules)
    if next(_leaks(path, redactor), None) is None:
        _note_matched(redactor, unmatched)
        return header
    redactor = Redactor(rules)  # a new one, without the counts of the search
    whole = not is_partial(path, header)
    header = header_of(_clean_header(json.loads(header.encode()), redactor.text), str(path))
    writer = CassetteWriter(
        path, header, keep=map(redactor.line, joined(read_lines(path), redactor))
    )
    with writer.adding_files():
        _redact_exchanges(path, writer.folder, redactor)
        for file in _others(path):
            lines = redactor.text(_as_text(file)).splitlines(keepends=True)
            text = "".join(map(redactor.text, lines))
            there = writer.folder / file.relative_to(path)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(redactor.body(text.encode("utf-8", "surrogateescape")))
            shutil.copystat(file, there)
    counts = dict(header.redactions)
    written = writer.finish(
        lambda: {
            kind: counts.get(kind, 0) + redactor.counts[kind]
            for kind in sorted({*counts, *redactor.counts})  # in the order of other runs
        },
        complete=whole,
    )
    _note_matched(redactor, unmatched)
    return written


def _note_matched(redactor: Redactor, unmatched: set[str] | None) -> None:
    if unmatched is not None:
        unmatched.intersection_update(redactor.rules.unmatched())


def _redact_exchanges(old: Path, new: Path, redactor: Redactor) -> None:
    """Write the files of exchanges. A file that does not change is copied."""
    found = {MODEL: read_model(old)}
    if (old / TOOLS).exists():
        found[TOOLS] = read_vcr(old / TOOLS)
    for name, interactions in found.items():
        clean = [cleaned(made, redactor) for made in interactions]
        in_comments = next(_in_comments(old / name, redactor), None)
        whole = (old / name).exists() and not (name == MODEL and (old / EPISODES).exists())
        if whole and clean == interactions and in_comments is None:
            shutil.copy2(old / name, new / name)
        elif name == TOOLS:
            write_vcr(new / name, clean)
        elif interactions:
            write_model_yaml(new / name, clean)
