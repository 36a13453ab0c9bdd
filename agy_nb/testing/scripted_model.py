"""The scripted model: a script, a server, and properties for tests."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

from agy_nb.protocol.amounts import counted
from agy_nb.protocol.short_repr import html_table
from agy_nb.testing.errors import ScriptError, TurnsUnusedError
from agy_nb.testing.model_server import SCRIPTED, LoopbackServer
from agy_nb.testing.script.script_router import ScriptRouter, Scripts, Step

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from google.antigravity import LocalAgentConfig
    from google.antigravity.connections.local.local_openai_connection_config import (
        LocalOpenAIAgentConfig,
    )
    from google.antigravity.types import GeminiAPIEndpoint

    from agy_nb.sdk.config.agent_settings import (
        EndpointFields,
        OpenAIConfigFields,
        SdkConfigFields,
    )
    from agy_nb.testing.model_request import ModelRequest
    from agy_nb.testing.script.model_turn import ModelTurn

_MOST_SHOWN = 20
API_KEY = "scripted-model-needs-no-key"
_MODELS = frozenset({"api_key", "location", "model", "models", "project", "vertex"})
"""Fields of a configuration that say which model answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatistics:
    """The current state of a scripted model.

    Attributes:
        calls: Number of received calls.
        active: Number of answers in progress.
        unused: Number of turns that are not used yet.
        errors: Number of calls that the script did not answer.

    Example:
        >>> ScriptedModel([say("one"), say("two")]).statistics()
        ModelStatistics(calls=0, active=0, unused=2, errors=0)
    """

    calls: int
    active: int
    unused: int
    errors: int


