"""Run one session of the SDK turn by turn.

Rule 1: frames of a turn never reach the next turn: after each turn, the connection is read until
it is idle.
Rule 2: frames between turns (of triggers and of subagents that finish late) are read as well.
Rule 3: a harness that has ended is started again for the next prompt, with the same conversation.
The SDK's harness ends after every failed turn.
Rule 4: after `close` no harness is started, and one that is starting is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.antigravity import types

from agy_nb.errors import BackendError, HarnessError, TurnCancelledError, TurnDeniedError
from agy_nb.protocol.events import (
    FINAL,
    AgentStarted,
    Error,
    Event,
    Problem,
    SessionClosed,
    SessionConfigured,
    SessionOpened,
    State,
    Text,
    Thought,
    TrajectoryState,
    TurnBegan,
    UnknownFrame,
)
from agy_nb.protocol.values import Prompt
from agy_nb.sdk.config import sdk_config as configs, workflows
from agy_nb.sdk.config.agent_tools import list_tools
from agy_nb.sdk.config.conversation_files import must_have_content, remove_conversation
from agy_nb.sdk.connection import HarnessConnection
from agy_nb.sdk.context_state import ContextState
from agy_nb.sdk.converters import content_of, token_usage
from agy_nb.sdk.interfaces.agent_clock import Clock, LoopClock
from agy_nb.sdk.interfaces.agent_spec import ToolInfo
from agy_nb.sdk.interfaces.open_session import Restore, Sink, TurnOutcome
from agy_nb.sdk.process import launch, temporary_folders
from agy_nb.sdk.process.connection_clock import ConnectionClock
from agy_nb.sdk.process.executor import run_in_thread
from agy_nb.sdk.session.own_turns import OwnTurns
from agy_nb.sdk.session.sdk_conversation import SdkConversation
from agy_nb.wire.summaries.beginning import beginning_of

SETTLE_S = 5.0
"""Seconds that the connection gets to become idle after a cancelled turn, before it is ended."""

MOST_TEXT = 1_000_000
"""Most characters of one answer or thought, several times the limits of models.

