"""The schema of the messages that a front end sends; a message that does not match it is dropped.

A page is not trusted: another extension, another tab or a script can send anything over a widget's
comm. So every message goes through `parse`, which returns frozen data of known types.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

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
"""Maximum length of a text from a front end, in characters."""

_MOST = 1_000
_LONGEST_WORD = 10_000


def _writable(value: object) -> object:
    """Replace lone surrogates, which JavaScript strings may hold and UTF-8 cannot encode."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


_Text = Annotated[str, BeforeValidator(_writable), StringConstraints(max_length=LONGEST_TEXT)]
_Word = Annotated[str, BeforeValidator(_writable), StringConstraints(max_length=_LONGEST_WORD)]


class _Message(BaseModel):
    """The base of all messages.

    Attributes:
        view: The view that sent it: a notebook can show one widget in several places.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True, extra="ignore")
    view: _Word = ""


class Ready(_Message):
    """A front end has opened the view and needs all nodes."""

    type: Literal["ready"] = "ready"


class StillShown(_Message):
    """A front end still shows the view that HTML was to replace."""

    type: Literal["here"] = "here"


class Decide(_Message):
    """The user has decided on a tool call.

    Attributes:
        id: The id of the approval.
        choice: Allow once, always this tool, always this exact call, run as edited, or deny.
        reason: Why the call is denied.
        text: The text in the card's editor, None if it was not opened.
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
    """The user has answered the model's questions.

    Attributes:
        id: The id of the `Question` event.
        answers: One answer per question.
    """

    type: Literal["answer"] = "answer"
    id: _Word
    answers: tuple[Answered, ...] = Field(max_length=_MOST, strict=False)


class PageAction(_Message):
    """The user has clicked, chosen or typed something on a page.

    Attributes:
        act: The name of the control.
        value: The value of the control.
    """

    type: Literal["act"] = "act"
    act: _Word
    value: _Text = ""


class PanelAction(_Message):
    """The user has pressed a button of the chat panel.

    Attributes:
        node: The prompt that it belongs to, empty for the latest.
    """

    type: Literal["stop", "retry", "edit", "clear", "compare"]
    node: _Word = ""


class Rewrite(_Message):
    """The user has edited an earlier prompt.

    Attributes:
        node: The prompt.
        text: Its new text.
    """

    type: Literal["rewrite"] = "rewrite"
    node: _Word
    text: _Text = ""


class SwitchBranch(_Message):
    """The user wants to see another branch that parts at a turn.

    Attributes:
        node: The prompt of the turn.
        to: The number of the branch, from 1.
    """

    type: Literal["switch"] = "switch"
    node: _Word
    to: int = Field(ge=1)


class Export(_Message):
    """The user wants the conversation, or one answer, in a format.

    Attributes:
        format: The format.
        node: The prompt of the answer, empty for the whole conversation.
    """

    type: Literal["export"] = "export"
    format: Literal["copy", "markdown", "json", "cassette"]
    node: _Word = ""


class Revoke(_Message):
    """The user has revoked a grant of the agent.

    Attributes:
        grant: The number of the grant.
    """

    type: Literal["revoke"] = "revoke"
    grant: int = Field(ge=0)


class RemovePrompt(_Message):
    """The user has removed a prompt that waits.

    Attributes:
        turn: The number of its turn.
    """

    type: Literal["unqueue"] = "unqueue"
    turn: int = Field(ge=0)


class AttachedFile(_Message):
    """A file attached to a prompt; its bytes are a buffer of the message."""

    name: _Word = "file"
    mime_type: _Word = ""


class SendPrompt(_Message):
    """The user has sent a prompt.

    Attributes:
        text: The text of the prompt.
        files: The attached files, in the order of the message's buffers.
    """

    type: Literal["send"] = "send"
    text: _Text = ""
    files: tuple[AttachedFile, ...] = Field(default=(), max_length=_MOST, strict=False)


Message: TypeAlias = (
    Ready
    | StillShown
    | Decide
    | AnswerAll
    | PageAction
    | PanelAction
    | Export
    | RemovePrompt
    | Revoke
    | Rewrite
    | SendPrompt
    | SwitchBranch
)

_adapter: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse(content: Any) -> Message | None:
    """Validate a message from a front end.

    Args:
        content: The content of the message.

    Returns:
        The message, None if it does not match the schema; the mismatch is logged.

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
        _log.debug("dropped a message from the front end: invalid %s", ", ".join(where))
        return None
