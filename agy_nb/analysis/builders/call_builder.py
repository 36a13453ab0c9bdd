"""Builds rows of one agent: its requests to the model, one row per attempt.

The wire reports the tokens of a request after its answer. It does not report requests, so this
module infers them. Each trajectory of an agent makes one request at a time:

1. A request is due at the start of a turn, after the results of tools, and after a failed attempt.
2. Output of the model, or an error of the harness about it, shows that the request was answered.
3. Usage ends the request: its tokens are known. Usage can come after the first events of the tools
   that the answer calls, but not after the next answer.
4. The next request is sent after the results of all tools that the answer calls. The harness can
   announce calls of one answer after the results of others, and after its usage.

If a request was answered and the next answer or the end of the turn comes before its usage, its
tokens are unknown: they were spent, and no sum includes them. `read.model_requests` reads the
recorded HTTP requests, which correct these rows.
"""

from __future__ import annotations

import re
from typing import Any

from agy_nb.analysis.builders.open_rows import OpenTrajectoryRow, span
from agy_nb.analysis.builders.tool_builder import RowSink, ToolBuilder
from agy_nb.analysis.schema import UNREPORTED
from agy_nb.protocol.values import ModalityTokens, TokenUsage

TOOLS_WITH_REQUESTS = frozenset({"generate_image", "search_web"})
"""Built-in tools that send a request to a model. The harness does not report its usage."""

_CONNECTION_LOST = re.compile(
    r"network issue|unexpected EOF|connection reset|broken pipe", re.IGNORECASE
)
_NEVER_SENT = re.compile(r"connection refused|no such host|dial tcp", re.IGNORECASE)
_GIVEN_UP = "agent executor error"
"""In the words of an error after which the harness does not try again."""
_MODALITIES = ("text", "image", "audio", "video")


