"""Folders and ids in what a session's harness and its model say to each other.

The recording holds marks for them: `{{agy:workspace-0}}`, `{{agy:app-data}}`, `{{agy:tmp}}`. A
replay gives the real harness the folders of this machine and the ids of this run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agy_nb.cassette.matching.normalize import WORKFLOW_FILE
from agy_nb.cassette.redaction import Redactor, replay_places
from agy_nb.cassette.redaction.http.sse_events import Chunk, changed_stream
from agy_nb.cassette.redaction.split_text import TextSpan, merged
from agy_nb.wire.path_map import PathMap
from agy_nb.wire.stored.literal_marks import unmarked

_ID = re.compile(
    r"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f])|"
    + WORKFLOW_FILE.pattern
)


class SessionPaths:
    """A redactor of a session's HTTP that also replaces the session's folders; see `PieceRedactor`.

    Args:
        folders: The session's folders by their purpose; see `wire.client_config.paths_of`.
        redactor: Removes secrets and this machine's folders.
    """

    def __init__(self, folders: Iterable[tuple[str, str]], redactor: Redactor) -> None:
        marks = {path: "{{agy:" + name.replace(":", "-") + "}}" for name, path in folders}
        self._redactor = redactor
        self._to_marks = PathMap(marks)
        self._to_paths = {mark: path for path, mark in marks.items()}

    def spans(self, text: str) -> list[TextSpan]:
        """See `PieceRedactor`."""
        own = (TextSpan(*place, secret=False) for place in self._to_marks.replacements(text))
        return merged([*own, *self._redactor.spans(text)])

    def text(self, text: str) -> str:
        """See `PieceRedactor`."""
        return self._redactor.text(self._to_marks.message(text))

    def body(self, body: bytes, *, encoding: str = "") -> bytes:
        """See `PieceRedactor`."""
        return self._redactor.body(body, encoding=encoding, text=self.text)

    def restored(
        self, body: str, chunks: Sequence[Chunk], *, recorded: str, asked: str
    ) -> tuple[str, list[Chunk]]:
        """Return a recorded response, and its chunks, for the harness of this run.

        Args:
            body: The recorded response.
            chunks: Bytes and seconds of each of its chunks.
            recorded: The request in the recording.
            asked: The request of this run, which means the same.
        """
        here = PathMap({**replay_places(), **self._to_paths, **_ids(recorded, asked)})
        return changed_stream(body, chunks, lambda text: unmarked(here.message(text)))


def _ids(recorded: str, asked: str) -> dict[str, str]:
    """Pair the ids in two requests that mean the same, which have them in the same places."""
    then, now = _ID.findall(recorded), _ID.findall(asked)
    return dict(zip(then, now, strict=True)) if len(then) == len(now) else {}
