"""What to do about a mismatch, as it is written in Python, on a command line and in a test.

A script, the stand-in for a harness and the pytest plugin meet the same mismatch, and each has its
own words for the same option. An error holds remedies; the place that shows it picks the words.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Place: TypeAlias = Literal["python", "shell"]
"""Where the advice is followed: in code that calls `use_cassette`, or with `agy-nb harness`."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do about a mismatch.

    Attributes:
        python: What to do in Python.
        shell: What to do on a command line; empty where it cannot be done there.
        marker: Arguments of the pytest marker that do it; empty where a marker cannot.
        when: When to pass them to the marker.

    Example:
        >>> ignore("userInput.parts[0].text").shell
        "if this difference does not matter, --ignore 'userInput.parts[0].text'"
    """

    python: str
    shell: str = ""
    marker: str = ""
    when: str = ""


RECORD_AGAIN = Remedy('record it again with record_mode="all"', "record it again with --record")
ADD_TO_IT = Remedy('add to it with record_mode="new_episodes"')
ACCEPT_UNPLAYED = Remedy(
    "accept it with allow_unplayed=True",
    "accept it with --allow-unplayed",
    "allow_unplayed=True",
    "If it does not matter, accept it",
)
WAIT_LONGER = Remedy(
    "allow more time with stall_after=<seconds>",
    "allow more time with --stall-after <seconds>",
    "stall_after=60",
    "To allow more time, in seconds",
)
DO_AS_RECORDED = Remedy("follow the recording", "follow the recording")
TAKE_OUT_THE_STEP = Remedy(
    "take the additional step out of the code", "take the additional step out of the code"
)
KEEP_THE_VALUE = Remedy(
    "if the redacted value is not secret, record again with allow_values=[the value]"
)
RUN_NO_TOOLS = Remedy(
    'use tools="replay", which runs no tool and takes the recorded results. Do that with each '
    "cassette that is not your own"
)
ASK_THE_CLIENT = Remedy(
    "if the program reads approvals or answers itself, as from stdin, let it do so with "
    'approvals="ask" and questions="ask"',
    "if the program reads approvals or answers itself, as from stdin, let it do so with "
    "--approvals ask --questions ask",
    'approvals="ask", questions="ask"',
    "If the program reads approvals or answers itself, as from stdin",
)


def ignore(path: str) -> Remedy:
    """Leave the place that differs out of the comparison."""
    why = "if this difference does not matter, "
    python = f"ignore=[{path!r}]"
    shell = f"{why}--ignore {shlex.quote(path)}"
    return Remedy(why + python, shell, python, "If it does not matter, ignore it")


def match_less(matcher: str) -> Remedy:
    """Leave everything of this kind out of the comparison."""
    return Remedy(f"leave {matcher!r} out of match_on=", f"leave {matcher} out of --match-on")


def advice(remedies: Iterable[Remedy], place: Place) -> str:
    """Return the remedies for a place as the last line of a message."""
    words = [word for remedy in remedies if (word := getattr(remedy, place))]
    return f"What to do: {'; or '.join(words)}" if words else ""
