"""Finds the turn that answers a call, without I/O.

A conversation keeps its first script.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from agy_nb.testing.errors import (
    InvalidScriptError,
    NoScriptError,
    ScriptCrashedError,
    ScriptError,
    ScriptExhaustedError,
)
from agy_nb.testing.model_request import ModelRequest
from agy_nb.testing.script.model_turn import ModelTurn

Answer: TypeAlias = Callable[[ModelRequest], ModelTurn | Awaitable[ModelTurn]]
"""Returns a turn for a call; may be async."""

Step: TypeAlias = ModelTurn | Answer
Script: TypeAlias = Step | Sequence[Step]
"""A list of turns, each used once; or one turn or function that answers every call."""

Matcher: TypeAlias = str | Callable[[ModelRequest], bool]
"""Text in a conversation's first user text, or a predicate of its first call."""


@dataclass(frozen=True, slots=True)
class PerConversation:
    """A script that every conversation uses from its start. Made by `each`."""

    script: Script


Scripts: TypeAlias = (
    Script
    | PerConversation
    | Mapping[str, Script | PerConversation]
    | Sequence[tuple[Matcher, Script | PerConversation]]
)


def each(script: Script) -> PerConversation:
    """Let every conversation use the script from its start.

    Args:
        script: The script of each conversation.

    Returns:
        A script for `ScriptedModel`.

    Example:
        >>> async with ScriptedModel(each([say("Hello."), say("Goodbye.")])) as model:
        ...     agents = [await agy.create_agent(model.config()) for _ in range(2)]
        ...     [await agent.chat_text("Hi") for agent in agents]
        ['Hello.', 'Hello.']
    """
    return PerConversation(script)


def in_prompt(text: str) -> Matcher:
    """Match conversations whose first user text contains `text`. Plain text does the same.

    Args:
        text: Text to find, case-sensitive.

    Returns:
        A matcher: the first item of a pair.

    Example:
        >>> scripts = [(in_prompt("Paris"), say("Sunny.")), (in_prompt(""), say("Who knows?"))]
        >>> async with ScriptedModel(scripts) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("How is Rome?")
        'Who knows?'
    """
    return lambda request: text in request.first_user_text


def in_system(text: str) -> Matcher:
    """Match conversations whose system instruction contains `text`, such as a subagent's.

    Args:
        text: Text to find, case-sensitive.

    Returns:
        A matcher: the first item of a pair.

    Example:
        >>> async with ScriptedModel([(in_system("You are a pirate"), say("Arr."))]) as model:
        ...     config = model.config(system_instructions="You are a pirate.")
        ...     await (await agy.create_agent(config)).chat_text("Hello")
        'Arr.'
    """
    return lambda request: text in request.system_text


def offers_tool(name: str) -> Matcher:
    """Match conversations whose model may call a tool.

    Args:
        name: The tool's name.

    Returns:
        A matcher: the first item of a pair.

    Example:
        >>> async with ScriptedModel([(offers_tool("get_weather"), say("I can ask."))]) as model:
        ...     agent = await agy.create_agent(model.config(), tools=[get_weather])
        ...     await agent.chat_text("Can you tell the weather?")
        'I can ask.'
    """
    return lambda request: name in request.tool_names


@dataclass(slots=True)
class _Track:
    """A script in use."""

    steps: Sequence[Step] | None  # None: `answer` answers every call
    answer: Answer | None = None
    played: int = 0

    @classmethod
    def of(cls, script: Script) -> _Track:
        if isinstance(script, ModelTurn):
            turn = script
            return cls(None, lambda _request: turn)
        if callable(script):
            return cls(None, script)
        return cls(_checked_steps(script))

    def take(self, request: ModelRequest) -> Step:
        if self.steps is None:
            assert self.answer is not None
            self.played += 1
            return self.answer
        if self.played >= len(self.steps):
            raise _exhausted(request, len(self.steps))
        self.played += 1
        return self.steps[self.played - 1]

    @property
    def unused(self) -> tuple[Step, ...]:
        return () if self.steps is None else tuple(self.steps[self.played :])


@dataclass(slots=True)
class _Entry:
    """A matcher with its script, and the conversations that use it."""

    matcher: Matcher
    script: Script | PerConversation
    track: _Track | None = None
    tracks: list[_Track] = field(default_factory=list)

    def matches(self, request: ModelRequest) -> bool:
        if isinstance(self.matcher, str):
            return self.matcher in request.first_user_text
        return self.matcher(request)

    @property
    def free(self) -> bool:
        return isinstance(self.script, PerConversation) or not self.tracks

    def claim(self) -> _Track:
        script = self.script.script if isinstance(self.script, PerConversation) else self.script
        track = _Track.of(script)
        self.tracks.append(track)
        return track

    @property
    def unused(self) -> tuple[Step, ...]:
        if not self.tracks and not isinstance(self.script, PerConversation):
            return _Track.of(self.script).unused
        return tuple(step for track in self.tracks for step in track.unused)


