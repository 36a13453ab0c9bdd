"""Events of turns become nodes of a view. No I/O: the same nodes are shown live and kept as HTML.

Rule 1: an event costs the same however long the transcript is.
Rule 2: a subagent's nodes are in a thread of their own, below the trajectory that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from agy_nb.protocol.events import (
    FINAL,
    Approval,
    ApprovalState,
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
from agy_nb.protocol.values import ErrorInfo, Message, Prompt, TokenUsage, Trajectory
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.markdown.streamed_text import StreamedTexts
from agy_nb.widgets.response import cards
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Change, Upsert


@dataclass(slots=True)
class _Call:
    node: str
    parent: str
    call: ToolCall
    result: ToolResult | None = None
    raised: ToolException | None = None


@dataclass(slots=True)
class _Turn:
    """What is known of the turn that runs."""

    began: float = 0.0
    state: TurnState = TurnState.QUEUED
    usage: TokenUsage | None = None
    threads: dict[str, str] = field(default_factory=dict)
    calls: dict[str, _Call] = field(default_factory=dict)
    refusals: set[str] = field(default_factory=set)
    cards: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    last_text: str = ""
    notice: tuple[str, ErrorInfo] | None = None
    waits: str = ""


class ConversationView:
    r"""The nodes of one turn, or of several one after the other.

    Attributes:
        pending: Ids of the approvals and questions that wait for somebody.

    Example:
        >>> transcript = ConversationView()
        >>> transcript.on_event(Text(text="Hi"))
        >>> transcript.html()
        '<div class="agy-node agy-text"><div class="agy-node agy-block"><p>Hi</p>\n</div></div>'
    """

    def __init__(self) -> None:
        self.pending: dict[str, Approval | Question] = {}
        self._sheet = NodeTree()
        self._writings = StreamedTexts(self._sheet)
        self._turn = _Turn()
        self._footer: tuple[str, TurnState, TokenUsage | None, float | None] | None = None
        self._takes: dict[type[Event], Callable[[Any], None]] = {
            Text: self._write,
            Thought: self._write,
            ToolCall: self._call,
            ToolResult: self._result,
            ToolException: self._exception,
            Approval: self._approval,
            Question: self._question,
            StructuredOutput: self._output,
            Error: self._error,
            TrajectoryState: self._stopped,
            Usage: self._usage,
            State: self._state,
            Waiting: self._wait,
        }

    # -- what comes in -----------------------------------------------------------------------

    def begin(self, prompt: Prompt | None = None, kind: TurnKind = "prompt") -> None:
        """Another turn begins; its prompt is shown when it is given.

        Args:
            prompt: What began it.
            kind: Who began it.
        """
        self._turn = _Turn()
        self._writings.begin_turn()
        if prompt is not None:
            label = {"trigger": "Trigger", "wakeup": "Wake-up"}.get(kind, "You")
            self._new(kind="prompt", body=cards.prompt(prompt, kind), label=label)

    def on_event(self, event: Event) -> None:
        """Take an event of the turn that runs; one that is not for a reader changes nothing."""
        turn = self._turn
        if not turn.began and event.at:
            turn.began = event.at
        take = self._takes.get(type(event))
        if take is not None:
            take(event)

    def tell(self, messages: Iterable[Message]) -> None:
        """What was said before there were any events: the messages of a history."""
        for message in messages:
            parent = self._parent(message.trajectory)
            if message.role == "user":
                self._new(parent=parent, kind="prompt", body=cards.plain(message.content))
            else:
                html = self._writings.whole(message.content)
                self._new(parent=parent, kind="text", body=html)

    def fail(self, kind: str, message: str) -> None:
        """Something went wrong that belongs to no turn."""
        self._new(kind="error", head=cards.error(kind, message))

    def note(self, words: str) -> None:
        """Say something of the conversation below what there is of it."""
        self._new(kind="notice", head=escape(words))

    def clear(self) -> None:
        """Forget all nodes but what waits for somebody; a turn that runs goes on below."""
        waiting = tuple(self.pending.values())
        turn = _Turn(began=self._turn.began, state=self._turn.state, usage=self._turn.usage)
        self._turn = turn
        self.pending.clear()
        self._sheet.clear()
        self._writings.clear()
        self._footer = None
        for event in waiting:
            self.on_event(event)

    @property
    def status(self) -> str:
        """How the turn that runs stands, in words."""
        if self._turn.waits:
            return self._turn.waits
        approvals = any(isinstance(event, Approval) for event in self.pending.values())
        waits_for = ""
        if self.pending and self._turn.state is TurnState.WAITING_FOR_USER:
            waits_for = "Waiting for approval" if approvals else "Waiting for your answer"
        return cards.status(self._turn.state, self._turn.usage, waits_for)

    @property
    def stop_label(self) -> str:
        """What the button that ends the turn says, empty for its usual words."""
        return "Give up" if self._turn.waits else ""

    # -- what goes out -----------------------------------------------------------------------

    def changes(self) -> list[Change]:
        """What is new since the last call, in the order in which to apply it."""
        self._writings.grow()
        return self._sheet.changes()

    def snapshot(self) -> list[Change]:
        """All nodes as they stand: what a view needs that comes late.

        What was not yet given by `changes` is in it, too, and is still given there: applying that
        twice does no harm to nodes, so a view that comes late begins with an empty list of changes.
        """
        self._writings.grow()
        return self._sheet.snapshot()

    def renew(self, node: str) -> None:
        """Give a node again at the next `changes`, though it is the same."""
        self._sheet.renew(node)

    @property
    def behind(self) -> bool:
        """Whether there is long text that was not read; each `changes` takes a slice of it."""
        return self._writings.behind

    def catch_up(self) -> None:
        """Read all that is behind, at once."""
        self._writings.catch_up()

    def text(self) -> str:
        """What was written, without thoughts and cards; of what is very long, the beginning."""
        return self._writings.text()

    def html(self) -> str:
        """The nodes as one piece of HTML; what still grows is rendered as far as it has come."""
        self._writings.grow()
        return self._sheet.html(self._writings.rest())

    # -- nodes -------------------------------------------------------------------------------

    def _new(self, *, parent: str = "", **parts: str | None) -> str:
        return self._sheet.new(parent=parent, **parts)

    def _drop(self, node: str) -> None:
        self._sheet.drop(node)
        self._writings.forget(node)

    def _parent(self, where: Trajectory) -> str:
        """The node that a trajectory's nodes go into; made for a subagent's first one."""
        if where.is_root or not where.id:
            return ""
        known = self._turn.threads.get(where.id)
        if known is None:
            above = self._turn.threads.get(where.parent_id or "", "")
            head = f"Subagent <span class='agy-dim'>{escape(where.id[:8])}</span>"
            known = self._new(parent=above, kind="thread", head=head, fold="open", label="Subagent")
            self._turn.threads[where.id] = known
        return known

    # -- texts -------------------------------------------------------------------------------

    def _write(self, event: Text | Thought) -> None:
        thought = isinstance(event, Thought)
        parent = self._parent(event.trajectory)
        if not self._writings.goes_on(parent, event.step_index, thought=thought):
            self._close_text(parent)
            self._begin_text(parent, event, thought=thought)
        self._writings.feed(parent, event.text)

    def _begin_text(self, parent: str, event: Text | Thought, *, thought: bool) -> None:
        told = not thought and event.trajectory.is_root
        if thought:
            node = self._new(parent=parent, kind="thought", head="Thinking", fold="closed")
        else:
            node = self._new(parent=parent, kind="text")
        if told:
            if self._turn.refused:
                self._drop(self._turn.refused)
                self._turn.refused = ""
            self._turn.last_text = node
        self._writings.begin(parent, node, event.step_index, thought=thought, told=told)

    def _close_text(self, parent: str) -> None:
        self._writings.close(parent)

    # -- cards -------------------------------------------------------------------------------

    def _call(self, event: ToolCall) -> None:
        if event.call_id in self._turn.refusals:  # the card of its approval shows it
            return
        known = self._turn.calls.get(event.call_id)
        if known is None:
            parent = self._parent(event.trajectory)
            self._close_text(parent)
            node = self._sheet.name()
            known = self._turn.calls[event.call_id] = _Call(node, parent, event)
        else:
            known.call = event
        self._show_call(known)

    def _result(self, event: ToolResult) -> None:
        known = self._turn.calls.get(event.call_id)
        if known is not None:
            known.result = event
            self._show_call(known)

    def _exception(self, event: ToolException) -> None:
        known = self._turn.calls.get(event.call_id)
        if known is not None:
            known.raised = event
            self._show_call(known)

    def _output(self, event: StructuredOutput) -> None:
        parent = self._parent(event.trajectory)
        self._close_text(parent)
        self._new(parent=parent, kind="text", body=cards.output(event.value))

    def _stopped(self, event: TrajectoryState) -> None:
        if event.stop_reason not in (None, "UNSPECIFIED"):
            parent = self._parent(event.trajectory)
            self._close_text(parent)
            self._new(parent=parent, kind="notice", head=cards.stopped(event))

    def _show_call(self, known: _Call, state: str = "") -> None:
        call, result = known.call, known.result
        ran = result is not None and not result.denied
        wait = result.at - call.at if result is not None and ran and result.at and call.at else None
        self._sheet.put(
            Upsert(
                id=known.node,
                parent=known.parent,
                kind="tool",
                head=cards.tool(call, result, state, wait, known.raised),
                body=cards.tool_body(call, result, known.raised),
                fold="closed",
            )
        )

    def _approval(self, event: Approval) -> None:
        waits = event.state is ApprovalState.PENDING
        self._ask(event.approval_id, event, waits=waits)
        if not waits and event.state is not ApprovalState.ALLOWED and event.call_id:
            self._refuse(event.call_id)
        self._sheet.put(
            Upsert(
                id=event.approval_id,
                parent=self._card_parent(event.approval_id, event.trajectory),
                kind="approval" if waits else "decided",
                head=cards.approval(event),
                body=cards.approval_body(event),
                fold=None if waits else "closed",
                label=f"Approval of {event.tool}",
            )
        )

    def _refuse(self, call_id: str) -> None:
        """Show a call that was refused once, by the card of its approval."""
        self._turn.refusals.add(call_id)
        known = self._turn.calls.pop(call_id, None)
        if known is not None:
            self._drop(known.node)

    def _question(self, event: Question) -> None:
        waits = event.answers is None
        self._ask(event.question_id, event, waits=waits)
        self._sheet.put(
            Upsert(
                id=event.question_id,
                parent=self._card_parent(event.question_id, event.trajectory),
                kind="question" if waits else "answered",
                head="The agent asks" if waits else "Question",
                body=cards.question(event),
                label="Question",
            )
        )

    def _ask(self, key: str, event: Approval | Question, *, waits: bool) -> None:
        if waits:
            self.pending[key] = event
        else:
            self.pending.pop(key, None)

    def _card_parent(self, key: str, where: Trajectory) -> str:
        parent = self._turn.cards.get(key)
        if parent is None:
            parent = self._turn.cards[key] = self._parent(where)
            self._close_text(parent)
        return parent

    def _error(self, event: Error) -> None:
        parent = self._parent(event.trajectory)
        self._close_text(parent)
        if event.refused_step is not None and event.trajectory.is_root:
            self._turn.refused, self._turn.last_text = self._turn.last_text, ""
        if event.fatal:
            self._drop_notice(event.error)
        node = self._new(
            parent=parent,
            kind="error" if event.fatal else "notice",
            head=cards.error(event.error.type, event.error.message),
        )
        if not event.fatal and event.trajectory.is_root:
            self._turn.notice = node, event.error

    def _drop_notice(self, error: ErrorInfo) -> None:
        """A turn fails with the last step that failed: it is told once."""
        if self._turn.notice is None:
            return
        node, noticed = self._turn.notice
        if (noticed.type, noticed.http_code) == (error.type, error.http_code):
            self._drop(node)
            self._turn.notice = None

    # -- the end -----------------------------------------------------------------------------

    def _usage(self, event: Usage) -> None:
        known = self._turn.usage
        self._turn.usage = event.usage if known is None else known + event.usage

    def _wait(self, event: Waiting) -> None:
        self._turn.waits = cards.waits(event)
        self._new(kind="notice", head=escape(self._turn.waits))

    def _state(self, event: State) -> None:
        self._turn.state = event.state
        self._turn.waits = ""
        if event.state in FINAL:
            self._end(event.state, event.at)

    def _end(self, state: TurnState, at: float) -> None:
        turn = self._turn
        self._writings.close_all()
        for known in turn.calls.values():
            if known.result is None:
                self._show_call(known, "Stopped" if state is TurnState.CANCELLED else "No result")
        if state is TurnState.CANCELLED:
            self._new(kind="notice", head="Stopped. The partial answer was kept.")
        took = at - turn.began if at and turn.began else None
        head = cards.footer(state, turn.usage, took)
        self._footer = self._new(kind="footer", head=head), state, turn.usage, took

    def set_cost(self, words: str) -> None:
        """Say what the last turn that ended has cost."""
        if self._footer is not None and words:
            node, state, usage, took = self._footer
            self._sheet.put(
                Upsert(id=node, kind="footer", head=cards.footer(state, usage, took, words))
            )
