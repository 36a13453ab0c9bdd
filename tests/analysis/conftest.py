"""Events and recordings in a few words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pytest

from agy_nb.protocol.events import Event, State, TurnState, Usage
from agy_nb.protocol.values import TextPart, TokenUsage, Trajectory

ROOT = Trajectory(id="a" * 32)
CHILD = Trajectory(id="b" * 32, parent_id=ROOT.id, depth=1)
START = 1_790_000_000.0


@dataclass
class Turn:
    agent_id: int = 1
    turn_id: int = 1
    event_log: list[Event] = field(default_factory=list)
    prompt: tuple = (TextPart(text="Hello"),)
    stop_reason: str | None = None
    kind: str = "prompt"


def metered(where: Trajectory = ROOT, at: float = 0.0, **tokens: int) -> Usage:
    usage = TokenUsage(**tokens)
    return Usage(trajectory=where, usage=usage, trajectory_total=usage, session_total=usage, at=at)


def begun(at: float = START) -> State:
    return State(state=TurnState.RUNNING, at=at)


def over(state: TurnState = TurnState.DONE, at: float = 0.0) -> State:
    return State(state=state, at=at)


class Wire:
    """Writes the lines of a recording, as the harness and the SDK would send them."""

    def __init__(self, session: int = 0, start: float = START) -> None:
        self.session = session
        self.lines: list[dict] = []
        self.now = start
        self.totals: dict[str, list[int]] = {}

    def add(self, direction: str, frame: dict, dt: float = 0.01) -> Wire:
        self.now += dt
        if direction == "harness":
            frame = frame | {"seqNum": "1", "timestampMicros": str(round(self.now * 1e6))}
        self.lines.append({"s": self.session, "d": direction, "dt": dt, "f": frame})
        return self

    def begin(self, model="gemini-2.5-flash", **init) -> Wire:
        models = [{"name": model, "types": ["MODEL_TYPE_TEXT"], "geminiApiEndpoint": {}}]
        rule = {"tool": "add", "ruleId": "asks", "decision": "POLICY_DECISION_ASK_USER"}
        config = {"models": models, "tools": [{"name": "add"}], "policyConfig": {"rules": [rule]}}
        self.add("client", {"config": config}, 0.0)
        return self.add(
            "harness", {"initializeConversationResponse": {"cascadeId": ROOT.id} | init}
        )

    def prompt(self, text="Hello") -> Wire:
        return self.add("client", {"userInput": {"parts": [{"text": text}]}})

    def step(
        self, index, *, where=ROOT, state="DONE", source="MODEL", target="USER", text="", **more
    ):
        body = {
            "trajectoryId": where.id, "stepIndex": index, "state": f"STATE_{state}",
            "source": f"SOURCE_{source}", "target": f"TARGET_{target}",
            "textDelta": text, "text": text,
        } | more  # fmt: skip
        if where.parent_id:
            body["parentTrajectoryId"] = where.parent_id
        return self.add("harness", {"stepUpdate": body})

    def usage(self, where=ROOT, prompt=0, cached=0, answer=0, thoughts=0) -> Wire:
        """A metered call: the counters go up."""
        counts = self.totals.setdefault(where.id, [0, 0, 0, 0])
        for place, more in enumerate((prompt, cached, answer, thoughts)):
            counts[place] += more
        return self.add("harness", self.usage_frame())

    def usage_frame(self) -> dict:
        total = [sum(column) for column in zip(*self.totals.values(), strict=True)]
        agents = [{"trajectoryId": t, "usage": counts(c)} for t, c in self.totals.items()]
        return {"usageUpdate": {"agents": agents, "total": counts(total)}}

    def tool(self, call_id, name="add", *, where=ROOT, error=None) -> Wire:
        call = {"id": call_id, "name": name, "argumentsJson": '{"x": 1}', "trajectoryId": where.id}
        self.add("harness", {"toolCall": call})
        answer = {"errorMessage": error} if error else {"responseJson": "2"}
        return self.add("client", {"toolResponse": {"id": call_id} | answer}, 0.5)

    def idle(self, where=ROOT, **more) -> Wire:
        body = {"trajectoryId": where.id, "state": "STATE_FULLY_IDLE"} | more
        return self.add("harness", {"trajectoryStateUpdate": body})

    def end(self, by="client") -> Wire:
        return self.add("end", {"by": by})

    def text(self) -> str:
        return "".join(json.dumps(line) + "\n" for line in self.lines)


def counts(values) -> dict:
    prompt, cached, answer, thoughts = values
    return {
        "promptTokenCount": str(prompt),
        "cachedContentTokenCount": str(cached),
        "candidatesTokenCount": str(answer),
        "thoughtsTokenCount": str(thoughts),
        "totalTokenCount": str(prompt + answer + thoughts),
    }


def header(**fields) -> dict:
    base = {"format": "agy-cassette", "version": 1, "complete": True, "sdk": "0.1.22"}
    return base | {"recorded_at": "2026-11-21T02:03:39Z"} | fields


def save(folder, *wires, text=None, **fields):
    """A recording on disk, of one connection or several; each one below a folder has its hour."""
    folder.mkdir(parents=True, exist_ok=True)
    hours = sum(1 for other in folder.parent.iterdir() if other != folder)
    (folder / "header.json").write_text(json.dumps(header(**fields)))
    text = "".join(w.text() for w in wires) if text is None else text
    (folder / "wire.jsonl").write_text(later(text, 3600 * hours))
    return folder


def later(text, seconds):
    """A recording of some time later."""

    def add(match):
        return f'"timestampMicros": "{int(match[1]) + seconds * 1_000_000}"'

    return re.sub(r'"timestampMicros": "(\d+)"', add, text) if seconds else text


def two_calls(session=0, start=START) -> Wire:
    """A turn with a tool between two model calls."""
    wire = Wire(session, start).begin().prompt("How much?").step(0, source="USER", target="MODEL")
    call = {"toolCall": {"id": "call-1", "name": "add", "argumentsJson": '{"x": 1}'}}
    wire.step(1, state="ACTIVE", target="ENVIRONMENT", customTool=call)
    wire.usage(prompt=100, cached=40, answer=10, thoughts=5).tool("call-1")
    wire.step(2, text="Two.").usage(prompt=120, answer=8)
    return wire.idle().end()


@pytest.fixture
def recording(tmp_path):
    return save(tmp_path / "weather", two_calls())