class ScriptRouter:
    """Finds the turn for each call.

    Args:
        scripts: A script for all calls in order; or scripts by conversation, as a mapping or as
            pairs of a matcher and a script.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._shared: _Track | None = None
        self._entries: list[_Entry] = []
        self._by_conversation: dict[str, _Track] = {}
        if isinstance(scripts, PerConversation):
            self._entries = [_Entry("", scripts)]
        elif pairs := _pairs(scripts):
            self._entries = [_Entry(matcher, script) for matcher, script in pairs]
        else:
            self._shared = _Track.of(scripts)  # type: ignore[arg-type]  # not pairs here
        for entry in self._entries:
            _Track.of(
                entry.script.script if isinstance(entry.script, PerConversation) else entry.script
            )

    async def turn(self, request: ModelRequest) -> ModelTurn:
        """Return the turn for a call.

        Raises:
            ScriptError: The script has no turn for it.
        """
        step = self._track(request).take(request)
        if isinstance(step, ModelTurn):
            return step
        try:
            made = step(request)
            turn = await made if inspect.isawaitable(made) else made
        except ScriptError:
            raise
        except Exception as error:
            raise ScriptCrashedError(
                f"the script raised {error!r} for call {request.number} ({_shown(request)})",
                request_number=request.number,
            ) from error
        if not isinstance(turn, ModelTurn):
            raise ScriptCrashedError(
                f"the script must return a ModelTurn for call {request.number}, got {turn!r}; use "
                "say(), call(), fail() and so on",
                request_number=request.number,
            )
        return turn

    @property
    def unused(self) -> tuple[Step, ...]:
        """Unused steps of all scripts."""
        if self._shared is not None:
            return self._shared.unused
        return tuple(step for entry in self._entries for step in entry.unused)

    def _track(self, request: ModelRequest) -> _Track:
        if self._shared is not None:
            return self._shared
        key = request.conversation_key
        track = self._by_conversation.get(key)
        if track is None:
            track = self._by_conversation[key] = self._claim(request)
        return track

    def _claim(self, request: ModelRequest) -> _Track:
        matching = [entry for entry in self._entries if entry.matches(request)]
        for entry in matching:
            if entry.free:
                return entry.claim()
        taken = (
            f"other conversations use the {len(matching)} scripts that match it; add a script, or "
            "wrap one in each()"
            if matching
            else "no script matches it; add one, or a last one with the key ''"
        )
        raise NoScriptError(
            f"no script for the conversation of call {request.number} ({_shown(request)}): {taken}",
            request_number=request.number,
        )


def _pairs(scripts: object) -> list[tuple[Matcher, Script | PerConversation]]:
    if isinstance(scripts, Mapping):
        return list(scripts.items())
    if isinstance(scripts, Sequence) and scripts and all(_is_pair(item) for item in scripts):
        return list(scripts)
    return []


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and not isinstance(item[0], ModelTurn)  # noqa: PLR2004 - a pair


def _checked_steps(steps: object) -> tuple[Step, ...]:
    if isinstance(steps, (str, bytes)) or not isinstance(steps, Iterable):
        raise InvalidScriptError(
            f"a script must be a turn or a list of turns, got {steps!r}; write say({steps!r})"
        )
    known: tuple[Step, ...] = tuple(steps)
    for step in known:
        if not isinstance(step, ModelTurn) and not callable(step):
            raise InvalidScriptError(
                f"a step must be a turn or a function, got {step!r}; use say(), call(), fail() ..."
            )
    return known


def _exhausted(request: ModelRequest, played: int) -> ScriptExhaustedError:
    return ScriptExhaustedError(
        f"call {request.number} has no turn: the script has {played} ({_shown(request)}). Add a "
        "turn. The harness calls the model again after each tool result, and repeats a call after "
        "a 429, a 5xx or an unusable answer",
        played=played,
        request_number=request.number,
    )


def _shown(request: ModelRequest) -> str:
    """Describe a call for error messages."""
    results = request.tool_results
    if results:
        names = ", ".join(result.name or "?" for result in results)
        return f"after the result of {names}"
    text = request.user_text
    limit = 80
    return f"user: {text[:limit]!r}{'...' if len(text) > limit else ''}"
