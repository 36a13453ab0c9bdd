"""Conversations that the harness keeps in its `app_data_dir`, as far as they can be read.

A transcript has one line per step: texts, tool calls, and the tokens of each model call.
It does not tell the model, thought tokens, approvals by policies, how a turn ended, or any time but
the second in which a step began; that is unknown in the tables.

Rule 1: `input_tokens` of a transcript leave out cached tokens; the tables include them.
Rule 2: lines are written as steps end; their order is that of `step_index`.
Rule 3: a subagent has a transcript of its own, read where its agent called it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from agy_nb.analysis.builders.agent_builder import AgentBuilder
from agy_nb.analysis.builders.cell_values import brief
from agy_nb.analysis.builders.open_rows import OpenStepRow, OpenTrajectoryRow
from agy_nb.analysis.builders.session_builder import SessionBuilder
from agy_nb.protocol.values import TokenUsage

Line: TypeAlias = dict[str, Any]

NAMES = ("transcript_full.jsonl", "transcript.jsonl")
"""Both hold the same steps; the first has texts and arguments whole."""

_SAID = re.compile(
    r"\A<USER_REQUEST>\n(.*?)\n</USER_REQUEST>"
    r"|\A(?>.*?\n<SYSTEM_MESSAGE>\n)(.*)\n</SYSTEM_MESSAGE>\s*\Z",
    re.DOTALL,
)
_SUBAGENT = re.compile(r'"conversationId":\s*"([0-9a-f]{32})"')
_SENDER = re.compile(r"\[Message\] timestamp=\S+ sender=([0-9a-f]{32}) ")
_SPAN = re.compile(r"\ACreated At: (\S+)\nCompleted At: (\S+)\n")
_FAILED = re.compile(r"\bTool \S+ failed with error message: (.*)", re.DOTALL)
_RESULT = re.compile(r"\A(?>.*?```json\n)(.*)\n```\s*\Z", re.DOTALL)
_TOOLS = {"write_to_file": "edit_file"}
"""Tools that the model knows by other names than the wire."""
_KINDS = {"AGENCY_TOOL_CALL": "host", "MCP_TOOL": "mcp"}
_NO_TOOLS = ("finish", "ask_question")
_CODES = {429: "QuotaExceededError"}


def belongs_to_another(path: Path) -> bool:
    """Return whether a transcript is that of a subagent whose agent has one, too."""
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
            sender = _SENDER.search(str(first.get("content", "")))
    except (OSError, ValueError, AttributeError):
        return False
    return sender is not None and _transcript(path, sender[1]) is not None


def conversation_of(path: Path) -> str:
    """Return the id of a transcript's conversation: the name of its folder below `brain`."""
    return path.absolute().parents[2].name


def _transcript(path: Path, conversation: str) -> Path | None:
    """Return the transcript of another conversation of the same harness."""
    folder = path.absolute().parents[3] / conversation / ".system_generated" / "logs"
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read_transcript(path: Path, session: SessionBuilder) -> None:
    """Add a transcript and those of its subagents to the tables. Never raises for their content.

    Args:
        path: A `transcript_full.jsonl` or `transcript.jsonl` in its place below `brain`.
        session: The builder of its session.
    """
    agent = session.agent(1)
    name = conversation_of(path)
    agent.about(conversation_id=name, state=None, resumed=None)
    reader = _Reader(session, agent)
    reader.read(path, name, None, 0)
    reader.end_turn()
    if not any(thread.calls for thread in agent.threads.values()):
        session.problem("usage_missing", path=str(path), detail="no model call was metered")
    session.about(n_frames=reader.lines)


