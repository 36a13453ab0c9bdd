"""Values that commands, replies and events are made of. Plain frozen data, no I/O."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Literal

from agy_nb.protocol.amounts import tokens_text
from agy_nb.protocol.field_rules import FieldRule, JsonValue
from agy_nb.protocol.short_repr import html_fields, html_table, short_repr

AgentId = Annotated[int, FieldRule(ge=1)]
"""Number of an agent within its runtime, from 1."""

Seconds = Annotated[float, FieldRule(ge=0, allow_inf_nan=False)]
"""A duration in seconds."""

Tokens = Annotated[int, FieldRule(ge=0)]
"""A count of tokens. None elsewhere means unknown; 0 means measured zero."""

JsonObject = dict[str, JsonValue]
"""A JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """The thread of steps that something belongs to: the root agent's, or a subagent's.

    Attributes:
        id: The harness's own id; empty until it is known.
        parent_id: Id of the trajectory that started it, None for the root.
        depth: 0 for the root agent, 1 for its subagents, and so on.
    """

    id: str = ""
    parent_id: str | None = None
    depth: Annotated[int, FieldRule(ge=0)] = 0

    @property
    def is_root(self) -> bool:
        """Whether this is the agent's own trajectory rather than a subagent's."""
        return self.depth == 0 and not self.parent_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityTokens:
    """Tokens of one modality.

    Attributes:
        modality: `"text"`, `"image"`, `"audio"`, `"video"`, `"document"`, or what the model names.
        tokens: How many.

    Example:
        >>> ModalityTokens(modality="image", tokens=1290).tokens
        1290
    """

    modality: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one model call, or a sum of them. None is unknown, 0 is a measured zero.

    Attributes:
        input_tokens: Prompt tokens; includes `cache_read_tokens`.
        cache_read_tokens: Prompt tokens that came from the cache.
        output_tokens: Tokens of the answer; includes `reasoning_tokens`.
        reasoning_tokens: Tokens of the model's thoughts.
        total_tokens: Input plus output, as the model reports it.
        service_tier: The tier that served the call, as the model names it.
        tool_use_tokens: Prompt tokens of the model's own tools, e.g. search results.
        input_details: `input_tokens` by modality, where the model reports it.
        cache_details: `cache_read_tokens` by modality.
        output_details: Tokens of the answer by modality, without `reasoning_tokens`.
        tool_use_details: `tool_use_tokens` by modality.

    Example:
        >>> (TokenUsage(input_tokens=3) + TokenUsage(input_tokens=4, output_tokens=1)).input_tokens
        7
        >>> TokenUsage(input_tokens=1200, output_tokens=34)
        1,234 tokens (1,200 in, 34 out)
    """

    _: KW_ONLY
    input_tokens: Tokens | None = None
    cache_read_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    service_tier: str | None = None
    tool_use_tokens: Tokens | None = None
    input_details: tuple[ModalityTokens, ...] = ()
    cache_details: tuple[ModalityTokens, ...] = ()
    output_details: tuple[ModalityTokens, ...] = ()
    tool_use_details: tuple[ModalityTokens, ...] = ()

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """Add the counts; an unknown count adds nothing, and two unknown ones stay unknown."""
        return self._combine(other, 1)

    def __sub__(self, other: TokenUsage) -> TokenUsage:
        """Subtract an earlier reading of the counter; a counter that went back counts as 0."""
        return self._combine(other, -1)

    def _combine(self, other: TokenUsage, sign: int) -> TokenUsage:
        def count(a: int | None, b: int | None) -> int | None:
            return None if a is None and b is None else max(0, (a or 0) + sign * (b or 0))

        def details(
            a: tuple[ModalityTokens, ...], b: tuple[ModalityTokens, ...]
        ) -> tuple[ModalityTokens, ...]:
            if not a and not b:
                return ()
            found = {each.modality: each.tokens for each in a}
            for each in b:
                found[each.modality] = found.get(each.modality, 0) + sign * each.tokens
            return tuple(
                ModalityTokens(modality=name, tokens=tokens)
                for name, tokens in found.items()
                if tokens > 0
            )

        return TokenUsage(
            input_tokens=count(self.input_tokens, other.input_tokens),
            cache_read_tokens=count(self.cache_read_tokens, other.cache_read_tokens),
            output_tokens=count(self.output_tokens, other.output_tokens),
            reasoning_tokens=count(self.reasoning_tokens, other.reasoning_tokens),
            total_tokens=count(self.total_tokens, other.total_tokens),
            service_tier=self.service_tier or other.service_tier,
            tool_use_tokens=count(self.tool_use_tokens, other.tool_use_tokens),
            input_details=details(self.input_details, other.input_details),
            cache_details=details(self.cache_details, other.cache_details),
            output_details=details(self.output_details, other.output_details),
            tool_use_details=details(self.tool_use_details, other.tool_use_details),
        )

    @property
    def n_tokens(self) -> int | None:
        """All tokens: `total_tokens`, or else input plus output; None if unknown."""
        if self.total_tokens is not None or (self.input_tokens is self.output_tokens is None):
            return self.total_tokens
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def __repr__(self) -> str:
        total = self.n_tokens
        counts = {
            "in": self.input_tokens,
            "out": self.output_tokens,
            "cached": self.cache_read_tokens,
            "thinking": self.reasoning_tokens,
        }
        parts = [f"{count:,} {name}" for name, count in counts.items() if count]
        return f"{tokens_text(total)} ({', '.join(parts)})" if parts else tokens_text(total)

    def _repr_html_(self) -> str:
        """Show the counts in a notebook."""
        return html_table((), self.counts())

    def counts(self) -> list[tuple[str, str]]:
        """Return the known counts with their names, for a table."""
        counts = {
            "Input": self.input_tokens,
            "Cached input": self.cache_read_tokens,
            "Tools of the model": self.tool_use_tokens,
            "Output": self.output_tokens,
            "Thinking": self.reasoning_tokens,
        }
        known = [(name, f"{count:,}") for name, count in counts.items() if count]
        return [*known, ("Total", tokens_text(self.n_tokens))]

    @property
    def has_details(self) -> bool:
        """Whether any count is known by modality."""
        return bool(
            self.input_details or self.cache_details or self.output_details or self.tool_use_details
        )

    @property
    def is_empty(self) -> bool:
        """Whether it holds no token at all."""
        return not (self.input_tokens or self.output_tokens or self.total_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryUsage:
    """Tokens that a trajectory has taken.

    Attributes:
        trajectory: Which.
        usage: Tokens so far.
    """

    trajectory: Trajectory
    usage: TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """Text of a prompt."""

    text: str
    type: Literal["text"] = field(default="text", repr=False)

    __repr__ = short_repr
    _repr_html_ = html_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """An image, document, audio clip or video in a prompt.

    Attributes:
        kind: The kind of medium.
        mime_type: Its media type, e.g. `"image/png"`.
        data: Its bytes.
        description: A word on it for the model, or None.
    """

    kind: Literal["image", "document", "audio", "video"]
    mime_type: str
    data: bytes = field(repr=False)
    description: str | None = None
    type: Literal["media"] = field(default="media", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlashCommandPart:
    """One of the harness's own slash commands, e.g. `plan`."""

    name: str
    type: Literal["slash_command"] = field(default="slash_command", repr=False)


