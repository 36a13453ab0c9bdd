"""What we change of the SDK's event processor, for one connection.

Rule: what decides and fails denies, and says why.
"""

from __future__ import annotations

import asyncio
import contextvars
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from google.antigravity import types
from google.antigravity.connections.local.event_processor import (
    IDLE_SENTINEL,
    LocalHarnessEventProcessor,
    _extract_tool_args,
)
from google.antigravity.hooks import hooks, policy
from google.antigravity.proto import localharness_pb2

from agy_nb.protocol import events
from agy_nb.protocol.values import Trajectory
from agy_nb.sdk.base import ApprovalDecision, now
from agy_nb.sdk.contained import EscapedError, contained_wait
from agy_nb.sdk.deciding import Asked, Decided, deciding
from agy_nb.sdk.own_turn import user_code
from agy_nb.sdk.questions import asking
from agy_nb.sdk.recorded import Recorded, is_asked_of_gate
from agy_nb.sdk.wire import questions_of
from agy_nb.wire import WireReader

SLICE_S = 0.01
"""Seconds that frames may be read in a row."""

MOST_WORDS = 20_000
"""Characters of a tool's exception, and of its traceback, that are noted."""

_wire: Any = localharness_pb2  # its names are made at run time


_NO_TURN = hooks.TurnContext(hooks.SessionContext())