class _Reader:
    def __init__(self, session: SessionBuilder, agent: AgentBuilder) -> None:
        self._session = session
        self._agent = agent
        self._seen: set[str] = set()
        self._answered = True
        self.lines = 0

    def read(self, path: Path, name: str, parent: str | None, depth: int) -> None:
        """Read the steps of one conversation, in order."""
        self._seen.add(name)
        calls: deque[Line] = deque()
        for index, line in self._steps(path).items():
            try:
                at = _moment(line.get("created_at"))
                if line.get("type") == "USER_INPUT":
                    self._prompt(at, line)
                thread = self._agent.thread(name, at, parent, depth)
                self._step(path, thread, index, at, line, calls)
            except (AttributeError, TypeError, ValueError, KeyError) as error:
                self._problem("damaged", path, f"step {index}: {type(error).__name__}: {error}")
        for call in calls:
            self._tool(self._agent.thread(name, None), call, None, None)

    def _steps(self, path: Path) -> dict[int, Line]:
        from agy_nb.cassette.storage.safe_files import bounded_lines, open_plain

        found: dict[int, Line] = {}
        damaged = 0
        try:
            with open_plain(path) as file:
                for number, raw in enumerate(bounded_lines(file), start=1):
                    self.lines += 1
                    try:
                        line = json.loads(raw)
                        found[int(line["step_index"])] = line
                    except (ValueError, KeyError, TypeError, RecursionError) as error:
                        damaged += 1
                        if damaged == 1:
                            detail = f"{type(error).__name__}: {error}"[:200]
                            self._problem("damaged", path, detail, number)
        except OSError as error:
            self._problem("unreadable", path, str(error.strerror))
        except ValueError as error:
            self._problem("damaged", path, str(error))
        if damaged > 1:
            self._problem("damaged", path, f"{damaged} lines in all")
        return dict(sorted(found.items()))

    def _step(
        self,
        path: Path,
        thread: OpenTrajectoryRow,
        index: int,
        at: float | None,
        line: Line,
        calls: deque[Line],
    ) -> None:
        kind, content = str(line.get("type")), str(line.get("content") or "")
        if kind == "USER_INPUT":
            step = self._row(thread, index, at, "text", "user", "model")
            if step is not None:
                step.text_chars = len(_said(content))
        elif kind == "PLANNER_RESPONSE":
            self._response(thread, index, at, line, content)
            calls.extend(call for call in line.get("tool_calls") or () if "name" in call)
        elif line.get("source") == "MODEL" and calls:
            self._tool(thread, calls.popleft(), index, line | {"content": content})
            for child in _SUBAGENT.findall(content) if kind == "INVOKE_SUBAGENT" else ():
                self._subagent(path, child, thread)
        elif kind == "ERROR_MESSAGE":
            self._error(thread, index, at, line)
        else:
            step = self._row(thread, index, at, "system", "system", "unknown")
            if step is not None and content:
                self._agent.said(step, at, "system", _said(content))

    def _row(
        self,
        thread: OpenTrajectoryRow,
        index: int,
        at: float | None,
        kind: str,
        source: str,
        target: str,
    ) -> OpenStepRow | None:
        step = self._agent.step(thread, index, at)
        if step is not None:
            self._agent.status(thread, step, kind, source, target, "done", 0)
            step.last = None
        return step

    def _prompt(self, at: float | None, line: Line) -> None:
        self.end_turn()
        kind = "prompt" if line.get("source") == "USER_EXPLICIT" else "trigger"
        self._agent.begin_turn(at, prompt=_said(str(line.get("content") or "")), kind=kind)
        self._answered = False

    def _response(
        self, thread: OpenTrajectoryRow, index: int, at: float | None, line: Line, content: str
    ) -> None:
        agent, turn = self._agent, self._agent.turn
        self._answered = True
        thinking = str(line.get("thinking") or "")
        if content or thinking:
            step = self._row(thread, index, at, "text" if content else "thinking", "model", "user")
            if step is not None:
                step.thinking_chars = len(thinking)
                if content:
                    agent.said(step, at, "model", content)
        if turn is not None and not thread.depth:
            turn.chars += len(content)
        thread.answering()
        if "input_tokens" in line or "output_tokens" in line:
            cached, output = line.get("cache_read_tokens", 0), line.get("output_tokens", 0)
            prompt = line.get("input_tokens", 0) + cached
            usage = TokenUsage(
                input_tokens=prompt,
                cache_read_tokens=cached,
                output_tokens=output,
                total_tokens=prompt + output,
            )
            agent.metered(thread, at, usage)
            thread.reading = (thread.reading or 0) + prompt + output
        else:
            agent.lost(thread, at, "cut")

    def _tool(
        self, thread: OpenTrajectoryRow, call: Line, index: int | None, line: Line | None
    ) -> None:
        """Read a tool call, with the step that has its result, None if there is none."""
        agent, name = self._agent, str(call.get("name"))
        content = "" if line is None else str(line["content"])
        span = _SPAN.match(content)
        start, end = (_moment(span[1]), _moment(span[2])) if span else (None, None)
        if name == "finish" and index is not None:
            self._row(thread, index, start, "finish", "model", "environment")
        if name == "ask_question":
            number = f"question-1-{thread.id}:{index}"
            agent.asked(number, thread.id, start, kind="question", tool=None)
            agent.decided(number, None, "pending" if line is None else "answered")
        if name in _NO_TOOLS:
            return
        kind = None if line is None else str(line.get("type"))
        key = f"{thread.id}:{index}:{name}"
        tool = _TOOLS.get(name, name)
        agent.tool_began(
            thread, key, start, tool=tool, kind=_kind(kind), match="step" if line else "none",
            args=brief(call.get("args") or {}), index=index,
        )  # fmt: skip
        if line is None or index is None:
            agent.tool_about(key, status=None)
            return
        step = self._row(thread, index, start, "tool_call", "model", "environment")
        if step is not None:
            step.tool = tool
        failed = _FAILED.search(content)
        error = line.get("error") or (failed[1] if failed else None)
        status = "ok" if error is None else "error"
        if str(error).startswith("denied by"):
            status = "denied"
        result = _RESULT.search(content)
        agent.tool_ended(
            key, end, status, error=None if error is None else str(error)[:500],
            result_chars=len(result[1]) if result else None,
            duration=None,  # whole seconds are none
        )  # fmt: skip

    def _subagent(self, path: Path, child: str, thread: OpenTrajectoryRow) -> None:
        found = _transcript(path, child)
        if found is None:
            self._problem("partial", path, f"the transcript of its subagent {child} is missing")
        elif child not in self._seen:
            self.read(found, child, thread.id, thread.depth + 1)

    def _error(self, thread: OpenTrajectoryRow, index: int, at: float | None, line: Line) -> None:
        code = int(line.get("error_code") or 0)
        step = self._agent.step(thread, index, at)
        if step is not None:
            self._agent.status(thread, step, "system", "system", "unknown", "error", code)
            step.last = None
        self._agent.error(
            thread.id, at, str(line.get("error") or line.get("content") or ""), step_index=index,
            error_type=_CODES.get(code, "BackendError" if code else None), http_code=code or None,
        )  # fmt: skip

    def end_turn(self) -> None:
        """Close the turn; its status is unknown."""
        if self._agent.turn is None:
            return
        if not self._answered:
            self._agent.lost(next(iter(self._agent.threads.values())), None, "cut")
        self._agent.end_turn(None, None)

    def _problem(self, what: str, path: Path, detail: str, line: int | None = None) -> None:
        self._session.problem(what, path=str(path), detail=detail, line=line)


def _said(content: str) -> str:
    """Return the text without the wrapping that the harness adds for the model."""
    said = _SAID.search(content)
    return content if said is None else said[1] or said[2] or ""


def _kind(step: str | None) -> str | None:
    if step is None or step == "ERROR_MESSAGE":
        return None
    return _KINDS.get(step, "builtin")


def _moment(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
