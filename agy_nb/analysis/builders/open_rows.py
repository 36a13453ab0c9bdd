"""Rows that are still open: the running turn, trajectories, steps."""

from __future__ import annotations

from collections.abc import Iterable

from agy_nb.analysis.builders.column_buffer import Columns


def span(start: float | None, end: float | None) -> float | None:
    """Return the seconds between two moments; unknown if one is or the clock went back."""
    return None if start is None or end is None or end < start else end - start


class OpenTurnRow:
    """A turn that runs."""

    __slots__ = (
        "calls",
        "chars",
        "code",
        "ended",
        "error_type",
        "errors",
        "first",
        "message",
        "prompted",
        "refused",
        "requests",
        "row",
        "started",
        "status",
        "stop_reason",
        "tools",
        "turn_id",
        "unknown",
        "wait",
    )  # fmt: skip

    def __init__(self, turn_id: int, at: float | None) -> None:
        self.turn_id: int = turn_id
        self.row: int = 0
        self.started: float | None = at
        self.first: float | None = None
        self.ended: float | None = None
        self.status: str | None = "running"
        self.stop_reason: str | None = None
        self.error_type: str | None = None
        self.code: int | None = None
        self.chars: int = 0
        self.calls: int = 0
        self.tools: int = 0
        self.errors: int = 0
        self.requests: int = 0
        self.refused: int = 0
        self.unknown: int = 0
        self.wait: float | None = None
        self.message: int | None = None
        self.prompted: bool = False  # whether its prompt has reached the harness

    def again(self) -> None:
        """Note that the prompt is sent once more."""
        self.prompted = False

    def end(
        self,
        at: float | None,
        status: str | None,
        stop_reason: str | None,
        error_type: str | None,
        code: int | None,
    ) -> None:
        """Close the row; the status may be unknown."""
        self.ended, self.status, self.stop_reason = at, status, stop_reason
        self.error_type, self.code = error_type, code

    def sync(self, columns: Columns) -> None:
        """Write it into its row."""
        columns["turns"].put(
            self.row,
            {
                "response_chars": self.chars,
                "status": self.status,
                "stop_reason": self.stop_reason,
                "error_type": self.error_type,
                "http_code": self.code,
                "first_chunk_at": self.first,
                "ended_at": self.ended,
                "ttft": span(self.started, self.first),
                "duration": span(self.started, self.ended),
                "approval_wait": self.wait,
                "n_model_calls": self.calls,
                "n_requests": self.requests,
                "n_refused": self.refused,
                "n_usage_unknown": self.unknown,
                "n_tool_calls": self.tools,
                "n_errors": self.errors,
            },
        )


class OpenStepRow:
    """A step that may still change."""

    __slots__ = (
        "code", "first", "index", "kind", "last", "message", "row", "said_chars", "source", "state",
        "synced", "target", "text_chars", "texts", "thinking_chars", "thread", "tool", "turn_id",
        "updates",
    )  # fmt: skip

    def __init__(
        self, thread: OpenTrajectoryRow, row: int, index: int, turn_id: int | None, at: float | None
    ) -> None:
        self.thread: OpenTrajectoryRow = thread
        self.row: int = row
        self.index: int = index
        self.turn_id: int | None = turn_id
        self.first: float | None = at
        self.last: float | None = at
        self.kind: str = "unknown"
        self.source: str = "unknown"
        self.target: str = "unknown"
        self.state: str = "unknown"
        self.tool: str | None = None
        self.code: int | None = None
        self.text_chars: int = 0
        self.thinking_chars: int = 0
        self.said_chars: int = 0
        self.updates: int = 0
        self.synced: int = 0
        self.message: int | None = None
        self.texts: list[str] = []


