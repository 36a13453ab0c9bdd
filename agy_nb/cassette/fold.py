"""What a session's frames add up to: the same for two recordings of one script.

The harness sends frames of one session in an order that differs from run to run, some of them
twice. What they add up to does not: per turn the prompt, the last state of every step, the calls of
host tools with their results, the answers to hooks and policies; at the end the usage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from agy_nb.cassette.canonical import config_digest
from agy_nb.cassette.format import Frame, Line
from agy_nb.cassette.recording import RecordedSession
from agy_nb.wire.frames import kind_of, paths_of

Fold: TypeAlias = dict[str, Any]
"""JSON data: `config`, `turns`, `usage`, `end`."""

_DELTAS = frozenset({"textDelta", "thinkingDelta", "seqNum", "timestampMicros"})
_IDS = frozenset(
    {"cascadeId", "trajectoryId", "parentTrajectoryId", "id", "callId", "requestId", "clientId"}
)
_CHANCE = re.compile(
    r"(?P<id>\b[0-9a-f]{32}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<port>(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+)"
)


class Folder:
    """Adds up the frames of one session, one at a time, in memory of what they add up to."""

    def __init__(self) -> None:
        self._config = ""
        self._paths: list[tuple[str, str]] = []
        self._turns: list[_Turn] = [_Turn(None)]
        self._steps: dict[tuple[str, int], _Turn] = {}
        self._calls: dict[str, _Turn] = {}
        self._asked: dict[str, tuple[_Turn, Frame]] = {}
        self._total: Any = None
        self._agents: dict[str, Any] = {}

    def client(self, frame: Frame) -> None:
        """Take a frame of the client."""
        kind = kind_of(frame)
        body = frame.get(kind)
        if kind == "config":
            self._config = config_digest(frame)
            paths = paths_of(frame).items()
            self._paths = sorted(((p, f"<{n}>") for n, p in paths), key=lambda item: -len(item[0]))
        elif kind in ("userInput", "automatedTrigger"):
            self._turns.append(_Turn(self._clean(body)))
        elif kind == "haltRequest":
            self._turns[-1].halted = True
        elif kind == "toolResponse" and isinstance(body, dict):
            call_id = str(body.get("id"))
            turn = self._calls.get(call_id, self._turns[-1])
            turn.calls.setdefault(call_id, {})["result"] = self._clean(body)
        elif isinstance(body, dict):
            about = str(body.get("requestId", ""))
            turn, request = self._asked.get(f"{kind} {about}", (self._turns[-1], {}))
            turn.answers.append({"asked": request, "answer": {kind: self._clean(body)}})

    def harness(self, frame: Frame) -> None:
        """Take a frame of the harness."""
        kind = kind_of(frame)
        body = frame.get(kind)
        if not isinstance(body, dict):
            return
        match kind:
            case "stepUpdate":
                self._step(body)
            case "usageUpdate":
                self._total = body.get("total", self._total)
                for agent in body.get("agents", ()):
                    self._agents[str(agent.get("trajectoryId"))] = agent.get("usage")
            case "toolCall":
                call_id = str(body.get("id"))
                self._calls[call_id] = turn = self._turns[-1]
                call = {"name": body.get("name"), "args": self._clean(body.get("argumentsJson"))}
                turn.calls.setdefault(call_id, {}).update(call)
            case "policyDecisionRequest" | "callHookRequest":
                answer = {"policyDecisionRequest": "policyDecisionResponse"}.get(
                    kind, "callHookResponse"
                )
                request: Frame = {kind: self._clean(body)}
                key = f"{answer} {body.get('requestId')}"
                self._asked[key] = (self._turns[-1], request)
            case "trajectoryStateUpdate" if not body.get("parentTrajectoryId"):
                self._turns[-1].state = {
                    k: v for k, v in body.items() if k in ("state", "error", "stopReason")
                }

    def result(self, end: Frame | None = None) -> Fold:
        """What the frames so far add up to."""
        return {
            "config": self._config,
            "turns": [turn.result() for turn in self._turns if not turn.empty],
            "usage": {"total": self._total, "agents": _sorted(self._agents.values())},
            "end": end,
        }

    def _step(self, body: dict[str, Any]) -> None:
        key = (str(body.get("trajectoryId", "")), int(body.get("stepIndex", 0)))
        turn = self._steps.setdefault(key, self._turns[-1])
        turn.steps[key] = self._clean(
            {name: value for name, value in body.items() if name not in _DELTAS}
        ) | {"stepIndex": key[1], "sub": bool(body.get("parentTrajectoryId"))}

    def _clean(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, dict):
            return {k: self._clean(v) for k, v in value.items() if k not in _IDS}
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, str):
            for path, name in self._paths:
                value = value.replace(path, name)
            return _CHANCE.sub(lambda match: f"<{match.lastgroup}>", value)
        return value


class _Turn:
    def __init__(self, prompt: Any) -> None:  # noqa: ANN401 - JSON
        self.prompt = prompt
        self.halted = False
        self.steps: dict[tuple[str, int], dict[str, Any]] = {}
        self.calls: dict[str, dict[str, Any]] = {}
        self.answers: list[Any] = []
        self.state: Any = None

    @property
    def empty(self) -> bool:
        return self.prompt is None and not (self.steps or self.calls or self.answers)

    def result(self) -> Fold:
        found: Fold = {
            "prompt": self.prompt,
            "agents": self._by_agent(),
            "calls": _sorted(self.calls.values()),
            "answers": _sorted(self.answers),
            "state": self.state,
        }
        return found | {"halted": True} if self.halted else found

    def _by_agent(self) -> list[Any]:
        """Steps by trajectory; which of two subagents came first is chance."""
        agents: dict[str, list[Any]] = {}
        for (trajectory, _), step in sorted(self.steps.items(), key=lambda item: item[0][1]):
            agents.setdefault(trajectory, []).append(step)
        return _sorted(agents.values())


def folded(lines: Iterable[Line]) -> list[Fold]:
    """What the sessions of a wire add up to, in the order of their start; keeps no line."""
    folders: dict[int, Folder] = {}
    ends: dict[int, Frame] = {}
    for line in lines:
        folder = folders.setdefault(line.session, Folder())
        match line.direction:
            case "client":
                folder.client(line.frame)
            case "harness":
                folder.harness(line.frame)
            case "end":
                ends[line.session] = line.frame
    return [folder.result(ends.get(number)) for number, folder in sorted(folders.items())]


def fold(session: RecordedSession) -> Fold:
    """What a recorded session adds up to."""
    folder = Folder()
    for line in session.lines:
        (folder.client if line.direction == "client" else folder.harness)(line.frame)
    return folder.result(session.end)


def _sorted(items: Any) -> list[Any]:  # noqa: ANN401 - any iterable of JSON
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
