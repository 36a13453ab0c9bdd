"""The engine that knows the formats of hundreds of services: betterleaks, where it is installed.

Measured against detect-secrets and credsweeper: docs/security.md has the numbers. Without it our
own rules do the work alone and find fewer formats; `agy-nb doctor` reports that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

_SHORT = 300
"""Characters of a text whose findings are remembered."""

_SKIPPED = re.compile(
    r"generic-.*|.*-(?:username|instance-url|domain)(?:\.\d)?|(?!.*webhook).*-url(?:\.\d)?"
)
"""Its rules for names, where ours know more contexts and which values are code, and addresses."""

_forked = False


def is_available() -> bool:
    """Return whether the engine is used. Loads it: 30 ms, once."""
    return not _forked and _scan() is not None


def version() -> str | None:
    """Return the engine's version; None if it is not installed or does not load."""
    if _scan() is None:
        return None
    import betterleaks

    return str(betterleaks.__version__)


def engine_spans(text: str) -> Iterable[tuple[int, int, str]]:
    """Find secrets with the engine; gives where each begins and ends, and its kind."""
    scan = None if _forked else _scan()
    if scan is None:
        return ()
    return _spans_of_short(text) if len(text) <= _SHORT else _spans(scan, text)


@lru_cache(maxsize=1024)
def _spans_of_short(text: str) -> tuple[tuple[int, int, str], ...]:
    """Scan a short text, with a cache: each session repeats paths, names and settings."""
    scan = _scan()
    assert scan is not None
    return tuple(_spans(scan, text))


def _spans(scan: Callable[[str], list[Any]], text: str) -> Iterator[tuple[int, int, str]]:
    # The engine takes a C string: a NUL would end it, and half a surrogate cannot be UTF-8.
    raw = text.replace("\x00", " ").encode("utf-8", "replace")
    findings = scan(raw.decode())
    if not findings:
        return
    ascii_only = len(raw) == len(text)
    lines = [0]
    at = raw.find(b"\n")
    while at >= 0:
        lines.append(at + 1)
        at = raw.find(b"\n", at + 1)
    for finding in findings:
        if finding.confidence == "low" or _SKIPPED.fullmatch(finding.rule_id):
            continue
        place, value = finding.location, finding.secret.encode("utf-8", "replace")
        begin = lines[min(place.start_line, len(lines)) - 1] + place.start_column - 1
        start = raw.find(value, max(0, begin - 1), begin + len(finding.match.full.encode()) + 1)
        if start < 0 or not value:
            continue
        end = start + len(value)
        if not ascii_only:
            start, end = len(raw[:start].decode("utf-8", "replace")), len(raw[:end].decode())
        yield start, end, finding.rule_id


@cache
def _scan() -> Callable[[str], list[Any]] | None:
    try:
        import betterleaks

        betterleaks.scan_string("")
    except Exception:
        return None
    scan: Callable[[str], list[Any]] = betterleaks.scan_string
    return scan


def _after_fork() -> None:
    # The engine's threads are the parent's: a call in a forked child would wait without end.
    global _forked  # noqa: PLW0603 - of the process
    _forked = _scan.cache_info().currsize > 0


os.register_at_fork(after_in_child=_after_fork) if hasattr(os, "register_at_fork") else None