class ScriptedModel:
    """A model on loopback that follows a script, with the Gemini API and the OpenAI API.

    Args:
        script: The answers, as one of:

            - a list of turns, one per call, in the order of the calls of all agents. A step can
              also be a function that takes the request and returns a turn.
            - one turn, or one sync or async function, which answers every call
            - scripts by conversation, as a mapping or as pairs: `{"weather": [...], "": [...]}`. A
              key is a part of the conversation's first user text. In pairs it can also be
              `in_system("...")`, `offers_tool("...")` or a function of the request. A conversation
              gets the first matching script that no other conversation uses.
            - `each(script)`, alone or as one of those: every conversation uses it from its start
        strict: Whether `check` raises an error for unused turns.
        keep_requests: Number of latest calls to keep in `requests`; None for all.

    Example:
        >>> script = [call("get_weather", city="Paris"), say("Sunny.")]
        >>> async with ScriptedModel(script) as model:
        ...     async with await agy.create_agent(model.config(), tools=[get_weather]) as agent:
        ...         await agent.chat_text("How is the weather in Paris?")
        'Sunny.'
        >>> model.requests[1].tool_results[0].name
        'get_weather'

    At its end, `async with` raises the error of an unanswered call; see `check`.
    """

    _name = SCRIPTED

    def __init__(
        self, script: Scripts, *, strict: bool = False, keep_requests: int | None = None
    ) -> None:
        self._router = ScriptRouter(script)
        self._strict = strict
        self._requests: deque[ModelRequest] = deque(maxlen=keep_requests)
        self._calls = 0
        self._called = asyncio.Condition()
        self._server = LoopbackServer(self._answer, failed=self._add_error)
        self._errors: list[ScriptError] = []

    # --- Life ---

    async def start(self) -> Self:
        """Listen on a free port of 127.0.0.1. A model that already listens does not change.

        Returns:
            This model.
        """
        if not self._server.running:
            self._called = asyncio.Condition()  # belongs to the loop of its first wait
            await self._server.start()
        return self

    async def stop(self) -> None:
        """Stop listening, and abort answers in progress, also hanging ones. Never raises."""
        await self._server.stop()

    def __await__(self) -> Generator[Any, None, Self]:
        """Start the model: `model = await ScriptedModel([say("Hello")])`.

        Call `stop` at the end.
        """
        return self.start().__await__()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.stop()
        if error is None:
            self.check()
            return
        for mine in self._errors:  # the likely reason for which the test failed
            error.add_note(f"{type(mine).__name__}: {mine}")

    # --- Addresses ---

    @property
    def port(self) -> int:
        """The port of the server.

        Raises:
            RuntimeError: The model was never started.
        """
        if not self._server.port:
            raise RuntimeError("the scripted model was not started; use `async with`, or start()")
        return self._server.port

    @property
    def base_url(self) -> str:
        """Address of the Gemini API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_base_url(self) -> str:
        """Address of the OpenAI API."""
        return f"{self.base_url}/v1"

    def endpoint(self, **settings: Unpack[EndpointFields]) -> GeminiAPIEndpoint:
        """Return the SDK's endpoint for this model.

        Args:
            **settings: Further fields of `GeminiAPIEndpoint`, such as `options`.

        Returns:
            The `endpoint` for a `ModelTarget` of the SDK.
        """
        from google.antigravity import types

        mine: EndpointFields = {"base_url": self.base_url, "api_key": API_KEY}
        return types.GeminiAPIEndpoint(**mine | settings)

    def config(
        self, like: LocalAgentConfig | None = None, /, **settings: Unpack[SdkConfigFields]
    ) -> LocalAgentConfig:
        """Return a configuration of the SDK with this model for text and images.

        Args:
            like: The configuration of your program. All its fields stay, except for its model and
                key. The configuration itself does not change.
            **settings: Further fields of `LocalAgentConfig`, such as `tools` or `policies`.

        Returns:
            A configuration for `create_agent` and the SDK's own `Agent`.

        Example:
            >>> from google.antigravity import LocalAgentConfig
            >>> program = LocalAgentConfig(model="gemini-2.5-pro", tools=[get_weather])
            >>> async with ScriptedModel([say("Sunny.")]) as model:
            ...     async with await agy.create_agent(model.config(program)) as agent:
            ...         await agent.chat_text("How is the weather?")
            'Sunny.'
        """
        from google.antigravity import LocalAgentConfig, types

        from agy_nb.sdk.config.agent_settings import given_fields

        fields = given_fields(settings)
        name = fields.pop("model", self._name)
        targets = [
            types.ModelTarget(name=name, types=[kind], endpoint=self.endpoint())
            for kind in (types.ModelType.TEXT, types.ModelType.IMAGE)
        ]
        fields |= {"models": targets} if "models" not in fields else {}
        if like is None:
            return LocalAgentConfig(**fields)
        kept = {name: getattr(like, name) for name in like.model_fields_set - _MODELS}
        return type(like)(**kept | fields)

    def openai_config(self, **settings: Unpack[OpenAIConfigFields]) -> LocalOpenAIAgentConfig:
        """Return a configuration of the SDK that uses this model's OpenAI API.

        Args:
            **settings: Further fields of `LocalOpenAIAgentConfig`.

        Returns:
            A configuration for `create_agent` and the SDK's own `Agent`.
        """
        from google.antigravity.connections.local import (
            local_openai_connection_config as openai,
        )

        from agy_nb.sdk.config.agent_settings import given_fields

        mine = {"base_url": self.openai_base_url, "model": self._name}
        return openai.LocalOpenAIAgentConfig(**mine | given_fields(settings))

    # --- What happened ---

    @property
    def requests(self) -> list[ModelRequest]:
        """The received calls, oldest first."""
        return list(self._requests)

    async def requested(self, count: int = 1) -> ModelRequest:
        """Wait until the model has received `count` calls.

        Args:
            count: Number of calls since the start of the model.

        Returns:
            The latest call.
        """
        async with self._called:
            await self._called.wait_for(lambda: self._calls >= count)
        return self._requests[-1]

    @property
    def errors(self) -> list[ScriptError]:
        """Errors of calls that the script did not answer, in order."""
        return list(self._errors)

    @property
    def unused(self) -> tuple[Step, ...]:
        """The turns that are not used yet."""
        return self._router.unused

    def check(self) -> None:
        """Raise the errors of the script.

        Raises:
            ScriptError: A call was not answered. Notes list further errors.
            TurnsUnusedError: The model is `strict`, and turns were not used.
        """
        if self._errors:
            first, *others = self._errors
            for other in others:
                first.add_note(f"then {type(other).__name__}: {other}")
            self._errors = []
            raise first
        if self._strict and (unused := self.unused):
            raise TurnsUnusedError(
                f"{counted(len(unused), 'turn')} of the script "
                f"{'were' if len(unused) > 1 else 'was'} not used, first {unused[0]!r}; remove "
                "unused turns, or find out why the agent stopped early",
                unused=len(unused),
            )

    def statistics(self) -> ModelStatistics:
        """Return the current state.

        Returns:
            Numbers of calls, answers in progress, unused turns and errors.
        """
        return ModelStatistics(
            calls=self._calls,
            active=self._server.active,
            unused=len(self.unused),
            errors=len(self._errors),
        )

    def _repr_html_(self) -> str:
        """Show the latest calls in a notebook, and how many turns are unused."""
        calls = [
            (str(each.number), each.user_text, ", ".join(sent.name for sent in each.tool_results))
            for each in self.requests[-_MOST_SHOWN:]
        ]
        more = "" if self._server.running else ", stopped"
        head = f"{counted(self._calls, 'call')}, {counted(len(self.unused), 'unused turn')}{more}"
        table = html_table(("Call", "Latest prompt", "Results of tools"), calls) if calls else ""
        return f"<p>{head}</p>{table}"

    def __repr__(self) -> str:
        where = self.base_url if self._server.running else "stopped"
        return f"<{type(self).__name__} {where}, {counted(self._calls, 'call')}>"

    async def _answer(self, request: ModelRequest) -> ModelTurn:
        self._requests.append(request)
        self._calls += 1
        async with self._called:
            self._called.notify_all()
        try:
            return await self._router.turn(request)
        except ScriptError as error:
            self._add_error(error)
            raise

    def _add_error(self, error: ScriptError) -> None:
        self._errors.append(error)


class ScriptedModelFactory(Protocol):
    """The type of the fixture `scripted_model`: it makes models that stop when the test is over.

    Example:
        >>> async def test_greeting(scripted_model: ScriptedModelFactory, agy_runtime: agy.Runtime):
        ...     model = await scripted_model([say("Hello")])
        ...     agent = await agy_runtime.create_agent(model.config())
        ...     assert await agent.chat_text("Hi") == "Hello"
    """

    def __call__(
        self, script: Scripts, *, strict: bool = False, keep_requests: int | None = None
    ) -> ScriptedModel:
        """Make a model; see `ScriptedModel`. In an async test, await it."""
        ...
