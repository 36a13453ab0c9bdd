"""Tells the sink what happens on one connection of the SDK, in the order of the wire.

A `Tap` sits on the step queue and on the event processor of the SDK. It tells of each thing the
moment it arrives, whether or not anybody reads the SDK's own stream.

Rule 1: the tap only looks on; what the SDK does stays as it is, but for the words of a denial.
Rule 2: what decides and fails denies, and says why.
"""

from __future__ import annotations

import asyncio
import contextvars
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
from agy_nb.protocol.values import TokenUsage, Trajectory
from agy_nb.sdk.base import ApprovalDecision, Sink, now
from agy_nb.sdk.contained import EscapedError, contained_wait
from agy_nb.sdk.deciding import Asked, Decided, deciding
from agy_nb.sdk.questions import asking
from agy_nb.sdk.recorded import Recorded, is_asked_of_gate
from agy_nb.sdk.steps import StepReader
from agy_nb.sdk.wire import answer_of, as_json, questions_of, token_usage

SLICE_S = 0.01
"""Seconds that frames may be read in a row."""

_wire: Any = localharness_pb2  # its names are made at run time


class _TappedQueue(asyncio.Queue[Any]):
    """The SDK's step queue, which also tells of each item as it is put."""

    def __init__(self, on_item: Callable[[Any], None]) -> None:
        super().__init__()
        self._on_item = on_item

    def _put(self, item: Any) -> None:
        self._on_item(item)
        super()._put(item)


_NO_TURN = hooks.TurnContext(hooks.SessionContext())


class Tap:
    """Our ear on one connection.

    Args:
        connection: The SDK's connection to the local harness, before anything was read from it.
        reader: Makes events of steps.
        sink: Takes the events.
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
        reader: StepReader,
        sink: Sink,
        on_activity: Callable[[], None],
        policies: Sequence[policy.Policy] = (),
    ) -> None:
        self._policy = policy.enforce(policies, mcp_servers=[])
        self._reader = reader
        self._sink = sink
        self._on_activity = on_activity
        self._label = ""
        self._loop = asyncio.get_running_loop()
        self._slice_began = self._loop.time()
        self._denials: dict[str, str] = {}
        self.decided: dict[str, Decided] = {}
        self._tools_running: set[asyncio.Task[Any]] = set()
        self._connection = connection
        self._processor = connection._processor
        self._recorded = Recorded(connection)
        self._usage = {
            key: token_usage(usage) or TokenUsage()
            for key, usage in connection.trajectory_usages.items()
        }
        self._processor.step_queue = _TappedQueue(self._on_item)
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

    def _on_item(self, item: Any) -> None:
        if isinstance(item, types.Step):
            for event in self._reader.read(item, self._label):
                self._sink(event)
            self._on_activity()

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

    # -- usage and trajectories --------------------------------------------------------------

    def _listen(self) -> None:
        process_event = self._processor.process_event

        async def listen(event: Any) -> None:
            await self._let_others_run()
            self._label = event.step_update.error_message
            await process_event(event)
            if event.HasField("usage_update"):
                self._on_usage(event.usage_update)
            elif event.HasField("trajectory_state_update"):
                update = event.trajectory_state_update
                self._reader.trajectory(
                    update.trajectory_id, update.parent_trajectory_id, update.depth
                )

        self._processor.process_event = listen

    async def _let_others_run(self) -> None:
        """Give the loop a turn now and then: the SDK reads a burst of frames without a pause."""
        if self._loop.time() - self._slice_began > SLICE_S:
            await asyncio.sleep(0)
            self._slice_began = self._loop.time()

    def _on_usage(self, update: Any) -> None:
        """The harness counts up; a call is the difference of two readings."""
        total = token_usage(self._processor.cumulative_usage) or TokenUsage()
        for entry in update.agents:
            reading = token_usage(self._processor.trajectory_usages.get(entry.trajectory_id))
            if reading is None:
                continue
            call = reading - self._usage.get(entry.trajectory_id, TokenUsage())
            self._usage[entry.trajectory_id] = reading
            if not call.is_empty:
                self._sink(
                    events.Usage(
                        trajectory=self._reader.trajectory(entry.trajectory_id),
                        usage=call,
                        trajectory_total=reading,
                        session_total=total,
                        at=now(),
                    )
                )

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
                self._reader.note_caller(call.id, where)
                result = types.ToolResult(id=call.id, name=call.name, error=denial)
                await self._processor._send_tool_results([result])

        async def listen_to_results(results: Any) -> None:
            told = [_with_words(result) for result in results]
            for result in told:
                self._on_tool_result(result)
            await send_results(told)

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

    def _on_tool_result(self, result: types.ToolResult) -> None:
        call_id = result.id or ""
        self._sink(
            events.ToolResult(
                trajectory=self._reader.caller(call_id),
                call_id=call_id,
                name=str(result.name),
                result=None if result.error is not None else as_json(result.result),
                error=result.error,
                at=now(),
            )
        )

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
            asking.set(self._on_question(update, None))
            answers = self._recorded.answers(update)
            if answers is None:
                await ask(update)
            else:
                await listen_to_answers(update, answers)

        async def listen_to_answers(update: Any, answers: Any) -> None:
            await answer(update, answers)
            self._on_question(update, answers)

        self._processor.handle_question_request = listen
        self._processor._send_question_response = listen_to_answers

    def _on_question(self, update: Any, answers: Any) -> events.Question:
        event = events.Question(
            trajectory=self._reader.trajectory(update.trajectory_id),
            question_id=f"{update.trajectory_id}:{update.step_index}",
            questions=questions_of(update),
            answers=None if answers is None else tuple(map(answer_of, answers)),
            at=now(),
        )
        self._sink(event)
        return event


def _with_words(result: types.ToolResult) -> types.ToolResult:
    """A tool's result; an error without a word (`assert`) would reach the model as no error."""
    if result.error is None or result.error.strip():
        return result
    error = result.exception
    words = "the tool failed" if error is None else type(error).__name__
    return result.model_copy(update={"error": words})
