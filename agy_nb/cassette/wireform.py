"""What the frames between SDK and harness mean, as far as a cassette needs to know.

Rule 1: the only module that names fields of the wire (besides `fold`, which adds frames up).
Rule 2: unknown frames are no error; they have no key and no meaning.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from agy_nb.cassette.format import Frame

_ENVELOPE = frozenset({"seqNum", "timestampMicros"})

ANSWERS = {
    "toolResponse": "id",
    "policyDecisionResponse": "requestId",
    "callHookResponse": "requestId",
}
STEP_ANSWERS = {
    "questionResponse": "questionsRequest",
    "toolConfirmation": "toolConfirmationRequest",
}


class Key(NamedTuple):
    """What a client frame answers, or which kind of thing it starts.

    Attributes:
        kind: The frame's field, e.g. `toolResponse`.
        about: What it answers; empty for frames that start something.
    """

    kind: str
    about: str = ""

    def __str__(self) -> str:
        return f"{self.kind} to {self.about}" if self.about else self.kind


def kind_of(frame: Frame) -> str:
    """The field that says what a frame is, e.g. `stepUpdate`; empty if there is none."""
    for name in frame:
        if name not in _ENVELOPE:
            return name
    return ""


def key_of(frame: Frame) -> Key:
    """The key of a client's frame."""
    kind = kind_of(frame)
    body = frame.get(kind)
    if isinstance(body, dict):
        if kind in ANSWERS:
            return Key(kind, str(body.get(ANSWERS[kind], "")))
        if kind in STEP_ANSWERS:
            return Key(kind, _step(body))
    return Key(kind)


def request_of(frame: Frame) -> Key | None:
    """The key of the answer that a frame of the harness asks for, None if it asks for nothing."""
    kind = kind_of(frame)
    body = frame.get(kind)
    if not isinstance(body, dict):
        return None
    match kind:
        case "toolCall":
            return Key("toolResponse", str(body.get("id", "")))
        case "policyDecisionRequest":
            return Key("policyDecisionResponse", str(body.get("requestId", "")))
        case "callHookRequest":
            return Key("callHookResponse", str(body.get("requestId", "")))
        case "stepUpdate" if body.get("state") == "STATE_WAITING_FOR_USER":
            for answer, request in STEP_ANSWERS.items():
                if request in body:
                    return Key(answer, _step(body))
    return None


def _step(body: dict[str, Any]) -> str:
    return f"{body.get('trajectoryId', '')}/{body.get('stepIndex', 0)}"


def turn_ended(frame: Frame) -> bool:
    """Whether the client may take a turn for over at this frame of the harness."""
    body = frame.get("trajectoryStateUpdate")
    if not isinstance(body, dict) or body.get("parentTrajectoryId"):
        return False
    return body.get("state") in ("STATE_FULLY_IDLE", "STATE_CANCELLED")


def asks_a_person(config: Frame, request: Frame) -> bool:
    """Whether a policy request is one for a person rather than for a predicate."""
    rule_id = request.get("policyDecisionRequest", {}).get("ruleId")
    rules = config.get("config", {}).get("policyConfig", {}).get("rules", ())
    return any(
        rule.get("ruleId") == rule_id and rule.get("decision") == "POLICY_DECISION_ASK_USER"
        for rule in rules
        if isinstance(rule, dict)
    )


def paths_of(config: Frame) -> dict[str, str]:
    """The folders that a configuration names, by what they are for.

    They differ from run to run and turn up again in other frames.
    """
    body = config.get("config")
    if not isinstance(body, dict):
        return {}
    found = {}
    for number, item in enumerate(body.get("workspaces") or ()):
        directory = item.get("filesystemWorkspace", {}).get("directory")
        if directory:
            found[f"workspace:{number}"] = str(directory)
    for number, path in enumerate(body.get("skillsPaths") or ()):
        found[f"skills:{number}"] = str(path)
    if body.get("appDataDir"):
        found["app-data"] = str(body["appDataDir"])
    return found


def conversation_of(config: Frame) -> str:
    """The conversation id that the client asked for, empty if it leaves it to the harness."""
    body = config.get("config")
    return str(body.get("cascadeId") or "") if isinstance(body, dict) else ""
