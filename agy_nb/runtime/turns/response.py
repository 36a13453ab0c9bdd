"""The handle of one turn: every view of it is a cursor of its own over one list of events.

Rule 1: the turn writes, whether or not anybody reads; a view that nobody reads costs nothing.
Rule 2: a cursor never misses an event and never waits for another cursor.
Rule 3: whatever ends the turn, what had come before stays readable.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from typing import Any, Generic, TypeVar

from agy_nb.errors import AgyError, BackendError, WrongLoopError
from agy_nb.kernel.loops.other_loop import is_reachable, run_on
from agy_nb.protocol.events import (
    Error,
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
from agy_nb.runtime.views import views
from agy_nb.sdk.deadlocks import running
from agy_nb.sdk.interfaces import now, stop_reason_of

T = TypeVar("T")
_log = logging.getLogger("agy_nb.runtime")
_JUST_NOW_S = 0.5
"""An interrupt cancels the cell's wait and tells the runtime, in an order that varies."""


class ResponseStream(Generic[T]):
    """One kind of thing out of a turn's events.

    `async for` follows the turn live, from its beginning, and raises what ended it; a plain `for`
    gives what has come so far. Both may be started any number of times.

    Args:
        response: Whose events.
        pick: Gives the thing of an event, None for an event that has none.

    Example:
        >>> response = await agent.chat("Use get_weather for Paris")
        >>> async for call in response.tool_calls:
        ...     print(call.name, call.args["city"])
        get_weather Paris
        >>> [result.result for result in response.tool_results]
        ['sunny in Paris']
    """

    def __init__(self, response: Response, pick: Callable[[Event], T | None]) -> None:
        self._response = response
        self._pick = pick

    async def __aiter__(self) -> AsyncIterator[T]:
        async for event in self._response:
            item = self._pick(event)
            if item is not None:
                yield item

    def __iter__(self) -> Iterator[T]:
        for event in tuple(self._response.events):
            item = self._pick(event)
            if item is not None:
                yield item

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<{len(self)} so far, turn {self._response.turn_id} {self._response.state}>"


