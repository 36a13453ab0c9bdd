"""Convert the events of turns to the nodes of a view.

The same nodes are shown live and saved as HTML. Handling an event takes the same time however long
the transcript is. The nodes of a subagent are below the trajectory that started it.
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
from agy_nb.widgets.markdown.source import quoted
from agy_nb.widgets.markdown.streamed_text import StreamedTexts
from agy_nb.widgets.response import cards
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Change, Upsert

_PROGRESS = (Text, Thought, ToolCall, StructuredOutput)
"""Events after which a model call that was repeated has succeeded."""


@dataclass(slots=True)
class _Call:
    node: str
    parent: str
    call: ToolCall
    result: ToolResult | None = None
    raised: ToolException | None = None
    decision: Approval | None = None


@dataclass(slots=True)
class _SameTool:
    """The calls of one tool in a turn, and the arguments in which they differ."""

    calls: list[_Call] = field(default_factory=list)
    differing: set[str] = field(default_factory=set)

    def add(self, known: _Call) -> bool:
        """Add a call; return whether more arguments differ now."""
        if known not in self.calls:
            self.calls.append(known)
        first, args = self.calls[0].call.args, known.call.args
        before = len(self.differing)
        self.differing |= {key for key in first if key not in args or args[key] != first[key]}
        self.differing |= args.keys() - first.keys()
        return len(self.differing) > before


@dataclass(slots=True)
class _Retries:
    """The failed tries of a model call that the harness repeats."""

    node: str
    errors: list[ErrorInfo]


@dataclass(slots=True)
class _Turn:
    """The state of the current turn."""

    began: float = 0.0
    state: TurnState = TurnState.QUEUED
    usage: TokenUsage | None = None
    subagents: dict[str, str] = field(default_factory=dict)
    calls: dict[str, _Call] = field(default_factory=dict)
    same_tool: dict[tuple[str, str | None], _SameTool] = field(default_factory=dict)
    decisions: dict[str, Approval] = field(default_factory=dict)
    refusals: set[str] = field(default_factory=set)
    cards: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    last_text: str = ""
    notice: tuple[str, ErrorInfo] | None = None
    retries: dict[str, _Retries] = field(default_factory=dict)
    waits: str = ""


class ConversationView:
    """The nodes of one or several turns.

    Attributes:
        pending: The approvals and questions that wait for the user, by id.

    Example:
        >>> transcript = ConversationView()
        >>> transcript.on_event(Text(text="Hi"))
        >>> transcript.html()
        '<div class="agy-node agy-text"><p>Hi</p></div>'
    """

    def __init__(self) -> None:
        self.pending: dict[str, Approval | Question] = {}
        self._tree = NodeTree()
        self._texts = StreamedTexts(self._tree)
        self._turn = _Turn()
        self._footer: tuple[str, TurnState, TokenUsage | None, float | None] | None = None
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
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

    # -- input -------------------------------------------------------------------------------

    def begin_turn(self, prompt: Prompt | None = None, kind: TurnKind = "prompt") -> None:
        """Begin a turn.

        Args:
            prompt: The prompt to show; None shows none.
            kind: Whether the user, a trigger or the harness began the turn.
        """
        self._turn = _Turn()
        self._texts.begin_turn()
        if prompt is not None:
            label = {"trigger": "Trigger", "wakeup": "Wake-up"}.get(kind, "You")
            node = self._add(kind="prompt", body=cards.prompt(prompt, kind), label=label)
            self._texts.write(node, quoted(cards.text_of(prompt)))

    def on_event(self, event: Event) -> None:
        """Add an event of the current turn; event types without a node are ignored."""
        turn = self._turn
        if turn.retries and isinstance(event, _PROGRESS):
            self._end_retries(event.trajectory)
        if not turn.began and event.at:
            turn.began = event.at
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def add_history(self, messages: Iterable[Message]) -> None:
        """Add the messages of a history, which has no events."""
        for message in messages:
            parent = self._parent(message.trajectory)
            if message.role == "user":
                node = self._add(parent=parent, kind="prompt", body=cards.plain(message.content))
                self._texts.write(node, quoted(message.content))
            else:
                html = self._texts.render(message.content)
                node = self._add(parent=parent, kind="text", body=html)
                self._texts.write(node, message.content)

    def add_error(self, kind: str, message: str) -> None:
        """Add an error that is not part of a turn."""
        self._add(kind="error", head=cards.error(kind, message))

    def add_notice(self, words: str) -> None:
        """Add a notice at the end."""
        self._add(kind="notice", head=escape(words))

    def clear(self) -> None:
        """Remove all nodes except pending approvals and questions; a running turn continues."""
        waiting = tuple(self.pending.values())
        turn = _Turn(began=self._turn.began, state=self._turn.state, usage=self._turn.usage)
        self._turn = turn
        self.pending.clear()
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
        return cards.status(self._turn.state, self._turn.usage, waits_for)

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

    def html(self) -> str:
        """Render all nodes as HTML, including the text received so far."""
        self._texts.flush()
        return self._tree.html(self._texts.open_blocks())

    # -- nodes -------------------------------------------------------------------------------

    def _add(self, *, parent: str = "", **parts: str | None) -> str:
        return self._tree.add(parent=parent, **parts)

    def _remove(self, node: str) -> None:
        self._tree.remove(node)
        self._texts.forget(node)

    def _parent(self, where: Trajectory) -> str:
        """Return the parent of a trajectory's nodes; create it for a new subagent."""
        if where.is_root or not where.id:
            return ""
        known = self._turn.subagents.get(where.id)
        if known is None:
            above = self._turn.subagents.get(where.parent_id or "", "")
            head = f"Subagent <span class='agy-dim'>{escape(where.id[:8])}</span>"
            known = self._add(
                parent=above, kind="subagent", head=head, fold="open", label="Subagent"
            )
            self._turn.subagents[where.id] = known
        return known

    # -- texts -------------------------------------------------------------------------------

    def _write(self, event: Text | Thought) -> None:
        thought = isinstance(event, Thought)
        parent = self._parent(event.trajectory)
        if not self._texts.continues(parent, event.step_index, thought=thought):
            self._close_text(parent)
            self._begin_text(parent, event, thought=thought)
        self._texts.append(parent, event.text)

    def _begin_text(self, parent: str, event: Text | Thought, *, thought: bool) -> None:
        in_answer = not thought and event.trajectory.is_root
        if thought:
            node = self._add(parent=parent, kind="thought", head="Thinking", fold="closed")
        else:
            node = self._add(parent=parent, kind="text")
        if in_answer:
            if self._turn.refused:
                self._remove(self._turn.refused)
                self._turn.refused = ""
            self._turn.last_text = node
        self._texts.begin(parent, node, event.step_index, thought=thought, in_answer=in_answer)

    def _close_text(self, parent: str) -> None:
        self._texts.close(parent)

    # -- cards -------------------------------------------------------------------------------

    def _call(self, event: ToolCall) -> None:
        if event.call_id in self._turn.refusals:  # its approval card shows it
            return
        known = self._turn.calls.get(event.call_id)
        if known is None:
            parent = self._parent(event.trajectory)
            self._close_text(parent)
            node = self._tree.new_id()
            known = self._turn.calls[event.call_id] = _Call(node, parent, event)
        else:
            known.call = event
        self._take_decision(known)
        same = self._turn.same_tool.setdefault((event.name, event.server), _SameTool())
        for each in same.calls if same.add(known) else (known,):
            self._show_call(each)

    def _take_decision(self, known: _Call) -> None:
        """Move a decision that allowed a call into the row of the call."""
        decision = self._turn.decisions.pop(known.call.call_id, None)
        if decision is not None:
            known.decision = decision
            self._remove(decision.approval_id)

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
        self._add(parent=parent, kind="text", body=cards.output(event.value))

    def _stopped(self, event: TrajectoryState) -> None:
        if event.stop_reason not in (None, "UNSPECIFIED"):
            parent = self._parent(event.trajectory)
            self._close_text(parent)
            self._add(parent=parent, kind="notice", head=cards.stopped(event))

    def _show_call(self, known: _Call, state: str = "") -> None:
        call, result = known.call, known.result
        ran = result is not None and not result.denied
        wait = result.at - call.at if result is not None and ran and result.at and call.at else None
        self._tree.upsert(
            Upsert(
                id=known.node,
                parent=known.parent,
                kind="tool",
                head=cards.tool(
                    call,
                    result,
                    state,
                    wait,
                    known.raised,
                    decision=known.decision,
                    differing=self._differing(call),
                ),
                body=cards.tool_body(call, result, known.raised, known.decision),
                fold="closed",
            )
        )

    def _differing(self, call: ToolCall) -> set[str]:
        same = self._turn.same_tool.get((call.name, call.server))
        return set() if same is None else same.differing

    def _approval(self, event: Approval) -> None:
        pending = event.state is ApprovalState.PENDING
        self._ask(event.approval_id, event, pending=pending)
        if not pending and event.call_id:
            if event.state is not ApprovalState.ALLOWED:
                self._refuse(event.call_id)
            elif (known := self._turn.calls.get(event.call_id)) is not None:
                known.decision = event
                self._remove(event.approval_id)
                self._show_call(known)
                return
            else:
                self._turn.decisions[event.call_id] = event
        self._tree.upsert(
            Upsert(
                id=event.approval_id,
                parent=self._card_parent(event.approval_id, event.trajectory),
                kind="approval" if pending else "decided",
                head=cards.approval(event),
                body=cards.approval_body(event),
                fold=None if pending else "closed",
                label=f"Approval of {event.tool}",
            )
        )

    def _refuse(self, call_id: str) -> None:
        """Remove the card of a refused call: its approval card shows the call."""
        self._turn.refusals.add(call_id)
        known = self._turn.calls.pop(call_id, None)
        if known is not None:
            self._remove(known.node)

    def _question(self, event: Question) -> None:
        pending = event.answers is None
        self._ask(event.question_id, event, pending=pending)
        self._tree.upsert(
            Upsert(
                id=event.question_id,
                parent=self._card_parent(event.question_id, event.trajectory),
                kind="question" if pending else "answered",
                head="The agent asks" if pending else "Question",
                body=cards.question(event),
                label="Question",
            )
        )

    def _ask(self, key: str, event: Approval | Question, *, pending: bool) -> None:
        if pending:
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
        if not event.fatal and event.error.retryable:
            self._retry(event, parent)
            return
        if event.fatal:
            self._drop_notice(event.error)
            self._end_retries(event.trajectory)
        node = self._add(
            parent=parent,
            kind="error" if event.fatal else "notice",
            head=cards.error(event.error.type, event.error.message),
        )
        if not event.fatal and event.trajectory.is_root:
            self._turn.notice = node, event.error

    def _retry(self, event: Error, parent: str) -> None:
        """Show all tries of a model call in one row."""
        known = self._turn.retries.get(event.trajectory.id)
        if known is None:
            known = self._turn.retries[event.trajectory.id] = _Retries(self._tree.new_id(), [])
        known.errors.append(event.error)
        count = str(event.retry or len(known.errors))
        if event.max_retries is not None:
            count += f" of {event.max_retries}"
        self._show_retries(known, parent, f"Retrying ({count})")

    def _end_retries(self, where: Trajectory) -> None:
        known = self._turn.retries.pop(where.id, None)
        if known is not None:
            words = (
                "Retried once" if len(known.errors) == 1 else f"Retried {len(known.errors)} times"
            )
            self._show_retries(known, self._parent(where), words)

    def _show_retries(self, known: _Retries, parent: str, words: str) -> None:
        self._tree.upsert(
            Upsert(
                id=known.node,
                parent=parent,
                kind="notice",
                head=cards.retries(words, known.errors[-1]),
                body="".join(
                    f"<div>{cards.error(each.type, each.message)}</div>" for each in known.errors
                ),
                fold="closed",
            )
        )

    def _drop_notice(self, error: ErrorInfo) -> None:
        """Remove the notice of a failed step when the turn fails with the same error."""
        if self._turn.notice is None:
            return
        node, noticed = self._turn.notice
        if (noticed.type, noticed.http_code) == (error.type, error.http_code):
            self._remove(node)
            self._turn.notice = None

    # -- the end -----------------------------------------------------------------------------

    def _usage(self, event: Usage) -> None:
        known = self._turn.usage
        self._turn.usage = event.usage if known is None else known + event.usage

    def _wait(self, event: Waiting) -> None:
        self._turn.waits = cards.waits(event)
        self._add(kind="notice", head=escape(self._turn.waits))

    def _state(self, event: State) -> None:
        self._turn.state = event.state
        self._turn.waits = ""
        if event.state in FINAL:
            self._end(event.state, event.at)

    def _end(self, state: TurnState, at: float) -> None:
        turn = self._turn
        self._texts.close_all()
        for known in turn.calls.values():
            if known.result is None:
                self._show_call(known, "Stopped" if state is TurnState.CANCELLED else "No result")
        for where in tuple(turn.retries):
            self._end_retries(Trajectory(id=where))
        if state is TurnState.CANCELLED:
            self._add(kind="notice", head="Stopped. The partial answer was kept.")
        took = at - turn.began if at and turn.began else None
        head = cards.footer(state, turn.usage, took)
        self._footer = self._add(kind="footer", head=head), state, turn.usage, took

    def set_cost(self, words: str) -> None:
        """Show the cost of the last finished turn."""
        if self._footer is not None and words:
            node, state, usage, took = self._footer
            self._tree.upsert(
                Upsert(id=node, kind="footer", head=cards.footer(state, usage, took, words))
            )
