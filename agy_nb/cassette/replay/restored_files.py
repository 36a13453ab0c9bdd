"""Write the files again that the harness's file tools wrote in the recording.

A replay at the wire runs no harness. But the step of a tool that edits a file has all of its lines,
before and after the edit, so the file can be written in its place.

Rule 1: a cassette is untrusted input. A file is written only inside a workspace of the client's own
configuration, never through a symbolic link, and never to a hidden file or folder such as `.git`.
Rule 2: a file is written only if it is as it was before the edit in the recording. Any other
content of the user stays, with a warning.
Rule 3: files of commands are not in a recording, and neither are images.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path

from agy_nb.cassette.storage.format import Frame, parse_frame
from agy_nb.wire import frames as f
from agy_nb.wire.client_config import workspaces_of
from agy_nb.wire.json_values import builtin_of, list_of, object_of, objects_of, text_of

_MOST_FILES = 1_000
"""Files that one session may write."""
_MOST_BYTES = 16 * 2**20
"""Size of a file that may be written."""
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag


class FileRestorer:
    """Writes the files of one replayed session.

    Args:
        config: The configuration that the client sent, with the workspaces of this machine.
    """

    def __init__(self, config: Frame) -> None:
        self._workspaces = [Path(os.path.realpath(each)) for each in workspaces_of(config)]
        self._left = _MOST_FILES

    @staticmethod
    def concerns(message: str | bytes) -> bool:
        """Return whether a frame may be about an edited file."""
        if isinstance(message, bytes):
            return f.EDIT_FILE.encode() in message
        return f.EDIT_FILE in message

    def restore(self, message: str | bytes) -> None:
        """Write the file of an edit that is done. Writes the disk; never raises.

        Args:
            message: A frame of the harness.
        """
        body = object_of(parse_frame(message).get(f.STEP))
        if f.EDIT_FILE not in body or body.get(f.STATE) != f.DONE:
            return
        _, edit = builtin_of(body) or ("", {})
        path = self._place(text_of(edit.get("file_path")))
        blocks = objects_of(edit.get("diff_block"))
        if path is None or len(blocks) != 1 or not self._left:
            return
        before, after = _contents(blocks[0])
        self._left -= 1
        try:
            if len(after) <= _MOST_BYTES and not _write(path, before, after):
                warnings.warn(
                    f"restore_files: {path} is not as it was before the recorded edit, so it was "
                    "left as it is. Start the replay with the files that the recording began with",
                    RuntimeWarning,
                    stacklevel=2,
                )
        except OSError as error:
            warnings.warn(
                f"restore_files: {path} could not be written: {error.strerror}",
                RuntimeWarning,
                stacklevel=2,
            )

    def _place(self, name: str) -> Path | None:
        """Return the place of a file, None if it may not be written."""
        if not name or "\0" in name or not Path(name).is_absolute():
            return None
        # The folder is resolved, the file itself is not: a link in its place is refused later.
        path = Path(os.path.realpath(os.path.dirname(name)), os.path.basename(name))  # noqa: PTH120, PTH119 - `..` stays
        for workspace in self._workspaces:
            if path.is_relative_to(workspace):
                parts = path.relative_to(workspace).parts
                hidden = any(part.startswith(".") for part in parts)
                return None if hidden or not parts else path
        return None


def _contents(block: Frame) -> tuple[bytes, bytes]:
    """Return the content of a file before and after an edit."""
    before, after = [], []
    for line in objects_of(list_of(block.get("lines"))):
        text, sign = text_of(line.get("text")), f.LINE_SIGNS.get(text_of(line.get("action")))
        if sign in ("-", " "):
            before.append(text)
        if sign in ("+", " "):
            after.append(text)
    return _joined(before), _joined(after)


def _joined(lines: Iterable[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _write(path: Path, before: bytes, after: bytes) -> bool:
    """Write a file. Return whether it now has the content after the edit."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        if before:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # not through a link made since `lstat`
    else:
        # `realpath` does not see a hard link, which can lead out of the workspace.
        if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1 or there.st_size > _MOST_BYTES:
            return False
        found = path.read_bytes()
        if found != before:
            return found == after
        flags = os.O_WRONLY | os.O_TRUNC
    with os.fdopen(os.open(path, flags | _NO_LINK, 0o666), "wb") as file:
        file.write(after)
    return True
