"""What a front end may say, as one schema: a message of another shape changes nothing.

A page is not trusted: another extension, another tab or a script can send anything over a widget's
comm. `parse` is the only door. Behind it a message is frozen data of known types.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

_log = logging.getLogger("agy_nb.widgets")

LONGEST_TEXT = 2_000_000
"""Characters of a text that a front end may send."""

_MOST = 1_000
_LONGEST_WORD = 10_000


def _writable(value: object) -> object:
    """A text without halves of characters, which JavaScript has and UTF-8 has not."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


_Text = Annotated[str, BeforeValidator(_writable), StringConstraints(max_length=LONGEST_TEXT)]
_Word = Annotated[str, BeforeValidator(_writable), StringConstraints(max_length=_LONGEST_WORD)]


class _Message(BaseModel):
    """What all messages have.

    Attributes:
        view: Which view of the widget sends it: a notebook can show one widget in several places.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
    view: _Word = ""


class Ready(_Message):
    """A front end shows the view, and needs all of it."""

    type: Literal["ready"] = "ready"


class Here(_Message):
    """A front end still shows the view, which was to be replaced by HTML."""

    type: Literal["here"] = "here"


class Decide(_Message):
    """A person has decided on a tool call.

    Attributes:
        id: Of the approval.
        choice: What was pressed: allow once, any call of the tool, this exact call, the edited
            call, or deny.
        reason: Why it is denied.
        text: What the card's editor holds, None where it was never opened.
    """

    type: Literal["decide"] = "decide"
    id: _Word
    choice: Literal["once", "tool", "call", "edited", "deny"]
    reason: _Text = ""
    text: _Text | None = None


class Answered(_Message):
    """The answer to one question of the model."""

    selected: tuple[_Word, ...] = Field(default=(), max_length=_MOST, strict=False)
    text: _Text = ""
    skipped: bool = False


class AnswerAll(_Message):
    """A person has answered the model's questions.

    Attributes:
        id: Of the event that asks them.
        answers: One for each question.
    """

    type: Literal["answer"] = "answer"
    id: _Word
    answers: tuple[Answered, ...] = Field(max_length=_MOST, strict=False)


class Act(_Message):
    """Something was clicked, chosen or typed on a page.

    Attributes:
        act: What.
        value: With which value.
    """

    type: Literal["act"] = "act"
    act: _Word
    value: _Text = ""


class Order(_Message):
    """A button that says all by its name."""

    type: Literal["stop", "retry", "edit", "clear"]


class Export(_Message):
    """The conversation is wanted in some form."""

    type: Literal["export"] = "export"
    format: Literal["copy", "markdown", "json", "cassette"]


class Revoke(_Message):
    """A grant of the agent ends.

    Attributes:
        grant: Its number in the panel.
    """

    type: Literal["revoke"] = "revoke"
    grant: int = Field(ge=0)


class AttachedFile(_Message):
    """A file that is sent along; its bytes are a buffer of the message."""

    name: _Word = "file"
    mime_type: _Word = ""


class SendPrompt(_Message):
    """A prompt was sent.

    Attributes:
        text: It.
        files: What is attached, in the order of the message's buffers.
    """

    type: Literal["send"] = "send"
    text: _Text = ""
    files: tuple[AttachedFile, ...] = Field(default=(), max_length=_MOST, strict=False)


Message: TypeAlias = Ready | Here | Decide | AnswerAll | Act | Order | Export | Revoke | SendPrompt

_adapter: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse(content: Any) -> Message | None:  # noqa: ANN401 - whatever a front end sends
    """Read what a front end has sent.

    Args:
        content: The message's content, as it came.

    Returns:
        The message, None for one of another shape; that is logged.

    Example:
        >>> from agy_nb.widgets.tree.front_end_messages import parse
        >>> parse({"type": "export", "format": "json"}).format
        'json'
        >>> parse({"type": "export", "format": ["json"]}) is None
        True
    """
    try:
        return _adapter.validate_python(content)
    except ValidationError as error:
        where = [".".join(map(str, each["loc"])) or "message" for each in error.errors()[:3]]
        _log.debug("a message of the front end was dropped: wrong %s", ", ".join(where))
        return None
