"""Remove secrets from lines that were written before a later line named them as secrets.

A prompt may contain a password, and the result of a tool may show afterwards that it is one. The
lines up to there are on disk by then. So all lines of such a recording are redacted once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from agy_nb.cassette.redaction.redactor import Redactor
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.storage.format import Header, WireRecord, read_lines
from agy_nb.wire.frames import CONFIG


class LateSecrets:
    """Redacts the lines of a recording, and knows whether earlier lines need it again.

    Args:
        redactor: Removes secrets, and learns them from the lines.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._known: int | None = None  # before the first line with words of a conversation

    def line(self, line: WireRecord) -> WireRecord:
        """Return a line without the secrets that are known up to it."""
        if self._known is None and CONFIG not in line.frame:
            self._known = self._redactor.known
        return self._redactor.line(line)

    @property
    def found(self) -> bool:
        """Whether a secret became known after the conversation had begun."""
        return self._known is not None and self._redactor.known > self._known

    def removed_from(self, lines: Iterable[WireRecord]) -> Iterator[WireRecord]:
        """Return written lines without the secrets that are known now."""
        if not self.found:
            return iter(lines)
        return map(self._redactor.line, joined(lines, self._redactor))

    def revised(
        self, folder: Path
    ) -> tuple[Iterable[WireRecord], Callable[[Header], Header]] | None:
        """Return the lines of a recording without late secrets, for `CassetteWriter.finish`.

        Args:
            folder: Folder of the recording.

        Returns:
            The lines, and a function that keeps the header; None without late secrets.
        """
        return (self.removed_from(read_lines(folder)), _same) if self.found else None


def _same(header: Header) -> Header:
    return header
