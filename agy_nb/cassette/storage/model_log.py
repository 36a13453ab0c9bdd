"""Store requests to the model: a log while recording, and `model.yaml` at the end.

Rule 1: a line of the log (`model.jsonl`) is one complete, redacted exchange. After a crash, all
complete lines are valid and are read like a finished file.
Rule 2: `model.yaml` is written atomically, and the log is removed after that.
Rule 3: adding an exchange never blocks. A thread redacts and writes it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.format import EPISODES, MODEL
from agy_nb.cassette.storage.safe_files import bounded_lines, open_plain, write_all
from agy_nb.cassette.storage.safe_json import parse_json
from agy_nb.cassette.storage.shared.model_yaml import read_model_yaml, write_model_yaml
from agy_nb.cassette.storage.shared.vcr_file import Interaction, is_interaction
from agy_nb.cassette.storage.write_thread import WriteThread
from agy_nb.wire.json_values import dump_json


class ModelLog:
    """Write the exchanges with the model while recording.

    Args:
        folder: Folder of the recording. Existing exchanges in it are kept, before the new ones.
        share: Whether to share texts with the cassettes beside this one.
    """

    def __init__(self, folder: Path, *, share: bool = True) -> None:
        self._folder = folder
        self._share = share
        self._thread = WriteThread(f"cassette model {folder.name}", self._append)

    def put(self, make: Callable[[], Interaction]) -> None:
        """Append an exchange. Never blocks, never raises.

        Args:
            make: Returns the redacted exchange; called in the writer's thread.
        """
        self._thread.put(make)

    def finish(self, again: Callable[[Interaction], Interaction] = lambda made: made) -> None:
        """Write all exchanges, and convert the log to `model.yaml`. Blocks.

        Args:
            again: Redacts an exchange with secrets that became known after it was written.

        Raises:
            OSError: The files cannot be written.
            Exception: `make` or `again` raised it.
        """
        self.end()
        convert_log(self._folder, again, share=self._share)

    def end(self) -> None:
        """Write all exchanges and keep the log. Blocks.

        Raises:
            OSError: The log cannot be written.
            Exception: `make` raised it.
        """
        self.close()
        if self._thread.failure is not None:
            raise self._thread.failure

    def close(self) -> None:
        """Write what can be written, and keep the log. Blocks."""
        self._thread.close()

    def _append(self, makes: Iterator[Callable[[], Interaction]]) -> None:
        # Unbuffered: written lines stay even if this process is killed.
        with contextlib.ExitStack() as stack:
            file = None
            for make in makes:
                line = _encoded(make())
                if file is None:
                    opened = (self._folder / EPISODES).open("ab", buffering=0)
                    file = stack.enter_context(opened)
                write_all(file, line)


def convert_log(
    folder: Path,
    again: Callable[[Interaction], Interaction] = lambda made: made,
    *,
    share: bool = True,
) -> None:
    """Convert the log of a recording to `model.yaml`, if there is a log. Writes the disk.

    Raises:
        OSError: The files cannot be written.
    """
    log = folder / EPISODES
    if not log.exists():
        return
    file = folder / MODEL
    kept = read_model_yaml(file) if file.exists() else []
    # The log is removed only after the file is whole. A crash in between leaves the exchanges in
    # both, which is better than in none.
    write_model_yaml(file, [*kept, *map(again, read_log(log))], share=share)
    log.unlink()


def has_model(folder: Path) -> bool:
    """Return whether a cassette, also a partial one, holds requests to the model."""
    return (folder / MODEL).exists() or (folder / EPISODES).exists()


def read_model(folder: Path) -> list[Interaction]:
    """Read the exchanges with the model, including the complete lines of a log after a crash.

    Raises:
        CassetteInvalidError: A file cannot be read.
    """
    found = read_model_yaml(folder / MODEL) if (folder / MODEL).exists() else []
    return [*found, *read_log(folder / EPISODES)] if (folder / EPISODES).exists() else found


def as_text(body: bytes) -> str | bytes:
    """Decode a body if it is UTF-8, so that people can read it in the file."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _encoded(made: Interaction) -> bytes:
    return dump_json(made, separators=(",", ":"), default=_base64).encode() + b"\n"


def _base64(value: bytes) -> dict[str, str]:
    return {"$base64": base64.b64encode(value).decode()}


def _with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$base64"}:
            return base64.b64decode(value["$base64"], validate=True)
        return {key: _with_bytes(item) for key, item in value.items()}
    return [_with_bytes(item) for item in value] if isinstance(value, list) else value


def read_log(file: Path) -> Iterator[Interaction]:
    """Read the exchanges of a log, up to its last whole line.

    Raises:
        CassetteInvalidError: It cannot be read.
    """
    folder = str(file.parent)
    try:
        with open_plain(file) as opened:
            lines = bounded_lines(opened)
            for number in itertools.count(1):
                try:
                    raw = next(lines, b"")
                    if not raw.endswith(b"\n"):
                        return
                    made = _with_bytes(parse_json(raw.decode("utf-8", "surrogatepass")))
                except (ValueError, TypeError, binascii.Error) as error:
                    raise CassetteInvalidError(
                        f"{file}, line {number}: {error}", path=folder
                    ) from error
                if not is_interaction(made):
                    raise CassetteInvalidError(
                        f"{file}, line {number}: no request with its response", path=folder
                    )
                yield made
    except OSError as error:
        raise CassetteInvalidError(
            f"{file} cannot be read: {error.strerror}", path=folder
        ) from error
