"""Convert the events of turns to the nodes of a view.

The same nodes are shown live and saved as HTML. Handling an event takes the same time however long
the transcript is. The nodes of a subagent are below the trajectory that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from agy_nb.protocol.events import (
    FINAL,
    Approval,
    Error,
    Event,
    Question,
    State,
    StructuredOutput,
    Text,
    Thought,
    ToolCall,
    ToolException,
    ToolResult,
    TrajectoryState,
    TurnKind,
    TurnState,
    Usage,
    Waiting,
)
from agy_nb.protocol.values import (
    ErrorInfo,
    Message,
    Prompt,
    TextPart,
    TokenUsage,
)
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.markdown.source import quoted
from agy_nb.widgets.markdown.streamed_text import StreamedTexts
from agy_nb.widgets.response import cards, html_values
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Change, TurnControls, Upsert
from agy_nb.widgets.tree.request_rows import RequestRows
from agy_nb.widgets.tree.retry_rows import RetryRows
from agy_nb.widgets.tree.subagents import Subagents
from agy_nb.widgets.tree.tool_rows import ToolRows

_PROGRESS = (Text, Thought, ToolCall, StructuredOutput)
"""Events after which a model call that was repeated has succeeded."""


@dataclass(slots=True)
class _Turn:
    """The state of the current turn."""

    began: float = 0.0
    state: TurnState = TurnState.QUEUED
    usage: TokenUsage | None = None
    refused: str = ""
    last_text: str = ""
    doing: str = ""
    since: float = 0.0
    notice: tuple[str, ErrorInfo] | None = None
    waits: str = ""


class ConversationView:
    """The nodes of one or several turns.

    Args:
        can_retry: Whether each prompt has buttons, e.g. to edit it or to send it again.

    Attributes:
        pending: The approvals and questions that wait for the user, by id.
        prompts: The prompts by node.

    Example:
        >>> transcript = ConversationView()
        >>> transcript.on_event(Text(text="Hi"))
        >>> transcript.html()
        '<div class="agy-node agy-text"><p>Hi</p></div>'
    """

    def __init__(self, *, can_retry: bool = False) -> None:
        self.prompts: dict[str, Prompt] = {}
        self._controls = TurnControls() if can_retry else None
        self._tree = NodeTree()
        self._texts = StreamedTexts(self._tree)
        self._subagents = Subagents(self._tree)
        self._parent = self._subagents.node_of
        self._tools = ToolRows(self._tree, self._subagents, self._texts.close)
        self._requests = RequestRows(self._tree, self._parent, self._tools, self._texts)
        self.pending: dict[str, Approval | Question] = self._requests.pending
        self._retries = RetryRows(self._tree)
        self._turn = _Turn()
        self._footer: tuple[str, TurnState, TokenUsage | None, float | None] | None = None
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            Text: self._write,
            Thought: self._write,
            ToolCall: self._tools.on_call,
            ToolResult: self._tools.on_result,
            ToolException: self._tools.on_exception,
            Approval: self._requests.on_approval,
            Question: self._requests.on_question,
            StructuredOutput: self._output,
            Error: self._error,
            TrajectoryState: self._stopped,
            Usage: self._usage,
            State: self._state,
            Waiting: self._wait,
        }

    # -- input -------------------------------------------------------------------------------

    def begin_turn(self, prompt: Prompt | None = None, kind: TurnKind = "prompt") -> str:
        """Begin a turn.

        Args:
            prompt: The prompt to show; None shows none.
            kind: Whether the user, a trigger or the harness began the turn.

        Returns:
            The node of the prompt, empty if none is shown.
        """
        self._turn = _Turn()
        self._forget_turn()
        self._texts.begin_turn()
        if prompt is None:
            return ""
        label = {"trigger": "Trigger", "wakeup": "Wake-up"}.get(kind, "You")
        node = self._tree.new_id()
        body = cards.prompt(prompt, kind)
        self._tree.upsert(
            Upsert(id=node, kind="prompt", body=body, label=label, turn=self._controls)
        )
        self._texts.write(node, quoted(cards.text_of(prompt)))
        self.prompts[node] = prompt
        return node

    def _forget_turn(self) -> None:
        for rows in (self._subagents, self._tools, self._requests, self._retries):
            rows.begin_turn()

    def on_event(self, event: Event) -> None:
        """Add an event of the current turn; event types without a node are ignored."""
        turn = self._turn
        if self._retries and isinstance(event, _PROGRESS):
            self._retries.end(event.trajectory.id)
        if not turn.began and event.at:
            turn.began = event.at
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
            self._note_activity(event)

    def _note_activity(self, event: Event) -> None:
        """Note what the turn does now, and since when."""
        turn = self._turn
        if isinstance(event, Text):
            doing = "Writing" if event.trajectory.is_root else turn.doing
        elif self._tools.running:
            doing = f"Running {self._tools.running}"
        else:
            doing = "Thinking"
        if doing != turn.doing or isinstance(event, State):
            turn.doing, turn.since = doing, event.at

    def add_history(self, messages: Iterable[Message]) -> None:
        """Add the messages of a history, which has no events."""
        for message in messages:
            parent = self._parent(message.trajectory)
            if message.role == "user":
                node = self._tree.new_id()
                body = html_values.plain(message.content)
                turn = None if parent else self._controls
                self._tree.upsert(
                    Upsert(id=node, parent=parent, kind="prompt", body=body, turn=turn)
                )
                self._texts.write(node, quoted(message.content))
                if not parent:
                    self.prompts[node] = (TextPart(text=message.content),)
            else:
                html = self._texts.render(message.content)
                node = self._tree.add(parent=parent, kind="text", body=html)
                self._texts.write(node, message.content)

    def add_error(self, kind: str, message: str) -> None:
        """Add an error that is not part of a turn."""
        self._tree.add(kind="error", head=cards.error(kind, message))

    def add_notice(self, words: str) -> str:
        """Add a notice at the end, and return its node."""
        return self._tree.add(kind="notice", head=escape(words))

    def add_page(self, title: str, body: str) -> str:
        """Add a page of HTML at the end, such as a comparison, and return its node."""
        return self._tree.add(kind="comparison", head=escape(title), body=body, fold="open")

    def set_controls(self, node: str, controls: TurnControls) -> None:
        """Change what the user can do with a turn."""
        self._tree.set_turn(node, controls)

    def drop(self, node: str) -> None:
        """Remove a node."""
        self._tree.remove(node)
        self._texts.forget(node)

    def clear(self) -> None:
        """Remove all nodes except pending approvals and questions; a running turn continues."""
        waiting = tuple(self.pending.values())
        turn = _Turn(began=self._turn.began, state=self._turn.state, usage=self._turn.usage)
        self._turn = turn
        self.pending.clear()
        self.prompts.clear()
        self._forget_turn()
        self._tree.clear()
        self._texts.clear()
        self._footer = None
        for event in waiting:
            self.on_event(event)

    @property
    def status(self) -> str:
        """The state of the current turn as a label."""
        if self._turn.waits:
            return self._turn.waits
        approvals = any(isinstance(event, Approval) for event in self.pending.values())
        waits_for = ""
        if self.pending and self._turn.state is TurnState.WAITING_FOR_USER:
            waits_for = "Waiting for approval" if approvals else "Waiting for your answer"
        if self._turn.state is TurnState.RUNNING:
            waits_for = self._turn.doing
        return cards.status(self._turn.state, self._turn.usage, waits_for)

    @property
    def since(self) -> float | None:
        """When the current activity began, in seconds since the Unix epoch; None if unknown."""
        return self._turn.since or None

    @property
    def stop_label(self) -> str:
        """The label of the button that ends the turn; empty for the default."""
        return "Give up" if self._turn.waits else ""

    # -- output ------------------------------------------------------------------------------

    def changes(self) -> list[Change]:
        """Return the changes since the last call, in the order in which to apply them."""
        self._texts.flush()
        return self._tree.changes()

    def snapshot(self) -> list[Change]:
        """Return all nodes, for a view that connects late.

        They include the changes that `changes` has not returned yet and will still return. Text
        would be appended twice, so call `changes` first.
        """
        self._texts.flush()
        return self._tree.snapshot()

    def resend(self, node: str) -> None:
        """Include a node in the next `changes` although it has not changed."""
        self._tree.resend(node)

    @property
    def has_backlog(self) -> bool:
        """Whether long text is not rendered yet; each `changes` renders a slice of it."""
        return self._texts.has_backlog

    def catch_up(self) -> None:
        """Render the whole backlog at once."""
        self._texts.catch_up()

    def text(self) -> str:
        """Return the answers without thoughts and cards; a very long text is cut."""
        return self._texts.text()

    def markdown(self) -> str:
        """Return the prompts and answers as Markdown, without HTML and images of a model."""
        return self._texts.markdown()

    def answer(self, prompt: str) -> str:
        """Return the answer below a prompt as Markdown, unchanged.

        Args:
            prompt: The node of the prompt.
        """
        return self._texts.text_after(prompt)

    def html(self) -> str:
        """Render all nodes as HTML, including the text received so far."""
        self._texts.flush()
        return self._tree.html(self._texts.open_blocks())

    # -- texts -------------------------------------------------------------------------------

    def _write(self, event: Text | Thought) -> None:
        thought = isinstance(event, Thought)
        parent = self._parent(event.trajectory)
        if not self._texts.continues(parent, event.step_index, thought=thought):
            self._texts.close(parent)
            self._begin_text(parent, event, thought=thought)
        self._texts.append(parent, event.text)

    def _begin_text(self, parent: str, event: Text | Thought, *, thought: bool) -> None:
        in_answer = not thought and event.trajectory.is_root
        if thought:
            node = self._tree.add(parent=parent, kind="thought", head="Thinking", fold="closed")
        else:
            node = self._tree.add(parent=parent, kind="text")
        if in_answer:
            if self._turn.refused:
                self.drop(self._turn.refused)
                self._turn.refused = ""
            self._turn.last_text = node
        self._texts.begin(parent, node, event.step_index, thought=thought, in_answer=in_answer)

    # -- cards -------------------------------------------------------------------------------

    def _output(self, event: StructuredOutput) -> None:
        parent = self._parent(event.trajectory)
        self._texts.close(parent)
        self._tree.add(parent=parent, kind="text", body=cards.output(event.value))

    def _stopped(self, event: TrajectoryState) -> None:
        if event.stop_reason not in (None, "UNSPECIFIED"):
            parent = self._parent(event.trajectory)
            self._texts.close(parent)
            self._tree.add(parent=parent, kind="notice", head=cards.stopped(event))

    def _error(self, event: Error) -> None:
        parent = self._parent(event.trajectory)
        self._texts.close(parent)
        if event.refused_step is not None and event.trajectory.is_root:
            self._turn.refused, self._turn.last_text = self._turn.last_text, ""
        if not event.fatal and event.error.retryable:
            self._retries.add(event, parent)
            return
        if event.fatal:
            self._drop_notice(event.error)
            self._retries.end(event.trajectory.id)
        node = self._tree.add(
            parent=parent,
            kind="error" if event.fatal else "notice",
            head=cards.error(event.error.type, event.error.message),
        )
        if not event.fatal and event.trajectory.is_root:
            self._turn.notice = node, event.error

    def _drop_notice(self, error: ErrorInfo) -> None:
        """Remove the notice of a failed step when the turn fails with the same error."""
        if self._turn.notice is None:
            return
        node, noticed = self._turn.notice
        if (noticed.type, noticed.http_code) == (error.type, error.http_code):
            self.drop(node)
            self._turn.notice = None

    # -- the end -----------------------------------------------------------------------------

    def _usage(self, event: Usage) -> None:
        known = self._turn.usage
        self._turn.usage = event.usage if known is None else known + event.usage

    def _wait(self, event: Waiting) -> None:
        self._turn.waits = cards.waits(event)
        self._tree.add(kind="notice", head=escape(self._turn.waits))

    def _state(self, event: State) -> None:
        self._turn.state = event.state
        self._turn.waits = ""
        if event.state in FINAL:
            self._end(event.state, event.at)

    def _end(self, state: TurnState, at: float) -> None:
        turn = self._turn
        self._texts.close_all()
        self._tools.end("Stopped" if state is TurnState.CANCELLED else "No result")
        self._retries.end_all()
        if state is TurnState.CANCELLED:
            self._tree.add(kind="notice", head=cards.STOPPED)
        took = at - turn.began if at and turn.began else None
        head = cards.footer(state, turn.usage, took)
        self._footer = self._tree.add(kind="footer", head=head), state, turn.usage, took

    def set_cost(self, words: str) -> None:
        """Show the cost of the last finished turn."""
        if self._footer is not None and words:
            node, state, usage, took = self._footer
            self._tree.upsert(
                Upsert(id=node, kind="footer", head=cards.footer(state, usage, took, words))
            )