PromptPart = Annotated[TextPart | MediaPart | SlashCommandPart, FieldRule(discriminator="type")]
Prompt = Annotated[tuple[PromptPart, ...], FieldRule(min_length=1)]
"""A prompt of one or several parts. A string becomes one `TextPart` and is never decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: The speaker.
        content: The text.
        trajectory: Id of the trajectory.
    """

    role: Literal["user", "model", "system", "unknown"]
    content: str
    trajectory: Trajectory = Trajectory()

    __repr__ = short_repr
    _repr_html_ = html_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionOption:
    """One of the answers that a question offers."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """One question of the model to the user.

    Attributes:
        question: Its text.
        options: The answers offered, in order.
        multiple: Whether several may be chosen.
    """

    question: str
    options: tuple[QuestionOption, ...] = ()
    multiple: bool = False

    __repr__ = short_repr
    _repr_html_ = html_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The user's answer to one question.

    Attributes:
        selected: Ids of the options chosen.
        text: Free text, or empty.
        skipped: Whether it was left unanswered.
    """

    selected: tuple[str, ...] = ()
    text: str = ""
    skipped: bool = False

    __repr__ = short_repr
    _repr_html_ = html_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """An error as data.

    Attributes:
        type: Name of its class in `agy_nb.errors`.
        message: What happened and what to do.
        http_code: Status code of the model's answer, if there was one.
        retry_after: Seconds after which another try makes sense, if known.
        duration: The time limit that was passed, in seconds, for a `AgyTimeoutError`.
        operation: What took too long, for a `AgyTimeoutError`.
        hinted: Whether the model itself named `retry_after`, for a `QuotaExceededError`.
        field: The argument, setting or message field at fault, for an `InvalidInputError`.
        partial_text: The root agent's text up to that moment, for a `TurnCancelledError`.
        reason: Why the prompt was denied, in the hook's words, for a `TurnDeniedError`.
        retryable: Whether the same request may succeed later, unchanged.
        budget: The setting that was exceeded, for a `BudgetExceededError`.
        limit: The budget, in its own unit, for a `BudgetExceededError`.
        used: The amount used, in the unit of the budget, for a `BudgetExceededError`.
    """

    type: str
    message: str
    http_code: int | None = None
    retry_after: Seconds | None = None
    duration: Seconds | None = None
    operation: str | None = None
    hinted: bool | None = None
    field: str | None = None
    partial_text: str | None = None
    reason: str | None = None
    retryable: bool = False
    budget: str | None = None
    limit: Seconds | None = None
    used: Seconds | None = None

    __repr__ = short_repr
    _repr_html_ = html_fields
