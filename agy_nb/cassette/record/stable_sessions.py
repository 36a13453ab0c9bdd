"""Give the sessions of a re-recording the numbers that the same sessions have in the old recording.

Agents that start at the same time race, and so do processes. A session is the same if it has the
configuration and the first prompt of an old one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, count

from agy_nb.cassette.storage.format import WireRecord
from agy_nb.wire import frames as f
from agy_nb.wire.summaries.canonical_config import canonical_config


def renumbered(old: Sequence[WireRecord], new: Sequence[WireRecord]) -> list[WireRecord]:
    """Return the lines of a re-recording with the session numbers of the old recording.

    Args:
        old: All lines of the old recording.
        new: All lines of the new one.
    """
    before, after = _beginnings(old), _beginnings(new)
    numbers = {number: number for number, key in after.items() if before.get(number) == key}
    for number, key in after.items():
        if number not in numbers:
            same = (n for n, of in before.items() if of == key and n not in numbers.values())
            found = next(same, None)
            if found is not None:
                numbers[number] = found
    for number in after:
        if number not in numbers:
            taken = {*numbers.values()}
            numbers[number] = next(n for n in chain([number], before, count()) if n not in taken)
    if all(number == given for number, given in numbers.items()):
        return list(new)
    return [replace(line, session=numbers[line.session]) for line in new]


def _beginnings(lines: Iterable[WireRecord]) -> dict[int, tuple[str, str]]:
    """Return the configuration and the first prompt of each session, by its number."""
    found: dict[int, tuple[str, str]] = {}
    for line in lines:
        config, prompt = found.setdefault(line.session, ("", ""))
        if line.direction != "client":
            continue
        kind = f.kind_of(line.frame)
        if kind == f.CONFIG and not config:
            config = json.dumps(canonical_config(line.frame), sort_keys=True)
        elif kind in f.TURN_KINDS and not prompt:
            prompt = json.dumps(line.frame.get(kind), sort_keys=True)
        found[line.session] = config, prompt
    return found
