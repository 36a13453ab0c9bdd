"""Convert command-line arguments to values, for argparse."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.storage.format import cassette_path

if TYPE_CHECKING:
    from agy_nb.cassette.redaction import Rule


def to_cassette(text: str) -> Path:
    """Convert an argument to the folder of a cassette."""
    try:
        return cassette_path(text)
    except CassetteError as error:
        raise ArgumentTypeError(str(error)) from error


def to_regex(text: str) -> re.Pattern[str]:
    """Compile an argument as a regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from error


def to_label(text: str) -> tuple[str, str]:
    """Convert NAME=VALUE to a label."""
    from agy_nb.protocol.labels import problem_of

    name, equals, value = text.partition("=")
    problem = problem_of(name.strip(), value.strip()) if equals else "write NAME=VALUE"
    if problem:
        raise ArgumentTypeError(f"{text[:80]!r}: {problem}")
    return name.strip(), value.strip()


def rules_of(arguments: Namespace) -> list[Rule]:
    """Return the redaction rules of a command.

    Raises:
        InvalidInputError: A JSON path is not valid.
    """
    from agy_nb.cassette.matching.jsonpath import JsonPath

    for path in arguments.jsonpath:
        JsonPath.parse(path)  # raises InvalidInputError, which the command shows
    return [*arguments.regex, *arguments.jsonpath]


def to_seconds(text: str) -> float:
    """Convert an argument to a number of seconds.

    Raises:
        ArgumentTypeError: It is not a positive, finite number.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"must be a number of seconds > 0, got {text!r}")
    return value