class Response:
    """The streaming handle of one turn.

    Attributes:
        agent_id: Whose turn it is.
        turn_id: Number of the turn within its runtime, from 1.
        prompt: What was sent.
        model: Name of the agent's model, None where it is not known.
        kind: What began the turn: a `"prompt"`, a `"trigger"`, or the agent by itself (`"wakeup"`),
            as when a timer that it has set goes off.
        events: Every event so far, oldest first.
        state: Where the turn stands.
        error: What ended it, None while it runs or when it ended well.
        over: Set when the turn is over; waiting for it does not count as reading the turn.

    Example:
        >>> response = await agent.chat("Use get_weather for Paris")
        >>> async for piece in response.text_stream():
        ...     print(piece, end="")
        get_weather says: sunny in Paris
        >>> response.usage.total_tokens > 0
        True
    """

    def __init__(
        self,
        *,
        agent_id: int,
        turn_id: int,
        prompt: Prompt,
        listen: Callable[[Response, Event], None] = lambda _response, _event: None,
        model: str | None = None,
        output_type: type[Any] | None = None,
        kind: TurnKind = "prompt",
        must_not_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.agent_id = agent_id
        self.turn_id = turn_id
        self.prompt = prompt
        self.model = model
        self._output_type = output_type
        self.kind = kind
        self.events: list[Event] = []
        self.state = TurnState.QUEUED
        self.error: AgyError | None = None
        self.over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._must_not_wait = must_not_wait
        self._waiters: list[asyncio.Future[None]] = []
        self._usage: TokenUsage | None = None
        self._stop_reason: str | None = None
        self._structured_output: Any = None
        self._cancel: Callable[[], Awaitable[None]] | None = None
        self._finished = False
        self._cursors = 0
        self._listen = listen
        self._left_at = -math.inf
        self._watchers: list[Callable[[Event], None]] = []
        self._before_end: Callable[[], None] = _nothing

    # -- written by the turn -----------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Add an event; for the turn that this is the handle of.

        Args:
            event: What is new.
        """
        self.events.append(event)
        if isinstance(event, State):
            self.state = event.state
        elif isinstance(event, Usage):
            self._usage = event.usage if self._usage is None else self._usage + event.usage
        self._listen(self, event)
        for watch in tuple(self._watchers):  # one that is added now has had this event
            if watch in self._watchers:
                self._tell(watch, event)
        self._wake()

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
            state: How it ended.
            error: What ended it, None when it ended well.
            stop_reason: Why the harness stopped, in the SDK's words.
            structured_output: What fits the `response_schema`.
        """
        before_end, self._before_end = self._before_end, _nothing
        if self._finished:
            return
        before_end()
        self.error = error
        self._stop_reason = stop_reason
        self._structured_output = structured_output
        self._finished = True
        self.over.set()
        self.emit(State(trajectory=self.root, state=state, at=now()))

    def on_cancel(self, cancel: Callable[[], Awaitable[None]]) -> None:
        """Tell how the turn is cancelled.

        Args:
            cancel: Has the backend end the turn.
        """
        self._cancel = cancel

    def before_end(self, close: Callable[[], None]) -> None:
        """Have a function called right before the turn's last event.

        Args:
            close: Emits what the turn still owes, e.g. the end of an approval.
        """
        self._before_end = close

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def root(self) -> Trajectory:
        """The root agent's trajectory; without an id until its first event."""
        for event in self.events:
            where = event.trajectory
            if where.id and where.is_root:
                return where
        return Trajectory()

    def watch(self, watch: Callable[[Event], None]) -> Callable[[], None]:
        """Have a function called with each event as it comes, those so far first; for views.

        Args:
            watch: Called on the loop that the turn runs on; never blocks. One that raises is called
                no more, and the turn goes on.

        Returns:
            A function that ends it; it may be called twice.
        """
        seen = 0
        while seen < len(self.events):  # it may make events itself
            if not self._tell(watch, self.events[seen]):
                break
            seen += 1
        else:
            self._watchers.append(watch)

        def stop() -> None:
            self._watchers = [known for known in self._watchers if known is not watch]

        return stop

    def _tell(self, watch: Callable[[Event], None], event: Event) -> bool:
        """Call a function with an event; tell whether it is to be called again."""
        try:
            watch(event)
        except Exception:  # noqa: BLE001 - a turn outlives its views
            _log.exception("a view of turn %s failed and is shown no more", self.turn_id)
            self._watchers = [known for known in self._watchers if known is not watch]
            return False
        return True

    # -- read by anybody ---------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Every event, from the first, until the turn is over.

        Raises:
            AgyError: What ended the turn, after its last event.
        """
        position = 0
        here = int(asyncio.get_running_loop() is self._loop)  # another thread must not count
        self._cursors += here
        try:
            while True:
                while position < len(self.events):
                    yield self.events[position]
                    position += 1
                if self._finished:
                    break
                await self._more(position)
        finally:
            self._cursors -= here
        if self.error is not None:
            raise _to_raise(self.error)

    def _must_be_reachable(self) -> None:
        if not is_reachable(self._loop):
            msg = (
                "this response belongs to another event loop; read it where its agent lives, "
                "or use agent.sync there"
            )
            raise WrongLoopError(msg)

    async def _more(self, seen: float = math.inf) -> None:
        """Wait until there are more events than were seen, or the turn is over."""
        if asyncio.get_running_loop() is not self._loop:
            self._must_be_reachable()
            await run_on(self._loop, self._more(seen))
            return
        if running.get() is not None and (seen == math.inf or self.state is TurnState.QUEUED):
            self._must_not_wait()
        while len(self.events) <= seen and not self._finished:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._left_at = self._loop.time()
                self._waiters = [known for known in self._waiters if known is not waiter]
                raise

    def text_stream(self, trajectory_id: str | None = None) -> ResponseStream[str]:
        """The pieces of the answer, as they come.

        Args:
            trajectory_id: Of this subagent; the root agent's own text when None. A subagent's text
                never comes with the root's.

        Returns:
            The pieces; `async for` follows them, a plain `for` gives those so far.
        """

        def pick(event: Event) -> str | None:
            if not isinstance(event, Text):
                return None
            where = event.trajectory
            wanted = where.is_root if trajectory_id is None else where.id == trajectory_id
            return event.text if wanted else None

        return ResponseStream(self, pick)

    @property
    def thoughts(self) -> ResponseStream[str]:
        """The pieces of the root agent's thoughts."""
        return ResponseStream(
            self,
            lambda event: (
                event.text if isinstance(event, Thought) and event.trajectory.is_root else None
            ),
        )

    @property
    def tool_calls(self) -> ResponseStream[ToolCall]:
        """Every tool call, the subagents' too."""
        return ResponseStream(self, lambda event: event if isinstance(event, ToolCall) else None)

    @property
    def tool_results(self) -> ResponseStream[ToolResult]:
        """Every tool's answer, the subagents' too."""
        return ResponseStream(self, lambda event: event if isinstance(event, ToolResult) else None)

    @property
    def steps(self) -> ResponseStream[Step]:
        """Every change of a step, the subagents' too."""
        return ResponseStream(self, lambda event: event if isinstance(event, Step) else None)

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """Every trajectory seen so far, the root's first."""
        found = {
            event.trajectory.id: event.trajectory for event in self.events if event.trajectory.id
        }
        return tuple(sorted(found.values(), key=lambda trajectory: trajectory.depth))

    async def wait(self) -> Response:
        """Wait until the turn is over, however it ends; raises nothing of the turn's.

        Returns:
            This response.
        """
        if not self._finished:
            await self._more()
        return self

    def __await__(self) -> Generator[Any, None, Response]:
        return self.wait().__await__()

    async def text(self) -> str:
        """Wait for the turn's end and give the root agent's whole text.

        Returns:
            The text of the root agent, without that of subagents.

        Raises:
            AgyError: What ended the turn; `partial_text` has what had come.
        """
        await self.wait()
        if self.error is not None:
            raise _to_raise(self.error)
        return self.partial_text

    async def structured_output(self) -> Any:
        """Wait for the turn's end and give what fits the `response_schema`, None if there is none.

        Returns:
            What fits the schema, as plain data.

        Raises:
            AgyError: What ended the turn.

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
        """The root agent's text so far; the whole of it once the turn is over.

        The text of a try that went wrong counts until the next try says something; streams have had
        it by then, so that what they gave may be more than this.
        """
        pieces: list[Text] = []
        refused: int | None = None
        for event in self.events:
            if not event.trajectory.is_root:
                continue
            if isinstance(event, Error) and event.refused_step is not None:
                refused = event.refused_step
            elif isinstance(event, Text):
                if refused is not None:
                    pieces = [piece for piece in pieces if piece.step_index != refused]
                    refused = None
                pieces.append(event)
        return "".join(piece.text for piece in pieces)

    @property
    def usage(self) -> TokenUsage | None:
        """Tokens of the turn so far, subagents included; None before the first metered call."""
        return self._usage

    @property
    def stop_reason(self) -> str | None:
        """Why the harness stopped: the SDK's `StopReason`, which is a string as well.

        None before the end and after a failure.

        Example:
            >>> from google.antigravity import types
            >>> response = await (await agent.chat("Hello"))
            >>> response.stop_reason is types.StopReason.UNSPECIFIED  # a normal end
            True
            >>> response.stop_reason == "UNSPECIFIED"
            True
        """
        return None if self._stop_reason is None else stop_reason_of(self._stop_reason)

    @property
    def output(self) -> Any:
        """What fits the `response_schema`: None before the end, or when there is none.

        Where the configuration is a mapping whose `response_schema` is a pydantic model, it is an
        instance of that model. The SDK's own configuration objects keep only the JSON schema of a
        model, so with those it is plain data.

        Raises:
            BackendError: The model's own validators refuse it; `structured_output()` has the data.

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
        return self._finished

    async def cancel(self) -> None:
        """Cancel the turn and wait until it is over; nothing happens when it is already."""
        if self._finished:
            return
        if asyncio.get_running_loop() is not self._loop:
            self._must_be_reachable()
            await run_on(self._loop, self.cancel())
            return
        if self._cancel is not None:
            await self._cancel()
        await self.over.wait()

    @property
    def awaited(self) -> bool:
        """Whether anybody waits for this turn, or reads it, or was cancelled doing so just now."""
        just_left = self._loop.time() - self._left_at < _JUST_NOW_S
        return bool(self._waiters) or self._cursors > 0 or just_left

    def _ipython_display_(self) -> None:
        views().show(self)

    def __repr__(self) -> str:
        tokens = f", {self._usage.total_tokens} tokens" if self._usage else ""
        return (
            f"<Response turn {self.turn_id} of agent {self.agent_id}: {self.state}, "
            f"{len(self.partial_text)} chars{tokens}>"
        )


def _nothing() -> None:
    """Nothing is owed."""


def _to_raise(error: AgyError) -> AgyError:
    """A copy: an error that is raised keeps the frames it goes through, and what they hold.

    The turn's own is kept as long as the turn. Raised again and again it would keep every caller;
    among what those hold may be the agent's handle, which then is never dropped.
    """
    copy = type(error).__new__(type(error))
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__cause__, copy.__context__ = error.__cause__, error.__context__
    copy.__suppress_context__ = error.__suppress_context__
    return copy.with_traceback(error.__traceback__)


def output_type_of(config: Any) -> type[Any] | None:
    """The pydantic model that a configuration has as its `response_schema`, None if it has none.

    Args:
        config: What an agent was made of.
    """
    schema = config.get("response_schema") if isinstance(config, Mapping) else None
    return schema if isinstance(schema, type) and hasattr(schema, "model_validate") else None
