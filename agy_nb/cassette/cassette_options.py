"""The options of `use_cassette`, checked on creation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from agy_nb.cassette.matching.compare_frames import MATCHERS, Comparer
from agy_nb.cassette.record_modes import check_mode
from agy_nb.cassette.redaction import Rule
from agy_nb.cassette.replay.machine import Answers, Tools
from agy_nb.errors import InvalidInputError

Seam: TypeAlias = Literal["wire", "model"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteOptions:
    """The options of one `use_cassette`, which documents them.

    Raises:
        InvalidInputError: An option has an unknown or invalid value; `field` names it.
    """

    path: Path
    record_mode: str = "once"
    seam: Seam = "wire"
    match_on: tuple[str, ...] = tuple(MATCHERS)
    ignore: tuple[str, ...] = ()
    speed: float = 0
    tools: Tools = "check"
    approvals: Answers = "replay"
    questions: Answers = "replay"
    redact: tuple[Rule, ...] = ()
    allow_unplayed: bool = False
    stall_after: float = 10.0
    record_on_exception: bool = True
    record_model: bool = True
    tool_http: bool = False
    record_media: bool = True
    allow_values: tuple[str | re.Pattern[str], ...] = ()

    def __post_init__(self) -> None:
        check_mode(self.record_mode)
        _one_of("seam", self.seam, ("wire", "model"))
        _one_of("tools", self.tools, ("check", "run", "replay"))
        _one_of("approvals", self.approvals, ("replay", "ask", "run"))
        _one_of("questions", self.questions, ("replay", "ask", "run"))
        _not_negative("speed", self.speed)
        _not_negative("stall_after", self.stall_after)
        Comparer(self.match_on, self.ignore)  # raises for unknown names


def _one_of(name: str, value: _T, allowed: tuple[_T, ...]) -> None:
    if value not in allowed:
        raise InvalidInputError(
            f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}", field=name
        )


def _not_negative(name: str, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise InvalidInputError(f"{name} must be a number >= 0, got {value!r}", field=name)