class CallBuilder(ToolBuilder):
    """Builds the rows of an agent's requests to the model.

    Attributes:
        threads: Its trajectories, by the harness's id.
    """

    def __init__(self, session: RowSink, agent_id: int) -> None:
        super().__init__(session, agent_id)
        self.threads: dict[str, OpenTrajectoryRow] = {}

    # -- when a request is due ---------------------------------------------------------------

    def request_due(self, thread: OpenTrajectoryRow, at: float | None) -> None:
        """Note that the harness sends a request next."""
        thread.asking = True
        thread.asked_at = at
        thread.streaming = thread.just_metered = False

    def turn_asks(self, at: float | None) -> None:
        """Note that the agent's own trajectory sends a request, at the start of a turn."""
        for thread in self.threads.values():
            if not thread.depth:
                self.request_due(thread, at)
                thread.attempt = 1
                thread.open_calls.clear()

    def answers(self, thread: OpenTrajectoryRow, at: float | None, *, spoke: bool = True) -> None:
        """Note that an answer of the model begins, with text or thoughts or (`spoke`) without."""
        if thread.answered:  # by an earlier answer whose usage never came
            self.lost(thread, at, "usage_unknown")
        thread.answered = thread.streaming = True
        thread.just_metered = thread.over = False
        thread.spoke = spoke
        thread.began_at = thread.asked_at
        thread.first_at = at

    def announces(self, thread: OpenTrajectoryRow, at: float | None) -> None:
        """Note that an answer calls a tool: the answer that shows, or a new one."""
        if thread.just_metered:
            return
        if not thread.answered or thread.over:
            self.answers(thread, at, spoke=False)

    # -- how a request ends ------------------------------------------------------------------

    def metered(self, thread: OpenTrajectoryRow, at: float | None, usage: TokenUsage) -> None:
        """Add a request with its usage."""
        row = self._add(thread, at, "metered", usage)
        self.session.n_metered += 1
        thread.last_call = row
        # Late usage comes when the next request is due.
        is_late = thread.answered and not thread.streaming
        thread.asking = thread.asking and is_late
        thread.answered = thread.streaming = False
        thread.just_metered = not is_late
        thread.attempt = 1

    def failed(self, thread: OpenTrajectoryRow, at: float | None, code: int, words: str) -> None:
        """Take an error of the harness about the model's answer."""
        if code:
            if thread.answered:
                self.lost(thread, at, "cut" if thread.streaming else "usage_unknown")
            self.lost(thread, at, "refused", code)
        elif _CONNECTION_LOST.search(words) or _NEVER_SENT.search(words):
            self._connection_lost(thread, at, sent=not _NEVER_SENT.search(words))
        elif not thread.just_metered:
            self.announces(thread, at)  # its usage may still come
            thread.over = True
        self.request_due(thread, at)
        thread.asking = _GIVEN_UP not in words

    def _connection_lost(self, thread: OpenTrajectoryRow, at: float | None, *, sent: bool) -> None:
        if thread.just_metered and thread.last_call is not None:  # the answer went on after that
            self._columns["model_calls"].put(thread.last_call, {"status": "cut"})
            thread.attempt = 2
            self._count(thread, calls=-1, unknown=1)
            self.session.n_metered -= 1
        elif sent:
            self.lost(thread, at, "cut")
        else:
            self.lost(thread, at, "refused")

    def results_read(
        self, thread: OpenTrajectoryRow, at: float | None, tool: str, *, denied: bool
    ) -> None:
        """Note that a tool has answered, and that the model reads the result next."""
        if tool in TOOLS_WITH_REQUESTS and not denied:
            self._add(thread, at, "usage_unknown", None, tool=tool)
        if thread.just_metered or not thread.asking:
            self.request_due(thread, at)
        else:
            thread.asked_at, thread.streaming = at, False

    def tool_step_done(self, thread: OpenTrajectoryRow) -> None:
        """Note that the harness has taken the result of a tool. It asks the model only after that.

        If the answer has text, tools can be done while the harness still reads the answer.
        """
        if thread.answered and not thread.spoke and not thread.open_calls:
            thread.over = True

    def at_rest(self, thread: OpenTrajectoryRow, at: float | None, *, failed: bool = True) -> None:
        """Close the request of a trajectory that has stopped.

        Args:
            thread: The trajectory.
            at: When.
            failed: Whether it may have stopped without an answer; if not, a request was cut off.
        """
        if thread.answered:
            self.lost(thread, at, "usage_unknown")
        elif thread.asking and not failed:
            self.lost(thread, at, "cut")
        thread.asking = False
        thread.open_calls.clear()

    def halted(self, at: float | None) -> None:
        """Close every request of a turn that was cancelled. Running tools send none."""
        if self.turn is not None and not self.turn.requests and not self.threads:
            self._add(None, at, "cut", None)  # before the first event of the harness
        busy = {thread_id for thread_id, _ in self.running_tools()}
        for thread in self.threads.values():
            if thread.answered:
                self.lost(thread, at, "cut" if thread.streaming else "usage_unknown")
            if thread.asking and thread.id not in busy:
                self.lost(thread, at, "cut")
            thread.asking = False
        for thread_id, tool in self.running_tools():
            if tool in TOOLS_WITH_REQUESTS:
                self._add(self.threads.get(thread_id), at, "cut", None, tool=tool)

    # -- rows --------------------------------------------------------------------------------

    def lost(
        self, thread: OpenTrajectoryRow, at: float | None, status: str, code: int | None = None
    ) -> None:
        """Add a request without usage."""
        self._add(thread, at, status, None, http_status=code)
        thread.answered = thread.streaming = thread.just_metered = False
        thread.attempt = 1 if status == "usage_unknown" else thread.attempt + 1
        if status != "usage_unknown":
            thread.asking = False

    def _add(
        self,
        thread: OpenTrajectoryRow | None,
        at: float | None,
        status: str,
        usage: TokenUsage | None,
        *,
        http_status: int | None = None,
        tool: str | None = None,
    ) -> int:
        number = self.session.number("model_calls")
        row: dict[str, Any] = {
            **self._ids,
            "call_index": number,
            "turn_id": self.turn_id,
            "depth": 0,
            "tool": tool,
            "status": status,
            "http_status": http_status,
            "at": at,
            "ended_at": at,
            "timing": "wire",
            "model_source": "unknown",
        }
        if thread is not None:
            row["trajectory_id"], row["depth"] = thread.id, thread.depth
            if tool is None:
                began = thread.began_at if thread.answered else thread.asked_at
                row |= {
                    "attempt": thread.attempt,
                    "model": thread.model,
                    "model_source": thread.model_source,
                    "requested_tier": thread.tier,
                    "started_at": began,
                    "first_token_at": thread.first_at,
                    "duration": span(began, at),
                    "ttft": span(began, thread.first_at),
                }
                thread.first_at = None
                if status in ("metered", "usage_unknown"):
                    for key in thread.metered():
                        self.read_by(key, number)
            self._count(
                thread,
                calls=status == "metered",
                requests=1,
                refused=status == "refused",
                unknown=status in UNREPORTED,
            )
        elif self.turn is not None:
            self.turn.requests += 1
            self.turn.unknown += 1
        if usage is not None:
            row |= token_columns(usage)
        return self._columns["model_calls"].add(row)

    def _count(
        self,
        thread: OpenTrajectoryRow,
        *,
        calls: int = 0,
        requests: int = 0,
        refused: int = 0,
        unknown: int = 0,
    ) -> None:
        for each in (thread, self.turn):
            if each is not None:
                each.calls += calls
                each.requests += requests
                each.refused += refused
                each.unknown += unknown


def token_columns(usage: TokenUsage) -> dict[str, Any]:
    """Return the token columns of a row of `model_calls`."""
    uncached = None
    if usage.input_tokens is not None and usage.cache_read_tokens is not None:
        uncached = max(0, usage.input_tokens - usage.cache_read_tokens)
    row: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "uncached_input_tokens": uncached,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "tool_use_tokens": usage.tool_use_tokens,
        "total_tokens": usage.total_tokens,
        "service_tier": usage.service_tier,
    }
    if usage.has_details:
        row |= _by_modality("input", usage.input_details)
        row |= _by_modality("cache_read", usage.cache_details)
        row |= _by_modality("output", usage.output_details)
        row |= _by_modality("tool_use", usage.tool_use_details)
    return row


def _by_modality(kind: str, details: tuple[ModalityTokens, ...]) -> dict[str, int]:
    if not details:
        return {}
    found = {f"{kind}_{modality}_tokens": 0 for modality in _MODALITIES}
    for each in details:
        name = f"{kind}_{each.modality}_tokens"
        if name in found:
            found[name] += each.tokens
    return found
