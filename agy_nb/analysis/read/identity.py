"""The permanent id of a recording, which does not depend on where it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

_ID = re.compile(r"[0-9A-Za-z_-]{6,64}")
_CONVERSATION = re.compile(rb'"cascadeId":\s*"([^"]+)"')
_MOMENT = re.compile(rb'"timestampMicros":\s*"?(\d+)')
_FIRST_LINES = 8


def identity_of(wire: Path, header: Mapping[str, Any], name: str) -> str:
    """Return the id of a cassette.

    A newer cassette has its id in its header. The id of an older one comes from the harness's first
    frame: the conversation and the moment, which no other recording has.

    Args:
        wire: Its `wire.jsonl`.
        header: The data of its header, empty if there is none.
        name: Its name, for a recording without a frame of the harness.
    """
    known = header.get("id")
    if isinstance(known, str) and _ID.fullmatch(known):
        return known
    return blake2b(_first_frame(wire) or name.encode(errors="replace"), digest_size=8).hexdigest()


def _first_frame(wire: Path) -> bytes | None:
    from agy_nb.cassette.storage.safe_files import bounded_lines, open_plain

    try:
        with open_plain(wire) as file:
            for line in islice(bounded_lines(file), _FIRST_LINES):
                moment, conversation = _MOMENT.search(line), _CONVERSATION.search(line)
                if moment is not None:
                    return (conversation[1] if conversation else b"") + b"@" + moment[1]
    except (OSError, ValueError):
        return None
    return None
