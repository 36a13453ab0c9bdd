"""The scripted model: a script, a server, and what a test asks of both."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from agy_nb.testing.errors import ScriptError, TurnsUnusedError
from agy_nb.testing.model_server import MODEL_NAMES, LoopbackServer
from agy_nb.testing.script_router import ScriptRouter, Scripts, Step

if TYPE_CHECKING:
    from types import TracebackType

    from google.antigravity import LocalAgentConfig
    from google.antigravity.connections.local.local_openai_connection_config import (
        LocalOpenAIAgentConfig,
    )
    from google.antigravity.types import GeminiAPIEndpoint

    from agy_nb.testing.model_request import ModelRequest
    from agy_nb.testing.script import ModelTurn

API_KEY = "scripted-model-needs-no-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatistics:
    """What a scripted model is doing.

    Attributes:
        calls: Model calls that came.
        active: Answers on their way.
        unused: Turns not played yet.
        errors: Calls that the script had no answer for.

    Example:
        >>> ScriptedModel([say("one"), say("two")]).statistics()
        ModelStatistics(calls=0, active=0, unused=2, errors=0)
    """

    calls: int
    active: int
    unused: int
    errors: int


class ScriptedModel:
    """A loopback Gemini API, and OpenAI API, that follows a script.

    Args:
        script: What it answers, one of:

            - a list of turns: one a call, in the order in which the calls come, from whichever
              agent. A step of the list may also be a function of the request that gives a turn;
            - one turn, or a function of the request (async too), which answers every call;
            - scripts by conversation, as a mapping or as pairs: `{"weather": [...], "": [...]}`. A
              key is text of the conversation's first user text; in pairs it may also be
              `in_system("...")`, `offers_tool("...")` or any function of the request. A
              conversation gets the first script that matches and that no other conversation has;
            - `each(script)`, alone or in one of those: every conversation plays it from its start.
        strict: Whether turns that nobody asked for are an error in `check`.
        keep_requests: How many of the latest calls to keep in `requests`; None: all of them.

    Example:
        >>> script = [call("get_weather", city="Paris"), say("Sunny.")]
        >>> async with ScriptedModel(script) as model:
        ...     async with await agy.create_agent(model.config(), tools=[get_weather]) as agent:
        ...         await agent.chat_text("How is the weather in Paris?")
        'Sunny.'
        >>> model.requests[1].tool_results[0].name
        'get_weather'

    `async with` raises at its end what the script could not answer, see `check`.
    """

    def __init__(
        self, script: Scripts, *, strict: bool = False, keep_requests: int | None = None
    ) -> None:
        self._playbook = ScriptRouter(script)
        self._strict = strict
        self._requests: deque[ModelRequest] = deque(maxlen=keep_requests)
        self._calls = 0
        self._called = asyncio.Condition()
        self._server = LoopbackServer(self._answer)
        self._errors: list[ScriptError] = []

    # --- Life ---

    async def start(self) -> Self:
        """Start to listen on a free port of 127.0.0.1; nothing happens if it does already.

        Returns:
            This model.
        """
        if not self._server.running:
            self._called = asyncio.Condition()  # belongs to the loop that it is first waited on
            await self._server.start()
        return self

    async def stop(self) -> None:
        """Stop to listen. Breaks answers on their way, those that hang too; never raises."""
        await self._server.stop()

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
        for mine in self._errors:  # most likely why the test failed
            error.add_note(f"{type(mine).__name__}: {mine}")

    # --- Addresses ---

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            RuntimeError: It was never started.
        """
        if not self._server.port:
            raise RuntimeError("the scripted model was not started; use `async with`, or start()")
        return self._server.port

    @property
    def base_url(self) -> str:
        """Where the Gemini API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_base_url(self) -> str:
        """Where the OpenAI API is."""
        return f"{self.base_url}/v1"

    def endpoint(self, **settings: Any) -> GeminiAPIEndpoint:  # noqa: ANN401 - the fields are the SDK's
        """The SDK's endpoint for this model.

        Args:
            **settings: Further fields of `GeminiAPIEndpoint`, e.g. `options`.

        Returns:
            What a `ModelTarget` of the SDK takes as its `endpoint`.
        """
        from google.antigravity import types

        return types.GeminiAPIEndpoint(**{"base_url": self.base_url, "api_key": API_KEY} | settings)

    def config(self, **settings: Any) -> LocalAgentConfig:  # noqa: ANN401 - the fields are the SDK's
        """A configuration of the SDK whose text and image models are this one.

        Args:
            **settings: Further fields of `LocalAgentConfig`, e.g. `tools`, `policies`.

        Returns:
            What `create_agent` and the SDK's own `Agent` take.
        """
        from google.antigravity import LocalAgentConfig, types

        name = settings.pop("model", MODEL_NAMES[0])
        targets = [
            types.ModelTarget(name=name, types=[kind], endpoint=self.endpoint())
            for kind in (types.ModelType.TEXT, types.ModelType.IMAGE)
        ]
        return LocalAgentConfig(**{"models": targets} | settings)

    def openai_config(self, **settings: Any) -> LocalOpenAIAgentConfig:  # noqa: ANN401 - the fields are the SDK's
        """A configuration of the SDK that talks to this model in the OpenAI form.

        Args:
            **settings: Further fields of `LocalOpenAIAgentConfig`.

        Returns:
            What `create_agent` and the SDK's own `Agent` take.
        """
        from google.antigravity.connections.local import (
            local_openai_connection_config as openai,
        )

        mine = {"base_url": self.openai_base_url, "model": MODEL_NAMES[0]}
        return openai.LocalOpenAIAgentConfig(**mine | settings)

    # --- What happened ---

    @property
    def requests(self) -> list[ModelRequest]:
        """The calls that came, oldest first."""
        return list(self._requests)

    async def requested(self, count: int = 1) -> ModelRequest:
        """Wait until the model has been called so many times in all.

        Args:
            count: Calls in all, those that came already included.

        Returns:
            The latest call.
        """
        async with self._called:
            await self._called.wait_for(lambda: self._calls >= count)
        return self._requests[-1]

    @property
    def errors(self) -> list[ScriptError]:
        """What the script could not answer, in order."""
        return list(self._errors)

    @property
    def unused(self) -> tuple[Step, ...]:
        """The turns that nobody asked for so far."""
        return self._playbook.unused

    def check(self) -> None:
        """Raise what went wrong with the script.

        Raises:
            ScriptError: The first call that the script had no answer for, the others as notes.
            TurnsUnusedError: `strict`, and turns are left.
        """
        if self._errors:
            first, *others = self._errors
            for other in others:
                first.add_note(f"then {type(other).__name__}: {other}")
            self._errors = []
            raise first
        if self._strict and (unused := self.unused):
            raise TurnsUnusedError(
                f"{len(unused)} of the script's turns were never asked for, first "
                f"{unused[0]!r}; take them out, or find out why the agent stopped early",
                unused=len(unused),
            )

    def statistics(self) -> ModelStatistics:
        """Look at what it is doing right now.

        Returns:
            Numbers of calls, of turns that are left, and of errors.
        """
        return ModelStatistics(
            calls=self._calls,
            active=self._server.active,
            unused=len(self.unused),
            errors=len(self._errors),
        )

    def __repr__(self) -> str:
        where = self.base_url if self._server.running else "stopped"
        return f"<{type(self).__name__} {where}, {self._calls} calls>"

    async def _answer(self, request: ModelRequest) -> ModelTurn:
        self._requests.append(request)
        self._calls += 1
        async with self._called:
            self._called.notify_all()
        try:
            return await self._playbook.turn(request)
        except ScriptError as error:
            self._errors.append(error)
            raise
