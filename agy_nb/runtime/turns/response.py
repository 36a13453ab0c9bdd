"""The handle of one turn: the answer, its facts, and streams of its events.

Rule: after an error or a cancellation, all events so far stay readable.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

from agy_nb.errors import AgyError, BackendError
from agy_nb.kernel.loops.other_loop import run_on
from agy_nb.protocol.amounts import counted, tokens_text
from agy_nb.protocol.events import (
    Event,
    State,
    Step,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    TurnKind,
    TurnState,
    Usage,
)
from agy_nb.protocol.values import Prompt, TokenUsage, Trajectory
from agy_nb.runtime.turns.answer import TextSeparator, answer_text
from agy_nb.runtime.turns.event_log import EventLog
from agy_nb.runtime.turns.response_stream import ResponseStream, items_of_type
from agy_nb.sdk.deadlocks import running
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.views import views

if TYPE_CHECKING:
    from agy_nb.analysis.live.priced_usage import PricedUsage
    from agy_nb.analysis.metrics.turn_cost import Cost, TurnPricing


class Response:
    """The streaming handle of one turn.

    Attributes:
        agent_id: Number of the agent.
        turn_id: Number of the turn within its runtime, from 1.
        prompt: The prompt.
        model: Name of the agent's model, None if it is not known.
        pricing: How its model calls are priced, None without a runtime.
        kind: How the turn began: by a `"prompt"`, by a `"trigger"`, or by the agent itself
            (`"wakeup"`), e.g. when its timer fires.
        event_log: All events so far, oldest first.
        state: The turn's current state.
        error: The error that ended the turn; None while it runs and after a normal end.
        shows_itself: Whether a cell that ends with this response shows the answer; otherwise it
            shows one line about the turn.
        waits_in_cell: Whether a cell that shows this response ends when the turn ends.
        over: Set at the end of the turn; waiting for it does not count as reading the turn.

    Example:
        >>> response = await agent.chat("Use get_weather for Paris")
        >>> async for piece in response:
        ...     print(piece, end="")
        get_weather says: sunny in Paris
        >>> print(response)
        get_weather says: sunny in Paris
        >>> response.usage
        2... tokens, cost unknown
    """

    def __init__(
        self,
        *,
        agent_id: int,
        turn_id: int,
        prompt: Prompt,
        listen: Callable[[Response, Event], None] = lambda _response, _event: None,
        model: str | None = None,
        pricing: TurnPricing | None = None,
        output_type: type[Any] | None = None,
        kind: TurnKind = "prompt",
        must_not_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.agent_id = agent_id
        self.turn_id = turn_id
        self.prompt = prompt
        self.model = model
        self.pricing = pricing
        self._output_type = output_type
        self.kind = kind
        self.state: TurnState = TurnState.QUEUED
        self.error: AgyError | None = None
        self.shows_itself = True
        self.waits_in_cell = True
        self.over: asyncio.Event = asyncio.Event()
        self._must_not_wait = must_not_wait
        self._log = EventLog(turn_id, self._check_wait)
        self.event_log: list[Event] = self._log.events
        self._usage: TokenUsage | None = None
        self._cost: tuple[int, Cost] | None = None
        self._stop_reason: str | None = None
        self._structured_output: Any = None
        self._cancel: Callable[[], Awaitable[None]] | None = None
        self._listen = listen
        self._before_end: Callable[[], None] = _nothing

    # -- written by the turn -----------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Add an event. Only the code that runs the turn calls this.

        Args:
            event: The new event.
        """
        self.event_log.append(event)
        if isinstance(event, State):
            self.state = event.state
        elif isinstance(event, Usage):
            self._usage = event.usage if self._usage is None else self._usage + event.usage
        self._listen(self, event)
        self._log.notify(event)

    def finish(
        self,
        state: TurnState,
        *,
        error: AgyError | None = None,
        stop_reason: str | None = None,
        structured_output: Any = None,
    ) -> None:
        """End the turn; only the first call counts.

        Args:
            state: The final state.
            error: The error that ended the turn, None after a normal end.
            stop_reason: Name of the SDK's `StopReason`.
            structured_output: The output for the `response_schema`.
        """
        before_end, self._before_end = self._before_end, _nothing
        if self._log.is_over:
            return
        before_end()
        self.error = error
        self._stop_reason = stop_reason
        self._structured_output = structured_output
        # Before the last event, by which a view sees that the turn is over and takes its result.
        self._log.is_over = True
        self.over.set()
        self.emit(State(trajectory=self.root, state=state, at=now()))

    def on_cancel(self, cancel: Callable[[], Awaitable[None]]) -> None:
        """Set the function that `cancel` calls.

        Args:
            cancel: Makes the backend end the turn.
        """
        self._cancel = cancel

    def before_end(self, close: Callable[[], None]) -> None:
        """Call a function right before the turn's last event.

        Args:
            close: Emits events that must come before the end, e.g. the denial of open approvals.
        """
        self._before_end = close

    @property
    def root(self) -> Trajectory:
        """The root agent's trajectory; its id is empty until the first event."""
        for event in self.event_log:
            where = event.trajectory
            if where.id and where.is_root:
                return where
        return Trajectory()

    def watch(self, watch: Callable[[Event], None]) -> Callable[[], None]:
        """Call a function with each event, starting with those so far; for views.

        Args:
            watch: Called on the turn's event loop; it must not block. If it raises, it is not
                called again, and the turn continues.

        Returns:
            A function that stops the calls; it may be called twice.
        """
        return self._log.watch(watch)

    # -- for readers -------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[str]:
        """Iterate over the pieces of the answer, like `text_stream()`, as in the SDK."""
        return self.text_stream().__aiter__()

    if not TYPE_CHECKING:  # a type checker says that a response is not iterable

        def __iter__(self) -> NoReturn:
            msg = (
                "a response cannot be read with a plain `for`. Use `async for piece in response`. "
                "Without `await`, call `agent.sync.chat(...)`; then "
                "`for piece in response.text_stream()` yields the text so far"
            )
            raise TypeError(msg)

    def events(self) -> ResponseStream[Event]:
        """Stream all events of the turn: text, thoughts, tool calls, approvals, usage and more.

        Returns:
            The events of `agy_nb.protocol.events`; `async for` follows them, a plain `for` yields
            those so far.

        Example:
            >>> from agy_nb.protocol.events import ToolCall
            >>> response = await agent.chat("Use get_weather for Paris")
            >>> async for event in response.events():
            ...     if isinstance(event, ToolCall):
            ...         print(event.name, event.args["city"])
            get_weather Paris
        """
        return ResponseStream(self, lambda: lambda event: event)

    def text_stream(self, trajectory_id: str | None = None) -> ResponseStream[str]:
        """Stream the pieces of the answer.

        Args:
            trajectory_id: Trajectory of a subagent; the root agent's when None. The root agent's
                stream never includes the text of subagents.

        Returns:
            The pieces; `async for` follows them, a plain `for` yields those so far. A blank line
            separates the texts on both sides of a tool call.
        """

        def begin() -> Callable[[Event], str | None]:
            separator = TextSeparator()

            def pick(event: Event) -> str | None:
                if not isinstance(event, Text):
                    return None
                where = event.trajectory
                wanted = where.is_root if trajectory_id is None else where.id == trajectory_id
                return separator.take(event) if wanted else None

            return pick

        return ResponseStream(self, begin)

    @property
    def thoughts(self) -> ResponseStream[str]:
        """The pieces of the root agent's thoughts."""
        return ResponseStream(
            self,
            lambda: (
                lambda event: (
                    event.text if isinstance(event, Thought) and event.trajectory.is_root else None
                )
            ),
        )

    @property
    def tool_calls(self) -> ResponseStream[ToolCall]:
        """All tool calls, including those of subagents."""
        return ResponseStream(self, lambda: items_of_type(ToolCall))

    @property
    def tool_results(self) -> ResponseStream[ToolResult]:
        """All tool results, including those of subagents."""
        return ResponseStream(self, lambda: items_of_type(ToolResult))

    @property
    def steps(self) -> ResponseStream[Step]:
        """All changes of steps, including those of subagents."""
        return ResponseStream(self, lambda: items_of_type(Step))

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """All trajectories so far, the root agent's first."""
        found = {
            event.trajectory.id: event.trajectory for event in self.event_log if event.trajectory.id
        }
        return tuple(sorted(found.values(), key=lambda trajectory: trajectory.depth))

    async def wait(self) -> Response:
        """Wait for the end of the turn, without raising the error that ended it.

        Returns:
            This response.
        """
        if not self._log.is_over:
            await self._log.more()
        return self

    def __await__(self) -> Generator[Any, None, Response]:
        return self.wait().__await__()

    async def text(self) -> str:
        """Wait for the end of the turn and return the root agent's text.

        Returns:
            The text of the root agent, without that of subagents.

        Raises:
            AgyError: The turn failed, was cancelled or was denied; `partial_text` has the text so
                far.
        """
        await self.wait()
        self._raise_error()
        return self.partial_text

    def _raise_error(self) -> None:
        if self.error is not None:
            raise _to_raise(self.error)

    def _check_wait(self, seen: float) -> None:
        """Refuse a wait of user code that the turn itself waits for; see `EventLog`."""
        if running.get() is not None and (seen == math.inf or self.state is TurnState.QUEUED):
            self._must_not_wait()

    async def structured_output(self) -> Any:
        """Wait for the end of the turn and return the output for the `response_schema`.

        Returns:
            The output as plain data, None if there is none.

        Raises:
            AgyError: The turn failed, was cancelled or was denied.

        Example:
            >>> schema = {
            ...     "type": "object",
            ...     "properties": {"n": {"type": "integer"}},
            ...     "required": ["n"],
            ... }
            >>> agent = await agy.create_agent({"response_schema": schema})
            >>> await (await agent.chat("The answer is 42.")).structured_output()
            {'n': 42}
        """
        await self.text()
        return self._structured_output

    @property
    def partial_text(self) -> str:
        """The root agent's text so far; after the end of the turn, the whole text.

        If the model's answer fails and the harness asks again, the failed text is removed when the
        next answer begins. Streams have yielded it by then, so they may yield more than this text.
        """
        return answer_text(self.event_log)

    @property
    def usage(self) -> PricedUsage | None:
        """Token usage of the turn so far, with subagents; None before the first reported usage.

        Its `repr` has tokens and cost, such as `1,234 tokens, $0.0021`.
        """
        from agy_nb.analysis.live.priced_usage import PricedUsage

        return None if self._usage is None else PricedUsage.of(self._usage, lambda: self.cost)

    @property
    def cost(self) -> Cost:
        """The cost of the turn so far, with subagents.

        `cost.usd` is in US dollars. It is None if no model call has a price, as without the extra
        `cost`. `cost.is_lower_bound` says whether a call has no price.

        Example:
            >>> response = await (await agent.chat("Hello"))
            >>> response.cost  # the echo model has no price
            cost unknown
        """
        from agy_nb.analysis.metrics.turn_cost import Cost, turn_cost

        if self.pricing is None:
            return Cost(None, is_lower_bound=True)
        n_events = len(self.event_log)
        if self._cost is None or self._cost[0] != n_events:
            self._cost = n_events, turn_cost(self, self.pricing)
        return self._cost[1]

    @property
    def stop_reason(self) -> str | None:
        """Why the harness stopped: the SDK's `StopReason`, which is also a string.

        It is None before the end and after a failure.

        Example:
            >>> from google.antigravity import types
            >>> response = await (await agent.chat("Hello"))
            >>> response.stop_reason is types.StopReason.UNSPECIFIED  # a normal end
            True
            >>> response.stop_reason == "UNSPECIFIED"
            True
        """
        word = self._stop_reason
        # Without the SDK loaded, no code can compare with its enum, so it is not imported for this.
        known = getattr(sys.modules.get("google.antigravity.types"), "StopReason", None)
        try:
            return word if word is None or known is None else cast("str", known(word))
        except ValueError:  # a word of a later harness
            return word

    @property
    def output(self) -> Any:
        """The output for the `response_schema`; None before the end, or if there is none.

        If the configuration is a mapping with a pydantic model as `response_schema`, the output is
        an instance of that model. The SDK's configuration objects keep only the JSON schema of a
        model, so with those the output is plain data.

        Raises:
            BackendError: The pydantic model's validators reject the output. `structured_output()`
                returns the plain data.

        Example:
            >>> import pydantic
            >>> class Number(pydantic.BaseModel):
            ...     n: int
            >>> agent = await agy.create_agent({"response_schema": Number})
            >>> response = await (await agent.chat("The answer is 42."))
            >>> response.output
            Number(n=42)
        """
        value, model = self._structured_output, self._output_type
        if value is None or model is None:
            return value
        try:
            return model.model_validate(value)
        except ValueError as error:
            raise BackendError(f"the output does not fit {model.__name__}: {error}") from error

    @property
    def done(self) -> bool:
        """Whether the turn is over."""
        return self._log.is_over

    async def cancel(self) -> None:
        """Cancel the turn and wait until it is over; does nothing after the turn's end."""
        if self._log.is_over:
            return
        if self._log.is_elsewhere():
            await run_on(self._log.loop, self.cancel())
            return
        if self._cancel is not None:
            await self._cancel()
        await self.over.wait()

    @property
    def awaited(self) -> bool:
        """Whether code waits for this turn or iterates over it, or did until just now."""
        return self._log.is_followed

    def _ipython_display_(self) -> None:
        if self.shows_itself:
            views().show(self)
        else:
            print(repr(self))  # noqa: T201 - as IPython does with other objects

    def _display_(self) -> object:
        """Return what marimo shows."""
        return views().part(self) if self.shows_itself else repr(self)

    def __str__(self) -> str:
        """Return the answer so far, and the error if the turn failed."""
        failed = [] if self.error is None else [f"{type(self.error).__name__}: {self.error}"]
        return "\n".join(filter(None, [self.partial_text, *failed])) or repr(self)

    def __repr__(self) -> str:
        tokens = f", {tokens_text(self._usage.n_tokens)}" if self._usage else ""
        return (
            f"<Response turn {self.turn_id} of agent {self.agent_id}: {self.state}, "
            f"{counted(len(self.partial_text), 'char')}{tokens}>"
        )


def _nothing() -> None:
    """Do nothing."""


def _to_raise(error: AgyError) -> AgyError:
    """Return a copy of the turn's error to raise.

    A raised error references the stack frames that it passes through, and their local variables.
    The turn keeps its error, so raising that object would also keep every caller's variables alive.
    One of them may be the agent's handle, which then could never be garbage-collected.
    """
    copy = type(error).__new__(type(error))
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__cause__, copy.__context__ = error.__cause__, error.__context__
    copy.__suppress_context__ = error.__suppress_context__
    return copy.with_traceback(error.__traceback__)


def output_type_of(config: Any) -> type[Any] | None:
    """Return the pydantic model that is a configuration's `response_schema`, None otherwise.

    Args:
        config: An agent's configuration.
    """
    schema = config.get("response_schema") if isinstance(config, Mapping) else None
    return schema if isinstance(schema, type) and hasattr(schema, "model_validate") else None
