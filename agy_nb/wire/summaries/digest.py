"""What a session's frames add up to: the same for two recordings of one script.

The harness sends frames of one session in an order that differs from run to run, some of them
twice. What they add up to does not: per turn the prompt, the last state of every step, the calls of
host tools with their results, the answers to hooks and policies; at the end the usage.

A digest keeps frames' own words, so that a difference in a field that no event has shows as well.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

from agy_nb.wire import frames as f
from agy_nb.wire.client_config import paths_of
from agy_nb.wire.frames import Frame
from agy_nb.wire.json_values import number_of, objects_of
from agy_nb.wire.path_map import PathMap
from agy_nb.wire.summaries.canonical_config import config_digest

Digest: TypeAlias = dict[str, Any]
"""JSON data: `config`, `turns`, `usage`, `end`."""

_PASSING = frozenset({f.TEXT_DELTA, f.THINKING_DELTA, f.SEQUENCE, f.TIMESTAMP})
"""Fields of a step that its last state has no need of."""
_IDS = frozenset(
    {f.CONVERSATION_ID, f.TRAJECTORY_ID, f.PARENT_ID, f.ID, f.CALL_ID, f.REQUEST_ID, f.CLIENT_ID}
)
_CHANCE = re.compile(
    r"(?P<id>\b[0-9a-f]{32}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<port>(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+)"
)


class SessionDigest:
    """Adds up the frames of one session, one at a time, in memory of what they add up to.

    Example:
        >>> from agy_nb.wire.summaries.digest import SessionDigest
        >>> digest = SessionDigest()
        >>> digest.client({"userInput": {"parts": [{"text": "Hello"}]}})
        >>> digest.result()["turns"][0]["prompt"]
        {'parts': [{'text': 'Hello'}]}
    """

    def __init__(self) -> None:
        self._config = ""
        self._paths = PathMap({})
        self._turns: list[_Turn] = [_Turn(None)]
        self._steps: dict[tuple[str, int], _Turn] = {}
        self._calls: dict[str, _Turn] = {}
        self._asked: dict[f.FrameKey, tuple[_Turn, Frame]] = {}
        self._total: Any = None
        self._agents: dict[str, Any] = {}

    def client(self, frame: Frame) -> None:
        """Take a frame of the client."""
        kind = f.kind_of(frame)
        body = frame.get(kind)
        if kind == f.CONFIG:
            self._config = config_digest(frame)
            names = {path: f"<{name}>" for name, path in paths_of(frame).items()}
            self._paths = PathMap(names, keep_spelling=False)
        elif kind in f.TURN_KINDS:
            self._turns.append(_Turn(self._clean(body)))
        elif kind == f.HALT:
            self._turns[-1].halted = True
        elif kind == f.TOOL_RESPONSE and isinstance(body, dict):
            call_id = str(body.get(f.ID))
            turn = self._calls.get(call_id, self._turns[-1])
            turn.calls.setdefault(call_id, {})["result"] = self._clean(body)
        elif isinstance(body, dict):
            turn, request = self._asked.get(f.key_of(frame), (self._turns[-1], {}))
            turn.answers.append({"asked": request, "answer": {kind: self._clean(body)}})

    def harness(self, frame: Frame) -> None:
        """Take a frame of the harness."""
        kind = f.kind_of(frame)
        body = frame.get(kind)
        if not isinstance(body, dict):
            return
        match kind:
            case f.STEP:
                self._step(body)
            case f.USAGE:
                self._total = body.get("total", self._total)
                for agent in objects_of(body.get("agents")):
                    self._agents[str(agent.get(f.TRAJECTORY_ID))] = agent.get("usage")
            case f.TOOL_CALL:
                call_id = str(body.get(f.ID))
                self._calls[call_id] = turn = self._turns[-1]
                call = {"name": body.get(f.NAME), "args": self._clean(body.get(f.ARGUMENTS_JSON))}
                turn.calls.setdefault(call_id, {}).update(call)
            case f.POLICY_REQUEST | f.HOOK_REQUEST:
                key = f.request_of(frame)
                if key is not None:
                    self._asked[key] = (self._turns[-1], {kind: self._clean(body)})
            case f.TRAJECTORY_STATE if not body.get(f.PARENT_ID):
                self._turns[-1].state = {
                    k: v for k, v in body.items() if k in (f.STATE, f.ERROR, f.STOP_REASON)
                }

    def result(self, end: Frame | None = None) -> Digest:
        """Return the digest of the frames so far.

        Args:
            end: How the session ended, where that is known.
        """
        return {
            "config": self._config,
            "turns": [turn.result() for turn in self._turns if not turn.empty],
            "usage": {"total": self._total, "agents": _sorted(self._agents.values())},
            "end": None if end is None else {k: v for k, v in end.items() if k != "stderr"},
        }

    def _step(self, body: dict[str, Any]) -> None:
        key = (str(body.get(f.TRAJECTORY_ID, "")), number_of(body.get(f.STEP_INDEX)))
        turn = self._steps.setdefault(key, self._turns[-1])
        turn.steps[key] = self._clean(
            {name: value for name, value in body.items() if name not in _PASSING}
        ) | {f.STEP_INDEX: key[1], "sub": bool(body.get(f.PARENT_ID))}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: self._clean(v) for k, v in value.items() if k not in _IDS}
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, str):
            return _CHANCE.sub(lambda match: f"<{match.lastgroup}>", self._paths.text(value))
        return value


class _Turn:
    def __init__(self, prompt: Any) -> None:
        self.prompt = prompt
        self.halted = False
        self.steps: dict[tuple[str, int], dict[str, Any]] = {}
        self.calls: dict[str, dict[str, Any]] = {}
        self.answers: list[Any] = []
        self.state: Any = None

    @property
    def empty(self) -> bool:
        return self.prompt is None and not (self.steps or self.calls or self.answers)

    def result(self) -> Digest:
        found: Digest = {
            "prompt": self.prompt,
            "agents": self._by_agent(),
            "calls": _sorted(self.calls.values()),
            "answers": _sorted(self.answers),
            "state": self.state,
        }
        return found | {"halted": True} if self.halted else found

    def _by_agent(self) -> list[Any]:
        """Group steps by trajectory; the order of two subagents is random."""
        agents: dict[str, list[Any]] = {}
        for (trajectory, _), step in sorted(self.steps.items(), key=lambda item: item[0][1]):
            agents.setdefault(trajectory, []).append(step)
        return _sorted(agents.values())


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
