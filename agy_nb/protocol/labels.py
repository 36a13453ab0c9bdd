"""Labels of agents and recordings: short texts of yours by name, such as `{"user": "ada"}`.

They become columns of the tables, so a name must be usable as one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agy_nb.errors import InvalidInputError

MOST_LABELS = 32
LONGEST_NAME = 64
LONGEST_VALUE = 256

_NAME = re.compile(r"[^\W\d][\w.-]*")
_RESERVED = frozenset(
    {"session", "turn", "agent", "model", "trajectory", "subagent", "tool", "hour", "day", "week"}
    | {"month", "labels"}
)


def checked_labels(labels: object) -> dict[str, str]:
    """Return labels as a dictionary.

    Args:
        labels: A mapping of names to texts, or None for no labels.

    Raises:
        InvalidInputError: A name or a value is not valid, or there are too many.

    Example:
        >>> checked_labels({"user": "ada", "experiment": "b"})
        {'user': 'ada', 'experiment': 'b'}
    """
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise InvalidInputError(
            'labels must be a mapping of names to texts, such as {"user": "ada"}; '
            f"got {str(labels)[:80]!r}",
            field="labels",
        )
    if len(labels) > MOST_LABELS:
        raise InvalidInputError(
            f"labels has {len(labels)} labels; use at most {MOST_LABELS}", field="labels"
        )
    for name, value in labels.items():
        problem = problem_of(name, value)
        if problem:
            raise InvalidInputError(f"labels: {problem}", field="labels")
    return dict(labels)


def readable_labels(data: object) -> dict[str, str]:
    """Return the labels of a file that are valid; a damaged file can have any JSON."""
    if not isinstance(data, Mapping):
        return {}
    found = {name: value for name, value in data.items() if not problem_of(name, value)}
    return dict(list(found.items())[:MOST_LABELS])


def problem_of(name: object, value: object) -> str:
    """Return why a label is not valid; empty if it is."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return (
            f"the name {str(name)[:80]!r} must begin with a letter and have at most {LONGEST_NAME} "
            "letters, digits, '_', '-' and '.'"
        )
    if name in _RESERVED:
        return f"{name!r} is a key of the tables; name the label otherwise"
    if not isinstance(value, str):
        return f"the value of {name!r} must be a text, got {repr(value)[:80]}"
    if len(value) > LONGEST_VALUE or not value.isprintable():
        return (
            f"the value of {name!r} must be one line of at most {LONGEST_VALUE} characters, "
            f"got {str(value)[:80]!r}"
        )
    return ""
