"""Keep a re-recording like the recording that it replaces, apart from the changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.record.stable_exchanges import stable_exchanges
from agy_nb.cassette.record.stable_lines import RenamedIds, stable_lines
from agy_nb.cassette.record.stable_sessions import renumbered
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.exchanges import cleaned
from agy_nb.cassette.redaction.late_secrets import LateSecrets
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.storage.format import (
    EPISODES,
    MODEL,
    VERSION,
    WIRE,
    Header,
    WireRecord,
    is_partial,
    read_header,
    read_lines,
)
from agy_nb.cassette.storage.model_log import has_model, read_model
from agy_nb.cassette.storage.shared.model_yaml import write_model_yaml

_LARGEST = 64 * 2**20
"""Bytes of `wire.jsonl` up to which a re-recording is compared with the old recording."""


class Revised(NamedTuple):
    """A re-recording with the values of the old recording.

    Attributes:
        lines: All lines of `wire.jsonl`.
        header: Completes its header.
    """

    lines: list[WireRecord]
    header: Callable[[Header], Header]


def revised(
    old: Path,
    new: Path,
    redactor: Redactor,
    *,
    share: bool = True,
    names: dict[str, str] | None = None,
    late: LateSecrets | None = None,
) -> Revised | None:
    """Return a finished re-recording as it replaces the old one. Reads and writes the disk.

    Ids, times, ports and the order of independent frames are those of the old recording where the
    new one means the same. The old recording is redacted by the rules of the new one.

    Args:
        old: The cassette.
        new: Folder of the re-recording; its `model.yaml` is written, again or from the log.
        redactor: Redacts the old recording.
        share: Whether the re-recording shares texts with the cassettes beside it.
        names: Ids that parts of the re-recording have got before, by its own ids. More are added.
        late: Removes secrets from lines that were written before the secrets became known.

    Returns:
        The lines and the header; None if the old recording cannot be used.
    """
    try:
        header = read_header(old)
        if header.version != VERSION or is_partial(old, header):
            return None
        if max((folder / WIRE).stat().st_size for folder in (old, new)) > _LARGEST:
            return None
        before = list(map(redactor.line, joined(read_lines(old), redactor)))
        written = read_lines(new) if late is None else late.removed_from(read_lines(new))
        after = renumbered(before, list(written))
        ids = RenamedIds(before, after, names)
        lines = stable_lines(before, after, ids)
        same = _revise_model(old, new, redactor, ids, share=share)
        if names is not None:
            names |= ids.names
    except (OSError, CassetteError):
        return None

    def completed(made: Header) -> Header:
        kept = replace(
            made, recorded_at=header.recorded_at, id=header.id, redactions=header.redactions
        )
        return header if same and kept == header else made

    return Revised(lines, completed)


def _revise_model(
    old: Path, new: Path, redactor: Redactor, ids: RenamedIds, *, share: bool
) -> bool:
    """Write the model's side again. Return whether it is the old one."""
    sides = [(old / MODEL).exists(), has_model(new)]
    if not all(sides) or (old / EPISODES).exists():
        return not any(sides)
    before = [cleaned(made, redactor) for made in read_model(old)]
    exchanges = stable_exchanges(before, read_model(new), ids)
    write_model_yaml(new / MODEL, exchanges, share=share)
    (new / EPISODES).unlink(missing_ok=True)
    return exchanges == before
