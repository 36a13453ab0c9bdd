"""Compute digests of recorded sessions, and compare two cassettes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.text_diff import diff_of
from agy_nb.cassette.storage.cassette_reader import RecordedSession, load
from agy_nb.cassette.storage.format import Frame, WireRecord, spoken_frame
from agy_nb.wire.summaries import digest_diff
from agy_nb.wire.summaries.canonical_config import canonical_config
from agy_nb.wire.summaries.digest import Digest, SessionDigest
from agy_nb.wire.summaries.digest_diff import PARTS

_MOST_FIELDS = 20
"""Fields of a configuration that are shown."""


def digests_of(lines: Iterable[WireRecord]) -> list[Digest]:
    """Return the digests of all sessions, in the order of their start; keeps no line in memory."""
    found: dict[int, SessionDigest] = {}
    ends: dict[int, Frame] = {}
    for line in lines:
        digest = found.setdefault(line.session, SessionDigest())
        if line.direction == "end":
            ends[line.session] = line.frame
        else:
            _add(digest, line)
    return [digest.result(ends.get(number)) for number, digest in sorted(found.items())]


def digest_of(session: RecordedSession) -> Digest:
    """Return the digest of a recorded session."""
    digest = SessionDigest()
    for line in session.lines:
        _add(digest, line)
    return digest.result(session.end)


def _add(digest: SessionDigest, line: WireRecord) -> None:
    if line.direction == "client":
        digest.client(spoken_frame(line))
    elif line.direction == "harness":
        digest.harness(spoken_frame(line))


def differences(
    one: Path,
    other: Path,
    *,
    parts: Collection[str] = PARTS,
    names: tuple[str, str] | None = None,
) -> Iterator[str]:
    """Compare the digests of two cassettes by session and turn; yields lines of text.

    Args:
        one: A cassette's folder.
        other: The other cassette's folder.
        parts: The parts to compare, from `PARTS`.
        names: Names of the two cassettes in the text; their folders by default.

    Raises:
        CassetteError: A cassette cannot be read.
    """
    called = (str(one), str(other)) if names is None else names
    sessions = zip_longest(load(one).sessions, load(other).sessions)
    for number, (left, right) in enumerate(sessions):
        if left is None or right is None:
            yield f"session {number}: only in {called[right is not None]}"
            continue
        if "config" in parts:
            yield from _config_differences(number, left.config, right.config)
        yield from digest_diff.differences(number, digest_of(left), digest_of(right), called, parts)


def _config_differences(number: int, one: Frame, other: Frame) -> Iterator[str]:
    """Name each field of the configuration that differs, with a diff of its values."""
    left, right = (canonical_config(frame) for frame in (one, other))
    found = list(Comparer().differences(left, right)) if left != right else []
    for difference in found[:_MOST_FIELDS]:
        yield f"session {number}: {difference.path} differs"
        for line in diff_of(difference).splitlines():
            yield f"  {line}"
    if len(found) > _MOST_FIELDS:
        more = len(found) - _MOST_FIELDS
        yield f"session {number}: {more} more fields of the configuration differ"
