"""The one reader of the wire: frames of both directions in, typed events out.

A reader belongs to one connection of one agent and takes its frames in the order in which they
passed the socket. It does no I/O, and no frame makes it raise: one of an unknown kind becomes an
`UnknownFrame` event, and one that makes no sense a `Problem`.

Some facts never cross the wire: who decided on a call, when a turn was queued, which error ended
it. The runtime gives them to the reader as host notes, which are events as well; a recording keeps
them as lines of their own. Where a connection has host notes, they alone say how its turns and
approvals went. Where it has none, as with a program that uses the SDK by itself, the reader derives
both from the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal, TypeAlias, cast

from agy_nb.errors import InvalidMessageError, TurnDeniedError
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import (
    AgentStarted,
    Error,
    Event,
    Problem,
    SessionClosed,
    SessionConfigured,
    SessionOpened,
    State,
    ToolDenied,
    ToolException,
    TrajectoryState,
    TurnBegan,
    TurnKind,
    TurnState,
    UnknownFrame,
)
from agy_nb.protocol.values import (
    ErrorInfo,
    MediaPart,
    Message,
    Prompt,
    PromptPart,
    SlashCommandPart,
    TextPart,
    Trajectory,
    TrajectoryUsage,
)
from agy_nb.wire import frames as f
from agy_nb.wire.calls.call_reader import CallReader, CallsOfTurn
from agy_nb.wire.calls.tool_decisions import (
    hook_answered,
    hook_asked,
    policy_answered,
    policy_asks,
)
from agy_nb.wire.calls.user_questions import answered_question
from agy_nb.wire.client_config import (
    conversation_of,
    host_tools_of,
    service_tier_of,
    subagent_models_of,
    text_model_of,
)
from agy_nb.wire.construct import constructor_of
from agy_nb.wire.errors import StepFailure, error_of_step
from agy_nb.wire.frames import STEP, Frame
from agy_nb.wire.json_values import bytes_of, number_of, object_of, objects_of, text_of
from agy_nb.wire.reader_state import Connection
from agy_nb.wire.steps import StepReader
from agy_nb.wire.token_counters import UsageReader

EndedBy: TypeAlias = Literal["client", "harness", "unknown"]
Read: TypeAlias = Callable[[Any, float], Iterable[Event]]

_state = constructor_of(State)
_trajectory_state = constructor_of(TrajectoryState)
_turn_began = constructor_of(TurnBegan)

_STOP_PREFIX = "STOP_REASON_"
_NORMAL_STOP = "UNSPECIFIED"


class WireReader:
    """Reads the frames of one connection, in their order.

    Args:
        hosted: Whether host notes come with the frames. The first note sets this, too.

    Example:
        >>> from agy_nb.wire import WireReader
        >>> reader = WireReader()
        >>> reader.client({"userInput": {"parts": [{"text": "Hello"}]}})[0].prompt[0].text
        'Hello'
    """

    def __init__(self, *, hosted: bool = False) -> None:
        self._connection = Connection(hosted=hosted)
        self._calls = CallReader(self._connection)
        self._steps = StepReader(self._connection, self._calls)
        self._usage = UsageReader(self._connection)
        self._running = self._halted = False
        self._denied: str | None = None
        self._root = ""
        self._client: dict[str, Read] = {
            f.CONFIG: self._configured,
            f.USER_INPUT: self._prompted,
            f.TRIGGER: self._triggered,
            f.HALT: self._halt,
            f.TOOL_RESPONSE: self._of_object(self._calls.answered_call),
            f.POLICY_RESPONSE: self._of_object(partial(policy_answered, self._connection)),
            f.HOOK_RESPONSE: self._of_object(self._hook_answered),
            f.QUESTION_RESPONSE: self._of_object(partial(answered_question, self._connection)),
            f.TOOL_CONFIRMATION: _nothing,
            f.SESSION_END: _nothing,
        }
        self._harness: dict[str, Read] = {
            f.STEP: self._of_object(self._steps.read),
            f.USAGE: self._of_object(self._usage.read),
            f.TOOL_CALL: self._of_object(self._calls.called),
            f.TRAJECTORY_STATE: self._of_object(self._trajectory_state),
            f.POLICY_REQUEST: self._of_object(partial(policy_asks, self._connection)),
            f.HOOK_REQUEST: self._of_object(self._hook_asks),
            f.INITIALIZED: self._of_object(self._opened),
            f.SESSION_ENDED: _nothing,
        }

    # -- input -------------------------------------------------------------------------------

    def client(self, frame: Frame, at: float = 0.0) -> list[Event]:
        """Read a frame that the client sent.

        Args:
            frame: The frame, as JSON data.
            at: When it was sent, in seconds since the Unix epoch; 0 where that is not known.

        Returns:
            The events of the frame, in their order.
        """
        return self._take(frame, at, self._client, "client")

    def harness(self, frame: Frame, at: float = 0.0) -> list[Event]:
        """Read a frame that the harness sent; see `client`."""
        # Most frames are steps, so they need no look-up of their kind.
        body = frame.get(STEP)
        if type(body) is dict:
            try:
                found = self._steps.read(body, at)
            except Exception as error:
                return self._damaged(STEP, error, at)
            return self._with_problems(found) if self._connection.problems else found
        return self._take(frame, at, self._harness, "harness")

    def take(self, direction: str, frame: Frame, at: float = 0.0) -> list[Event]:
        """Read a line of a recording: a frame, a host note, or the end of the connection.

        Args:
            direction: `client`, `harness`, `host` or `end`.
            frame: The frame; the note; or how the connection ended.
            at: When, in seconds since the Unix epoch; 0 where that is not known.

        Raises:
            ValueError: It is another direction.
        """
        match direction:
            case "client":
                return self.client(frame, at)
            case "harness":
                return self.harness(frame, at)
            case "host":
                from agy_nb.protocol.codec import event_of  # imports pydantic

                try:
                    return self.host(event_of(frame, at))
                except InvalidMessageError as error:
                    return [Problem(problem="damaged_note", detail=str(error)[:300], at=at)]
            case "end":
                by: EndedBy = "harness" if frame.get("by") == "harness" else "client"
                code = number_of(frame.get("code"), -1)
                reason = text_of(frame.get(f.REASON))
                return self.end(by, at, code=code if code >= 0 else None, reason=reason)
        msg = f"the direction must be client, harness, host or end, got {direction!r}"
        raise ValueError(msg)

    def host(self, note: Event) -> list[Event]:
        """Take a host note: an event that never crosses the wire."""
        if isinstance(note, AgentStarted):
            self._connection.hosted = True
        elif isinstance(note, ToolDenied):
            self._calls.refuse(note.call_id)
        elif isinstance(note, ToolException):
            self._calls.raised(note)
        return [note]

    def end(
        self,
        by: EndedBy,
        at: float = 0.0,
        *,
        code: int | None = None,
        reason: str = "",
    ) -> list[Event]:
        """Note the end of the connection.

        Args:
            by: Who closed it; `"unknown"` where a recording stops before the end.
            at: When, in seconds since the Unix epoch; 0 where that is not known.
            code: The WebSocket's close code.
            reason: The WebSocket's close reason.
        """
        found: list[Event] = []
        if self._calls.mcp_results.waiting:
            found += self._calls.mcp_results.give_up()
        if self._running and by != "unknown" and not self._connection.hosted:
            # A client that closes after an error has not cancelled anything: the error ended the
            # turn.
            by_client = by == "client" and (self._steps.failure is None or self._halted)
            gone = None
            if not by_client and self._steps.failure is None:
                words = f"the harness ended the session: {code or '?'} {reason}".rstrip()
                gone = ErrorInfo(type="HarnessError", message=words)
            found += self._end_turn(at, failed=not by_client, cancelled=by_client, gone=gone)
        found.append(SessionClosed(by=by, code=code, reason=reason, at=at))
        return found

    # -- results -----------------------------------------------------------------------------

    @property
    def failure(self) -> StepFailure | None:
        """The latest error step of the root agent that no output of it followed, or None."""
        return self._steps.failure

    @property
    def failures(self) -> int:
        """How many error steps of the root agent there were in a row."""
        return self._steps.failures

    @property
    def longest(self) -> int:
        """Characters of the turn's longest answer or thought, of any agent."""
        return self._steps.longest

    def trajectory(self, trajectory_id: str) -> Trajectory:
        """Return the trajectory that an id stands for, with the most that is known of it."""
        return self._connection.trajectory(trajectory_id).where

    # -- frames ------------------------------------------------------------------------------

    def _take(self, frame: Frame, at: float, kinds: dict[str, Read], direction: str) -> list[Event]:
        kind = f.kind_of(frame)
        read = kinds.get(kind)
        if read is None:
            return [UnknownFrame(direction=cast("Any", direction), frame=_as_object(frame), at=at)]
        try:
            found = [*read(frame.get(kind), at)]
        except Exception as error:
            return self._damaged(kind, error, at)
        return self._with_problems(found) if self._connection.problems else found

    def _damaged(self, kind: str, error: Exception, at: float) -> list[Event]:
        words = f"{kind}: {type(error).__name__}: {error}"[:300]
        self._connection.problem("damaged_frame", words, at)
        return self._with_problems([])

    def _with_problems(self, found: Iterable[Event]) -> list[Event]:
        problems, self._connection.problems = self._connection.problems, []
        return [*found, *problems]

    def _of_object(self, read: Callable[[Frame, float], Iterable[Event]]) -> Read:
        """Read a frame whose body must be an object."""

        def read_object(body: Any, at: float) -> Iterable[Event]:
            if not isinstance(body, dict):
                self._connection.problem("damaged_frame", f"a body is {body!r:.60}", at)
                return ()
            return read(body, at)

        return read_object

    # -- sessions ----------------------------------------------------------------------------

    def _configured(self, body: Any, at: float) -> Iterator[Event]:
        config: Frame = {f.CONFIG: object_of(body)}
        self._connection.config = config
        host_tools = host_tools_of(config)
        self._connection.host_tools = frozenset(host_tools)
        model, endpoint = text_model_of(config)
        yield SessionConfigured(
            model=model,
            endpoint=cast("Any", endpoint),
            conversation_id=conversation_of(config) or None,
            host_tools=host_tools,
            subagents=subagent_models_of(config),
            service_tier=service_tier_of(config),
            at=at,
        )

    def _opened(self, body: Frame, at: float) -> Iterator[Event]:
        usages = []
        for entry in objects_of(body.get(f.TRAJECTORY_USAGE)):
            trajectory = self._connection.trajectory(text_of(entry.get(f.TRAJECTORY_ID)))
            trajectory.reading = self._usage.reading(object_of(entry.get("usage")), at)
            usages.append(TrajectoryUsage(trajectory=trajectory.where, usage=trajectory.reading))
        history = objects_of(body.get("history"))
        messages = []
        for step in history:
            trajectory = self._connection.trajectory(
                text_of(step.get(f.TRAJECTORY_ID)), text_of(step.get(f.PARENT_ID))
            )
            # These steps belong to an earlier session; nothing more is read of them.
            trajectory.closed = max(trajectory.closed, number_of(step.get(f.STEP_INDEX)))
            role = f.SOURCES.get(text_of(step.get(f.SOURCE)))
            text = text_of(step.get(f.TEXT))
            if text and role in ("user", "model") and f.CUSTOM_TOOL not in step:
                messages.append(
                    Message(role=cast("Any", role), content=text, trajectory=trajectory.where)
                )
        total = body.get(f.CUMULATIVE_USAGE)
        yield SessionOpened(
            conversation_id=text_of(body.get(f.CONVERSATION_ID)) or None,
            resumed=bool(history),
            history=tuple(messages),
            usage=self._usage.reading(total, at) if isinstance(total, dict) else None,
            trajectory_usages=tuple(usages),
            at=at,
        )

    # -- turns -------------------------------------------------------------------------------

    def _prompted(self, body: Any, at: float) -> Iterator[Event]:
        parts = tuple(map(_part, objects_of(object_of(body).get("parts"))))
        yield from self._begin_turn(parts or (TextPart(text=""),), "prompt", at)

    def _triggered(self, body: Any, at: float) -> Iterator[Event]:
        if self._running:  # the turn that runs answers it
            return
        text = text_of(body.get("content") if isinstance(body, dict) else body)
        yield from self._begin_turn((TextPart(text=text),), "trigger", at)

    def _begin_turn(self, prompt: Prompt, kind: TurnKind, at: float) -> Iterator[Event]:
        for trajectory in self._connection.trajectories.values():
            trajectory.next_turn()
        self._steps.next_turn()
        self._calls.turn = CallsOfTurn()
        self._calls.mcp_results.early.clear()
        self._running, self._halted, self._denied = True, False, None
        yield _turn_began(prompt=prompt, kind=kind, at=at)
        if not self._connection.hosted:
            yield _state(state=TurnState.RUNNING, at=at)

    def _halt(self, _body: object, _at: float) -> Iterable[Event]:
        self._halted = True
        return ()

    def _hook_asks(self, body: Frame, _at: float) -> Iterable[Event]:
        hook_asked(self._connection, body)
        result = body.get(f.POST_TOOL_ARGS)
        return self._calls.mcp_results.reported(result) if isinstance(result, dict) else ()

    def _hook_answered(self, body: Frame, at: float) -> Iterable[Event]:
        verdict = body.get(f.PRE_TURN_RESULT)
        if isinstance(verdict, dict) and verdict.get(f.DECISION) == f.HOOK_DENY:
            self._denied = text_of(verdict.get(f.REASON))
        return hook_answered(self._connection, body, at)

    def _trajectory_state(self, body: Frame, at: float) -> Iterator[Event]:
        trajectory = self._connection.trajectory(
            text_of(body.get(f.TRAJECTORY_ID)),
            text_of(body.get(f.PARENT_ID)),
            number_of(body.get(f.DEPTH)),
        )
        state = f.TRAJECTORY_STATES.get(text_of(body.get(f.STATE)), "unknown")
        error = text_of(body.get(f.ERROR))
        stop_reason = text_of(body.get(f.STOP_REASON)).removeprefix(_STOP_PREFIX) or None
        at_rest = state in ("idle", "cancelled")
        if at_rest and self._calls.mcp_results.waiting:
            yield from self._calls.mcp_results.give_up(trajectory.where.id)
        # A message of a subagent can begin a turn without a prompt. `_root` is empty until a turn
        # has ended, so the first turn never begins like this.
        if state == "running" and not self._running and trajectory.where.id == self._root:
            yield from self._begin_turn((TextPart(text=""),), "wakeup", at)
        yield _trajectory_state(
            trajectory=trajectory.where,
            state=cast("Any", state),
            stop_reason=(stop_reason or _NORMAL_STOP) if at_rest else stop_reason,
            message=error,
            at=at,
        )
        if not (at_rest and trajectory.where.is_root and self._running):
            return
        if not self._connection.hosted:
            cancelled = (self._halted or state == "cancelled") and self._denied is None
            failed = (bool(error) or self._steps.failure is not None) and not cancelled
            yield from self._end_turn(at, failed=failed, cancelled=cancelled)
        self._running = False
        self._root = trajectory.where.id

    def _end_turn(
        self, at: float, *, failed: bool, cancelled: bool, gone: ErrorInfo | None = None
    ) -> Iterator[Event]:
        self._running = False
        state = TurnState.CANCELLED if cancelled else TurnState.DONE
        if self._denied is not None:
            state = TurnState.DENIED
            yield Error(error=to_info(TurnDeniedError(self._denied)), fatal=True, at=at)
        elif failed:
            state = TurnState.FAILED
            info = gone
            if info is None and self._steps.failure is not None:
                info = to_info(error_of_step(self._steps.failure))
            info = info or ErrorInfo(type="BackendError", message="the turn failed")
            yield Error(error=info, fatal=True, at=at)
        yield _state(state=state, at=at)


def _nothing(_body: object, _at: float) -> Iterable[Event]:
    return ()


def _as_object(frame: Any) -> Frame:
    return frame if isinstance(frame, dict) else {"": frame}


def _part(part: Frame) -> PromptPart:
    media = part.get("media")
    if isinstance(media, dict):
        mime_type = text_of(media.get(f.MIME_TYPE)) or "application/octet-stream"
        kind = mime_type.partition("/")[0]
        return MediaPart(
            kind=cast("Any", kind if kind in ("image", "audio", "video") else "document"),
            mime_type=mime_type,
            data=bytes_of(media.get("data")),
            description=text_of(media.get("description")) or None,
        )
    command = part.get(f.SLASH_COMMAND)
    if isinstance(command, dict):
        return SlashCommandPart(name=text_of(command.get(f.NAME)) or "?")
    return TextPart(text=text_of(part.get(f.TEXT)))