The harness repeats the whole text with each piece, so an endless answer would slow down everything
else.
"""

_SAYS_NOTHING = (
    AgentStarted,
    Problem,
    SessionClosed,
    SessionConfigured,
    SessionOpened,
    TrajectoryState,
    TurnBegan,
    UnknownFrame,
)
"""Events before the first text or action of a turn."""


class SdkSession:
    """One live conversation with the real harness.

    Attributes:
        quota_key: The text model's service and API key.
        conversation: What the SDK knows about the conversation.
        in_turn: Whether events belong to `run_turn`, not to a turn that the harness began.
        is_branch: Whether another agent has the same conversation id.
    """

    def __init__(self, config: Any, sink: Sink, options: launch.StartOptions) -> None:
        self._config = config
        self.quota_key: str = configs.quota_key_of(config)
        self._sink = sink
        self._options = options
        self._state = ContextState()
        self._turn = asyncio.Lock()
        self._cancelled = False
        self.in_turn: bool = False
        self.is_branch = False
        self._must_resume = False
        self._closed = False
        self._heard = False
        self._text: list[str] = []
        self._conversation_id: str | None = config.conversation_id
        self._save_dir_given = config.save_dir is not None and not temporary_folders.is_ours(
            config.save_dir
        )
        self._opened_id: str | None = None
        self.conversation = SdkConversation()
        self._gave_up: BackendError | None = None
        self._insisting: asyncio.Task[None] | None = None
        self._turn_over = asyncio.Event()
        self._successor: asyncio.Task[None] | None = None
        self._first_notes: list[Event] = []
        self._late_notes: list[Event] = []
        self._harness_or_none: HarnessConnection | None = None
        self._is_active = False
        self._clock: ConnectionClock | None = None
        self._own_turns = OwnTurns(
            self._turn, lambda: self._harness, self._turn_under_way, self._sink
        )

    # -- life --------------------------------------------------------------------------------

    @property
    def _harness(self) -> HarnessConnection:
        assert self._harness_or_none is not None
        return self._harness_or_none

    async def start(self) -> None:
        """Start the harness and open the conversation; see `Backend.open`."""
        if self._config.save_dir is None:
            folder = await run_in_thread(temporary_folders.new_folder)
            self._config = self._config.model_copy(update={"save_dir": folder})
        try:
            await self._open_harness()
        except BaseException:
            if self._harness_or_none is None:  # otherwise the conversation may go on later
                await self._remove_folder()
            raise

    async def _remove_folder(self) -> None:
        """Remove the conversation's folder, unless the user passed it."""
        if not self._save_dir_given and self._config.save_dir is not None:
            await run_in_thread(temporary_folders.remove, self._config.save_dir)

    async def _open_harness(self) -> None:
        gone_back = beginning_of(self._late_notes) if self._late_notes else None
        options = replace(self._options, begins=gone_back) if gone_back else self._options
        self._harness_or_none = harness = await HarnessConnection.open(
            self._config, self._on_event, self._on_activity, options, self._state
        )
        self.conversation.harness = harness
        for note in (*self._first_notes, *self._late_notes):
            harness.patches.keep_note(note)
        self._late_notes.clear()
        if self._is_active:
            self._is_active = False
            self._on_activity()

    async def _start_again(self) -> None:
        """Start another harness for the same conversation, unless `cancel` or `close` is called."""
        if self._closed:
            raise HarnessError("the session is closed; create another agent")
        self._successor = asyncio.get_running_loop().create_task(self._open_successor())
        try:
            # `await` on the task itself would raise the same CancelledError whether `cancel` ended
            # the start or this turn was cancelled.
            await asyncio.wait([self._successor])
        except asyncio.CancelledError:
            await self._stop_successor()
            raise
        if self._successor.cancelled():
            raise TurnCancelledError("".join(self._text))
        self._successor.result()

    async def go_back(
        self,
        restore: Restore | None,
        note: Event,
        *,
        turns: int,
        conversation_id: str | None = None,
    ) -> None:
        """Put an earlier state back, and start another harness for it; see `Session.go_back`."""
        async with self._turn:
            path = self._database_of(conversation_id) if conversation_id else self.database
            self._harness.spent = True  # a failure from here on leaves the start to the next prompt
            with contextlib.suppress(Exception):
                await self._harness.close()
            if restore is not None and path is not None:
                await run_in_thread(restore, path)
            if conversation_id:
                self._conversation_id = conversation_id
            if turns < 0:
                self._conversation_id = None
                changes = {"conversation_id": None, "session_continuation_mode": None}
                self._config = self._config.model_copy(update=changes)
            self._late_notes.append(note)
            self._must_resume = True  # an empty conversation would be a wrong history
            await self._start_again()
            self._must_resume = False
            self.conversation.turns_before = max(0, turns)

    async def _open_successor(self) -> None:
        old = self._harness
        # The old harness ends first: two of them would write the same file of the conversation.
        with contextlib.suppress(Exception):
            await old.close()
        changes: dict[str, Any] = {"save_dir": old.save_dir}
        if self._conversation_id:
            if (database := self.database) is not None:
                await run_in_thread(must_have_content, database)
            changes["conversation_id"] = self._conversation_id
            modes = types.SessionContinuationMode
            changes["session_continuation_mode"] = (
                modes.RESUME if self._must_resume else modes.CREATE_OR_RESUME
            )
        self._config = self._config.model_copy(update=changes)
        turns = old.agent.conversation.turn_count
        await self.start()
        if self._clock is not None:
            self._clock.follow(self._clock_of_connection() or LoopClock())
        self.conversation.turns_before += turns  # after the start, which may be cancelled

    async def close(self) -> None:
        """End the conversation and the harness without blocking the loop."""
        self._closed = True
        if self._own_turns.task is not None:
            self._own_turns.task.cancel()
        await self._stop_successor()
        try:
            await self._harness.close()
        finally:
            await self._remove_folder()

    async def _stop_successor(self) -> bool:
        """Cancel the start of another harness, and return whether there was one."""
        if self._successor is None or self._successor.done():
            return False
        self._successor.cancel()
        await asyncio.wait([self._successor])
        return True

    async def delete_state(self) -> None:
        """Remove the conversation's files from `save_dir` and the app-data folder."""
        conversation_id = self.conversation_id or self._opened_id  # the latter before any turn
        if not conversation_id:
            return
        app_data: str | None = self._config.app_data_dir or "~/.gemini/antigravity"
        if self.is_branch:  # its parent has the same id, and so the same folder there
            app_data = None
        await run_in_thread(remove_conversation, self._harness.save_dir, app_data, conversation_id)
        if self._harness.save_dir and not self._save_dir_given:
            await run_in_thread(shutil.rmtree, self._harness.save_dir, ignore_errors=True)

    def note(self, note: Event) -> None:
        """Add an event that never crosses the wire to a recording; see `Session.note`."""
        if isinstance(note, AgentStarted):
            self._first_notes.append(note)  # repeated for each harness of the agent
        # The end of a turn belongs to the harness that ran it, even if that harness has ended.
        # Other notes after its end belong to the harness that is started next.
        is_end = isinstance(note, Error) or (isinstance(note, State) and note.state in FINAL)
        ran_here = self._harness_or_none is not None and is_end and not self._late_notes
        if ran_here or not (self._harness_or_none is None or self._harness.lost):
            self._harness.patches.keep_note(note)
        else:
            self._late_notes.append(note)

    # -- turns -------------------------------------------------------------------------------

    async def run_turn(self, prompt: Prompt) -> TurnOutcome:
        """Send a prompt and wait for the end of the turn; see `Session.run_turn`."""
        content = content_of(prompt)
        self._cancelled = False
        if self._own_turns.task is not None:
            await self._own_turns.over()
        async with self._turn:
            if self._cancelled:  # while it waited for a turn that the harness began
                raise TurnCancelledError("")
            self._gave_up = None
            self._text.clear()
            if self._harness.lost:
                await self._start_again()
            with self._turn_under_way():
                self.in_turn = True
                return await self._run_or_start_again(content)

    @contextlib.contextmanager
    def _turn_under_way(self) -> Iterator[None]:
        self._turn_over = over = asyncio.Event()
        try:
            yield
        finally:
            self.in_turn = False
            over.set()

    async def _run_or_start_again(self, content: Any) -> TurnOutcome:
        """Run the turn. If the harness ends before its first event, start another one and retry."""
        self._heard = False
        self._harness.patches.begin_turn()
        conversation = self._harness.agent.conversation
        counted = conversation.turn_count
        try:
            return await self._run(self._harness, content)
        except HarnessError:
            if self._heard or self._cancelled or self._closed:
                raise
        # The SDK counts the lost try as a turn, if it had sent the prompt before it saw the end.
        self.conversation.turns_before -= conversation.turn_count - counted
        await self._start_again()
        self._harness.patches.begin_turn()
        return await self._run(self._harness, content)

    async def _run(self, harness: HarnessConnection, content: Any) -> TurnOutcome:
        conversation = harness.agent.conversation
        raised: Exception | None = None
        try:
            await conversation.send(content)
            await harness.read()
        # A CancelledError by class, so it must be caught here: `except Exception` below does not
        # see it, and asyncio would take the turn for a cancelled task.
        except types.AntigravityCancelledError:
            self._cancelled = True
        except Exception as error:
            raised = harness.divergence or error
        goes_on = raised is None or self._cancelled or harness.patches.denial is not None
        harness.spent = not await harness.settle(SETTLE_S) or not goes_on
        self._conversation_id = harness.agent.conversation_id or self._conversation_id
        if self._gave_up is not None:
            raise self._gave_up
        if self._cancelled:
            raise TurnCancelledError("".join(self._text))
        if harness.patches.denial is not None and not harness.broken:
            raise TurnDeniedError(harness.patches.denial)
        harness.must_have_succeeded(raised)
        return TurnOutcome(
            stop_reason=harness.stop_reason,
            usage=token_usage(conversation.last_turn_usage),
            structured_output=conversation.get_last_structured_output(),
        )

    async def cancel(self) -> None:
        """Ask the harness to end the turn of `run_turn`; does nothing if none runs.

        A prompt that waits for a turn that the harness began is not sent.
        """
        self._cancelled = True
        if await self._stop_successor() or not self.in_turn or self._harness.lost:
            return
        await self._halt(self._harness)

    async def send_trigger(self, text: str) -> None:
        """Send the text of a trigger; start another harness if the old one has ended."""
        if self._harness.lost:
            async with self._turn:
                if self._harness.lost:
                    await self._start_again()
        await self._harness.connection.send_trigger_notification(text)

    async def cancel_own_turn(self) -> None:
        """Ask the harness to end a turn that it began."""
        if self._own_turns.task is not None and not self.in_turn and not self._harness.lost:
            await self._halt(self._harness)

    async def _halt(self, harness: HarnessConnection) -> None:
        """Ask the harness to stop, and kill it if it does not stop within `SETTLE_S` seconds."""
        # Kept now: when `cancel` has answered, `_turn_over` may be that of the next turn, and its
        # harness would be killed.
        over = self._turn_over
        with contextlib.suppress(Exception):  # a closed connection has also ended the turn
            await harness.agent.conversation.cancel()
        harness.patches.cancel_tools()

        async def insist() -> None:
            try:
                async with asyncio.timeout(SETTLE_S):
                    await over.wait()
            except TimeoutError:
                harness.kill()

        self._insisting = asyncio.get_running_loop().create_task(insist())

    def _on_event(self, event: Event) -> None:
        self._heard = self._heard or not isinstance(event, _SAYS_NOTHING)
        if isinstance(event, SessionOpened):
            self._opened_id = event.conversation_id
        elif isinstance(event, TurnBegan) and event.kind != "prompt":
            if self._harness_or_none is not None:
                self._harness_or_none.patches.expect_turn()
            self._on_activity()
        if isinstance(event, Text) and event.trajectory.is_root:
            self._text.append(event.text)
        self._sink(event)
        if not isinstance(event, Text | Thought) or self._gave_up is not None:
            return
        if self._harness_or_none is None:
            return
        if self._harness.reader.longest > MOST_TEXT:
            self._gave_up = BackendError(
                "the turn was ended, because the model's answer is longer than "
                f"{MOST_TEXT:,} characters. Ask for a shorter answer; the text so far is in "
                "response.partial_text"
            )
            self._harness.kill()  # until it halts, it would send longer and longer frames

    def _on_activity(self) -> None:
        if self._harness_or_none is None:  # a trigger fired during the agent's start
            self._is_active = True
            return
        if not self._turn.locked() and self._own_turns.task is None:
            self._own_turns.begin()

    # -- questions ---------------------------------------------------------------------------

    @property
    def conversation_id(self) -> str | None:
        """The harness's id of the conversation, None before the first turn of a new one."""
        return self._harness.agent.conversation_id or self._conversation_id

    @property
    def database(self) -> Path | None:
        """The harness's file of the conversation; see `Session.database`."""
        return self._database_of(self.conversation_id or self._opened_id)

    def _database_of(self, conversation: str | None) -> Path | None:
        harness = self._harness
        folder = harness.save_dir or self._config.save_dir
        if harness.patches.replay is not None or not (folder and conversation):
            return None
        return Path(folder, f"{conversation}.db")

    @property
    def clock(self) -> Clock | None:
        """The clock of a replayed recording, None to use the event loop's."""
        found = self._clock_of_connection()
        if self._clock is None and found is not None:
            self._clock = ConnectionClock(found)
        return self._clock

    def _clock_of_connection(self) -> Clock | None:
        replay = self._harness.patches.replay
        return None if replay is None else replay.clock

    def sandbox_status(self) -> Any:
        """Return the SDK's `SandboxStatus`, None if the harness does not report one."""
        return getattr(self._harness.agent, "sandbox_status", None)

    async def workflow_prompt(
        self, workflow: Any, script_path: Any, description: str
    ) -> tuple[str, Callable[[], None]]:
        """Return the prompt that runs a workflow; see `Session.workflow_prompt`."""
        return await run_in_thread(
            workflows.prompt_of, self._config, workflow, script_path, description
        )

    def tools(self) -> tuple[ToolInfo, ...]:
        """Return built-in, host and MCP tools."""
        return list_tools(self._config, self._harness.tool_runner)
