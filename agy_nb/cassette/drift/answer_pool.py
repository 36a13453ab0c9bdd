"""Choose the recorded answer to a request of the harness.

A live model asks in its own order, and not always for the same. The recorded answer to the same
request is taken first, then one to a request of its kind; each once, as long as there are some.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agy_nb.cassette.storage.cassette_reader import RecordedSession
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire import frames as f
from agy_nb.wire.frames import ANSWERS, STEP_ANSWERS, FrameKey, key_of, kind_of, request_of

_IDS = frozenset(
    {f.CALL_ID, f.CONVERSATION_ID, f.CLIENT_ID, f.ID, f.PARENT_ID, f.REQUEST_ID, f.STEP_INDEX,
     f.TRAJECTORY_ID}
)  # fmt: skip


@dataclass(slots=True)
class _Recorded:
    signatures: tuple[str, ...]
    answer: Frame
    used: bool = field(default=False)


class AnswerPool:
    """The answers of one recorded session.

    Args:
        session: The recorded session.
    """

    def __init__(self, session: RecordedSession) -> None:
        self._recorded: dict[str, list[_Recorded]] = {}
        asked: dict[FrameKey, Frame] = {}
        for line in session.lines:
            if line.direction == "harness":
                key = request_of(line.frame)
                if key is not None:
                    asked[key] = line.frame
            elif (key := key_of(line.frame)) in asked:
                recorded = _Recorded(signatures(asked.pop(key)), line.frame)
                self._recorded.setdefault(key.kind, []).append(recorded)

    def to(self, request: Frame) -> Frame | None:
        """Return the answer to a request, addressed to it; None if nothing like it was recorded.

        Args:
            request: A frame of the harness that asks for something.
        """
        key = request_of(request)
        if key is None:
            return None
        known = self._recorded.get(key.kind, [])
        wanted = signatures(request)
        for again in (False, True):  # an answer is used twice only where there is no other
            for depth, signature in enumerate(wanted):
                for recorded in known:
                    if recorded.used is again and recorded.signatures[depth] == signature:
                        recorded.used = True
                        return _addressed(recorded.answer, key, request)
        return None


def signatures(request: Frame) -> tuple[str, ...]:
    """Return signatures of a request, from its full content to its kind."""
    kind = kind_of(request)
    body = request.get(kind)
    body = body if isinstance(body, dict) else {}
    match kind:
        case f.TOOL_CALL:
            name = str(body.get(f.NAME))
            return (f"{name} {_args(body)}", name)
        case f.POLICY_REQUEST:
            call = body.get(f.TOOL_ARGS)
            call = call if isinstance(call, dict) else {}
            tool = str(call.get(f.TOOL_NAME))
            return (f"{body.get(f.RULE_ID)} {tool} {_args(call)}", f"{body.get(f.RULE_ID)} {tool}")
        case f.HOOK_REQUEST:
            what = str(body.get("type"))
            return (_text(body), f"{what} {_tool_of_hook(body)}", what)
        case _:
            asked = {name: body[name] for name in STEP_ANSWERS.values() if name in body}
            return (_text(asked), " ".join(asked))


def _tool_of_hook(body: dict[str, Any]) -> str:
    for value in body.values():
        if isinstance(value, dict) and f.TOOL_NAME in value:
            return str(value[f.TOOL_NAME])
    return ""


def _args(body: dict[str, Any]) -> str:
    try:
        return _text(json.loads(body.get(f.ARGUMENTS_JSON) or "{}"))
    except (ValueError, RecursionError, TypeError):
        return str(body.get(f.ARGUMENTS_JSON))


def _text(value: Any) -> str:
    return json.dumps(_without_ids(value), sort_keys=True)


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_ids(v) for k, v in value.items() if k not in _IDS}
    if isinstance(value, list):
        return [_without_ids(item) for item in value]
    return value


def _addressed(answer: Frame, key: FrameKey, request: Frame) -> Frame:
    body = dict(answer[key.kind])
    if key.kind in ANSWERS:
        body[ANSWERS[key.kind]] = key.request_id
    else:
        step = request[f.STEP]
        body |= {name: step[name] for name in (f.TRAJECTORY_ID, f.STEP_INDEX) if name in step}
    return {key.kind: body}