class Tap:
    """Our ear on one connection.

    Args:
        connection: The SDK's connection to the local harness, before anything was read from it.
        reader: Reads the frames of the connection.
        note: Takes facts that never cross the wire.
        on_activity: Called for each step that arrives and each trigger that is sent.
        policies: The agent's, for the calls that the harness does not ask about.

    Attributes:
        context: The context of the turn that runs.
        decided: Decisions that a hook has asked for already, by the call's id.
        denial: Why a pre-turn hook has denied the prompt of the turn, None where none has.
    """

    def __init__(
        self,
        connection: Any,
        reader: WireReader,
        note: Callable[[events.Event], None],
        on_activity: Callable[[], None],
        policies: Sequence[policy.Policy] = (),
    ) -> None:
        self._policy = policy.enforce(policies, mcp_servers=[])
        self._reader = reader
        self._note = note
        self._on_activity = on_activity
        self._loop = asyncio.get_running_loop()
        self._slice_began = self._loop.time()
        self._denials: dict[str, str] = {}
        self.decided: dict[str, Decided] = {}
        self._tools_running: set[asyncio.Task[Any]] = set()
        self._connection = connection
        self._processor = connection._processor
        self._recorded = Recorded(connection)
        self.context = contextvars.copy_context()
        self._run_in_turns_context()
        self._listen()
        self._listen_to_decisions()
        self._listen_to_tools()
        self._listen_to_questions()
        self._listen_to_triggers(connection)
        self._contain_hooks()
        self.denial: str | None = None
        self._listen_to_pre_turn_hooks()
        self._listen_to_pre_tool_hooks()

    @staticmethod
    def fits(connection: Any) -> bool:
        """Whether a connection speaks the local harness's protocol."""
        return isinstance(getattr(connection, "_processor", None), LocalHarnessEventProcessor)

    def _run_in_turns_context(self) -> None:
        """Have tools, hooks and handlers run where the turn was started: their prints go there."""
        tasks = self._processor._background_tasks

        def run_in_background(work: Coroutine[Any, Any, Any]) -> None:
            loop = asyncio.get_running_loop()
            task = loop.create_task(work, context=self.context.copy())
            tasks.add(task)
            task.add_done_callback(self._on_background_end)

        self._processor._run_in_background = run_in_background

    def _on_background_end(self, task: asyncio.Task[Any]) -> None:
        """Whoever cannot answer the harness because it is gone fails; the reader tells of it."""
        self._processor._background_tasks.discard(task)
        if not task.cancelled() and self._connection._reader_task.done():
            task.exception()

    def _listen_to_triggers(self, connection: Any) -> None:
        """A trigger begins a turn when it is sent, not when the harness says the first thing."""
        send = connection.send_trigger_notification

        async def listen(content: str) -> None:
            was_idle = self._processor.is_idle.is_set()
            self._processor.is_idle.clear()
            self._on_activity()
            try:
                await send(content)
            except BaseException:
                if was_idle:
                    self._processor.is_idle.set()
                    await self._processor.step_queue.put(IDLE_SENTINEL)
                raise

        connection.send_trigger_notification = listen

    def expect_turn(self) -> None:
        """Have the SDK's connection count as busy; the harness has begun a turn by itself."""
        self._processor.is_idle.clear()

    # -- the pace ----------------------------------------------------------------------------

    def _listen(self) -> None:
        process_event = self._processor.process_event

        async def listen(event: Any) -> None:
            await self._let_others_run()
            await process_event(event)
            if event.HasField("step_update"):
                self._on_activity()

        self._processor.process_event = listen

    async def _let_others_run(self) -> None:
        """Give the loop a turn now and then: the SDK reads a burst of frames without a pause."""
        if self._loop.time() - self._slice_began > SLICE_S:
            await asyncio.sleep(0)
            self._slice_began = self._loop.time()

    # -- approvals ---------------------------------------------------------------------------

    def _listen_to_decisions(self) -> None:
        decide = self._processor._handle_policy_decision_request
        answer = self._processor._send_policy_decision_response
        evaluate = self._processor._evaluate_dynamic_policy

        async def listen(request: Any) -> None:
            rule = self._processor._dynamic_policy_map.get(request.rule_id)
            outcome = None if is_asked_of_gate(rule) else self._recorded.outcome(request.request_id)
            if outcome is not None:  # a handler of the user's own would ask a person
                await answer(request.request_id, outcome=outcome[0], deny_reason=outcome[1])
                return
            deciding(Asked(self, request.request_id, request.tool_args))
            await decide(request)

        async def evaluate_contained(*asked: Any) -> Any:
            try:
                with user_code("the handler of a policy"):
                    return await contained_wait(evaluate(*asked))
            except EscapedError as error:
                return _wire.POLICY_EVALUATION_OUTCOME_DENY, f"the policy failed: {error}"

        async def listen_to_answer(request_id: str, *, outcome: Any, deny_reason: str = "") -> None:
            reason = self._denials.pop(request_id, "") or deny_reason
            await answer(request_id, outcome=outcome, deny_reason=reason)

        self._processor._evaluate_dynamic_policy = evaluate_contained
        self._processor._handle_policy_decision_request = listen
        self._processor._send_policy_decision_response = listen_to_answer

    def asks_for(self, tool_args: Any) -> Trajectory:
        """Which trajectory makes a call."""
        return self._reader.trajectory(tool_args.trajectory_id)

    def recorded_decision(self, asked: Asked) -> ApprovalDecision | None:
        """What a cassette says to a request, None if it is to be decided now."""
        if asked.by == "hook":
            return self._recorded.decision_in_hook(asked.request_id, asked.tool_args)
        if asked.by == "nobody":
            return self._recorded.decision_on_call(asked.request_id)
        return self._recorded.decision(asked.request_id)

    def deny_with(self, asked: Asked, reason: str) -> None:
        """Have the denial of a request say why."""
        if asked.by != "hook":  # a hook says so itself
            self._denials[asked.request_id] = reason

    @property
    def _hook_handlers(self) -> dict[Any, Any]:
        """What the SDK runs for each kind of hook; to be changed in place."""
        handlers: dict[Any, Any] = getattr(
            getattr(self._processor, "_hook_router", None), "_handlers", {}
        )
        return handlers

    def _contain_hooks(self) -> None:
        """A hook that raises more than an ordinary error has failed like any other."""
        handlers = self._hook_handlers

        def contained(handle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
            async def handle_contained(request: Any, response: Any) -> None:
                with user_code("a hook"):
                    await contained_wait(handle(request, response))

            return handle_contained

        for kind, handle in tuple(handlers.items()):
            handlers[kind] = contained(handle)

    def _listen_to_pre_tool_hooks(self) -> None:
        """Leave the call where the hooks find it."""
        handlers = self._hook_handlers
        pre_tool = handlers.get(_wire.LIFECYCLE_HOOK_PRE_TOOL)
        if pre_tool is None:
            return

        async def decide(request: Any, response: Any) -> None:
            deciding(Asked(self, request.request_id, request.pre_tool_args, by="hook"))
            await pre_tool(request, response)

        handlers[_wire.LIFECYCLE_HOOK_PRE_TOOL] = decide

    def _listen_to_pre_turn_hooks(self) -> None:
        """Note a denial. A hook that fails denies, too: on an error the harness hangs up."""
        handlers = self._hook_handlers
        pre_turn = handlers.get(_wire.LIFECYCLE_HOOK_PRE_TURN)
        if pre_turn is None:
            return

        async def decide(request: Any, response: Any) -> None:
            try:
                await pre_turn(request, response)
            except Exception as error:  # noqa: BLE001 - a hook may raise anything
                verdict = response.pre_turn_result
                verdict.decision = _wire.PreTurnResult.Decision.DENY
                verdict.reason = f"the hook failed: {type(error).__name__}: {error}"
            if response.pre_turn_result.decision == _wire.PreTurnResult.Decision.DENY:
                self.denial = response.pre_turn_result.reason

        handlers[_wire.LIFECYCLE_HOOK_PRE_TURN] = decide

    # -- host tools --------------------------------------------------------------------------

    def _listen_to_tools(self) -> None:
        run_tool = self._processor.handle_tool_call
        send_results = self._processor._send_tool_results

        async def listen(call: Any) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._tools_running.add(task)
                task.add_done_callback(self._tools_running.discard)
            where = self._reader.trajectory(call.trajectory_id)
            is_checked = where.is_root and not self._recorded.is_left_to_us(call.id)
            denial = None if is_checked else await self._denial_of(call)
            if denial is None:
                await run_tool(call)
            else:
                self._note(events.ToolDenied(call_id=call.id, reason=denial, at=now()))
                result = types.ToolResult(id=call.id, name=call.name, error=denial)
                await self._processor._send_tool_results([result])

        async def listen_to_results(results: Any) -> None:
            for result in results:
                if result.exception is not None:
                    self._note(_exception_of(result))
            await send_results([_with_words(result) for result in results])

        self._processor.handle_tool_call = listen
        self._processor._send_tool_results = listen_to_results

    async def _denial_of(self, call: Any) -> str | None:
        """Why a subagent may not call a host tool, None if it may.

        Measured: the harness asks for the root agent's calls only, so this enforces the policies.
        """
        deciding(Asked(self, call.id, call, by="nobody"))
        tool_call = types.ToolCall(id=call.id, name=call.name, args=_extract_tool_args(call))
        try:
            asked = self._policy.run(hooks.OperationContext(_NO_TURN), tool_call)
            verdict = await contained_wait(asked)
        except Exception as error:  # noqa: BLE001 - what cannot be decided is denied
            return f"the policy failed: {type(error).__name__}: {error}"
        reason = self._denials.pop(call.id, "")
        return None if verdict.allow else reason or verdict.message or "denied by policy"

    def cancel_tools(self) -> None:
        """Cancel the host tools that run; nobody waits for them any more."""
        current = asyncio.current_task()
        for task in tuple(self._tools_running):
            if task is not current:
                task.cancel()

    async def abandon(self) -> None:
        """End whatever is decided, asked or run for a harness that is gone."""
        await self._processor.cancel_background_tasks()

    # -- questions ---------------------------------------------------------------------------

    def _listen_to_questions(self) -> None:
        ask = self._processor.handle_question_request
        answer = self._processor._send_question_response

        async def listen(update: Any) -> None:
            asking.set(self._question(update))
            answers = self._recorded.answers(update)
            if answers is None:
                await ask(update)
            else:
                await listen_to_answers(update, answers)

        async def listen_to_answers(update: Any, answers: Any) -> None:
            await answer(update, answers)

        self._processor.handle_question_request = listen

    def _question(self, update: Any) -> events.Question:
        """A question in the form in which the reader gives it."""
        return events.Question(
            trajectory=self._reader.trajectory(update.trajectory_id),
            question_id=f"{update.trajectory_id}:{update.step_index}",
            questions=questions_of(update),
        )


def _with_words(result: types.ToolResult) -> types.ToolResult:
    """A tool's result; an error without a word (`assert`) would reach the model as no error."""
    if result.error is None or result.error.strip():
        return result
    error = result.exception
    words = "the tool failed" if error is None else type(error).__name__
    return result.model_copy(update={"error": words})


def _exception_of(result: types.ToolResult) -> events.ToolException:
    """What a tool raised, as a host note: on the wire are only its words."""
    error = result.exception
    return events.ToolException(
        call_id=result.id or "",
        error_type=type(error).__name__,
        message=repr(error)[:MOST_WORDS],
        traceback="".join(traceback.format_exception(error))[-MOST_WORDS:],
        at=now(),
    )
