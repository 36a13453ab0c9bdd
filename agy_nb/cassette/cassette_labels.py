"""Labels of recordings: short texts of yours in the header, for the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from agy_nb.cassette.errors import CassetteError, CassetteNotWrittenError
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.storage.atomic_replace import write_file
from agy_nb.cassette.storage.format import HEADER, read_header
from agy_nb.cassette.storage.ownership import RecordingLock
from agy_nb.protocol.labels import checked_labels


def redacted(labels: Mapping[str, str], redactor: Redactor) -> dict[str, str]:
    """Return labels without secrets."""
    return {redactor.text(name): redactor.text(value) for name, value in labels.items()}


def labels_to_keep(path: Path, redactor: Redactor) -> dict[str, str]:
    """Return the labels of a cassette that is recorded again. Reads the disk.

    A cassette that does not exist, or cannot be read, has none.

    Args:
        path: Its folder.
        redactor: Redacts them by the rules of the new recording.
    """
    try:
        return redacted(read_header(path).labels, redactor)
    except (OSError, CassetteError):
        return {}


def change_labels(
    path: Path, added: Mapping[str, str] | None = None, removed: Iterable[str] = ()
) -> dict[str, str]:
    """Change the labels of a cassette, and return them all. Blocks; not for the event loop.

    Args:
        path: Its folder.
        added: Labels to set, after redaction.
        removed: Names of labels to remove; a name that it does not have is ignored.

    Raises:
        InvalidInputError: A label is not valid, or there are too many.
        CassetteError: The cassette cannot be read or written, or is being recorded.
    """
    header = read_header(path)
    new = redacted(checked_labels(added), Redactor())
    labels = {name: text for name, text in header.labels.items() if name not in {*removed}} | new
    labels = checked_labels(labels)
    if labels == header.labels:
        return labels
    lock = RecordingLock(path)
    try:
        write_file(path / HEADER, replace(header, labels=labels).encode())
    except OSError as error:
        raise CassetteNotWrittenError(
            f"the labels of {path} could not be written: {error.strerror}", path=str(path)
        ) from error
    finally:
        lock.release()
    return labels