class OpenTrajectoryRow:
    """A trajectory: the agent's own, or a subagent's.

    Steps are kept for the turn in which they were last heard of and the one after it.

    Attributes:
        steps: Those of this turn, by their index.
        unread_results: Keys of the tool calls since the latest metered model call.
        open_calls: Keys of the tool calls without a result.
        closed: The highest step that is not kept any more.
        tokens_before: Reading of its token counter before the session.
        reading: Latest reading of its token counter.
        asking: Whether a request to the model is due or running.
        asked_at: When the request became due.
        answered: Whether an answer has shown whose usage is not known yet.
        began_at: When the request of that answer became due.
        streaming: Whether that answer is not over, as far as is known.
        spoke: Whether that answer has text or thoughts.
        over: Whether that answer is certainly over.
        first_at: When the answer showed first.
        just_metered: Whether usage was the latest event about a request.
        attempt: Number of the next attempt, from 1.
        last_call: Row of the latest metered request.
        subagent: Type of the subagent, None for the agent itself or if unknown.
        tier: Service tier that its requests ask for.
    """

    __slots__ = (
        "_before",
        "_waiting",
        "answered",
        "asked_at",
        "asking",
        "attempt",
        "began_at",
        "calls",
        "closed",
        "depth",
        "first_at",
        "id",
        "just_metered",
        "last",
        "last_call",
        "model",
        "model_source",
        "n_steps",
        "open_calls",
        "over",
        "parent",
        "piece_at",
        "reading",
        "refused",
        "requests",
        "row",
        "spoke",
        "started",
        "state",
        "steps",
        "stop_reason",
        "streaming",
        "subagent",
        "tier",
        "tokens_before",
        "unknown",
        "unread_results",
    )  # fmt: skip

    def __init__(self, thread_id: str, parent: str | None, depth: int, at: float | None) -> None:
        self.id: str = thread_id
        self.parent: str | None = parent
        self.depth: int = depth
        self.row: int = 0
        self.started: float | None = at
        self.last: float | None = at
        self.model: str | None = None
        self.model_source: str = "unknown"
        self.subagent: str | None = None
        self.tier: str | None = None
        self.state: str = "unknown"
        self.stop_reason: str | None = None
        self.n_steps: int = 0
        self.calls: int = 0
        self.requests: int = 0
        self.refused: int = 0
        self.unknown: int = 0
        self.closed: int = -1
        self.piece_at: float | None = None
        self.reading: int | None = None
        self.tokens_before: int | None = None
        self.asking: bool = False
        self.answered: bool = False
        self.streaming: bool = False
        self.just_metered: bool = False
        self.spoke: bool = False
        self.over: bool = False
        self.asked_at: float | None = None
        self.began_at: float | None = None
        self.first_at: float | None = None
        self.attempt: int = 1
        self.last_call: int | None = None
        self.unread_results: list[str] = []
        self.open_calls: set[str] = set()
        self._waiting: list[str] = []
        self.steps: dict[int, OpenStepRow] = {}
        self._before: dict[int, OpenStepRow] = {}

    def find(self, index: int) -> OpenStepRow | None:
        """Return a step that is kept."""
        step = self.steps.get(index)
        if step is None and self._before:
            step = self._before.pop(index, None)
            if step is not None:
                self.steps[index] = step
        return step

    def open_steps(self) -> list[OpenStepRow]:
        """Return the steps that are kept."""
        return [*self._before.values(), *self.steps.values()]

    def next_turn(self) -> Iterable[OpenStepRow]:
        """Forget the steps of the turn before the last one, and give them."""
        over = self._before
        if over:
            self.closed = max(self.closed, *over)
        self._before, self.steps = self.steps, {}
        self.piece_at = None
        return over.values()

    def answering(self) -> None:
        """Mark results as read, because the model has answered."""
        if self.unread_results:
            self._waiting += self.unread_results
            self.unread_results = []

    def metered(self) -> list[str]:
        """Return the keys of tool calls whose results the call that was just metered has read.

        A call may be metered after the tools that it asked for have begun; so tools that nothing
        was said after wait for the next one.
        """
        read, self._waiting, self.unread_results = self._waiting, self.unread_results, []
        return read

    def sync(self, columns: Columns) -> None:
        """Write it into its row."""
        columns["trajectories"].put(
            self.row,
            {
                "parent_trajectory_id": self.parent,
                "depth": self.depth,
                "subagent": self.subagent,
                "model": self.model,
                "model_source": self.model_source,
                "state": self.state,
                "stop_reason": self.stop_reason,
                "started_at": self.started,
                "ended_at": self.last,
                "duration": span(self.started, self.last),
                "n_steps": self.n_steps,
                "n_model_calls": self.calls,
                "n_requests": self.requests,
                "n_refused": self.refused,
                "n_usage_unknown": self.unknown,
                "baseline_total_tokens": self.tokens_before,
                "reported_total_tokens": self.reading,
            },
        )
