"""The options of `use_cassette`, checked on creation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from agy_nb.cassette.matching.compare_frames import MATCHERS, Comparer
from agy_nb.cassette.record_modes import check_mode
from agy_nb.cassette.redaction.user_rules import Rule, UserRules
from agy_nb.cassette.replay.cassette_answers import Answers, Tools
from agy_nb.errors import InvalidInputError

Seam: TypeAlias = Literal["wire", "model"]
_T = TypeVar("_T")
_FRAME_PATH = re.compile(
    rf"(?:\$?\.)?(?:{'|'.join(kind for kinds in MATCHERS.values() for kind in kinds)})(?=$|[.\[])"
)
"""A path that begins with the kind of a client's frame."""


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
    normalize: tuple[str | re.Pattern[str], ...] = ()
    speed: float = 0
    tools: Tools = "check"
    approvals: Answers = "replay"
    questions: Answers = "replay"
    redact: tuple[Rule, ...] = ()
    allow_unplayed: bool = False
    stall_after: float = 10.0
    record_on_exception: bool = True
    record_model: bool = True
    share_texts: bool = True
    echo: bool = False
    tool_http: bool = False
    restore_files: bool = False
    record_media: bool = True
    allow_values: tuple[str | re.Pattern[str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_mode(self.record_mode)
        _one_of("seam", self.seam, ("wire", "model"))
        _one_of("tools", self.tools, ("check", "run", "replay"))
        _one_of("approvals", self.approvals, ("replay", "ask", "run"))
        _one_of("questions", self.questions, ("replay", "ask", "run"))
        _not_negative("speed", self.speed)
        _not_negative("stall_after", self.stall_after)
        for name in ("allow_unplayed", "record_on_exception", "record_model", "share_texts", "echo",
                     "tool_http", "restore_files", "record_media"):  # fmt: skip
            _one_of(name, getattr(self, name), (True, False))
        Comparer(self.match_on, self.ignore, self.normalize)  # raises for unknown names
        UserRules(self.redact)  # raises for values that are not rules
        if self.seam == "model":
            self._check_model_options()

    def _check_model_options(self) -> None:
        """Refuse options that compare frames, where requests to the model are compared."""
        for path in self.ignore:
            if _FRAME_PATH.match(path):
                raise InvalidInputError(
                    f'ignore={path!r} names a place in a frame, and seam="model" compares requests '
                    "to the model. Name a place in a request, as a mismatch shows it, e.g. "
                    "'generationConfig.temperature', or use seam=\"wire\"",
                    field="ignore",
                )
        if set(self.match_on) != set(MATCHERS):
            raise InvalidInputError(
                f"match_on={list(self.match_on)!r} chooses frames to compare, and "
                'seam="model" compares requests to the model; leave match_on out, name places '
                'with ignore=, or use seam="wire"',
                field="match_on",
            )


def items_of(name: str, given: Any, *, kinds: tuple[type, ...] = (str,)) -> tuple[Any, ...]:
    """Return the items of an option that takes several values.

    Args:
        name: The option.
        given: The value that was passed.
        kinds: The types of its items; empty for any.

    Raises:
        InvalidInputError: It is one item, and not a list of them, or holds an item of another type.
    """
    if isinstance(given, str | bytes | re.Pattern | Mapping) or not isinstance(given, Iterable):
        hint = f"; write {name}=[{_shown(given)}]" if isinstance(given, str | re.Pattern) else ""
        raise InvalidInputError(f"{name} must be a list, got {_shown(given)}{hint}", field=name)
    items = tuple(given)
    for item in items:
        if kinds and not isinstance(item, kinds):
            wanted = " or ".join(_KINDS[kind] for kind in kinds)
            raise InvalidInputError(
                f"{name} must be a list of {wanted}, got {_shown(item)} in it", field=name
            )
    return items


_KINDS: dict[type, str] = {str: "texts", re.Pattern: "compiled regular expressions"}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."  # noqa: PLR2004 - one line


def _one_of(name: str, value: _T, allowed: tuple[_T, ...]) -> None:
    if value not in allowed:
        raise InvalidInputError(
            f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}", field=name
        )


def _not_negative(name: str, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise InvalidInputError(f"{name} must be a number >= 0, got {value!r}", field=name)
