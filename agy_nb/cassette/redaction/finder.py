"""Finds secrets in a text by how they look and by what stands around them."""

from __future__ import annotations

from agy_nb.cassette.redaction.names import HINT, PATTERNS
from agy_nb.cassette.redaction.spans import Span, merged

_SECRET = "{{agy:secret}}"  # noqa: S105 - the mark, not a secret


def find_secrets(text: str) -> list[Span]:
    """Find the secrets in a text.

    Args:
        text: Any text: prose, code, JSON, the content of a file.

    Returns:
        Spans in order, which do not overlap. `text[span.start:span.end]` is the secret, and
        `span.mark` what stands for it.

    Example:
        >>> [span] = find_secrets("export GH_TOKEN=" + "ghp_" + "x1Y2" * 9)
        >>> span.start
        16
    """
    if not HINT.search(text):
        return []
    found: list[Span] = []
    lowered = text.lower()
    for pattern in PATTERNS:
        if pattern.may_be_in(lowered):
            group = "s" if "s" in pattern.expression.groupindex else 0
            spans = (match.span(group) for match in pattern.expression.finditer(text))
            found += [Span(start, end, _SECRET, secret=True) for start, end in spans]
    return merged(found)
