"""Steps of connections that speak another protocol, as frames that the reader takes.

The Interactions API has frames of its own. The SDK turns them into the same steps, so those are
written as the frames that the local harness would have sent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agy_nb.wire import frames as f
from agy_nb.wire.frames import Frame

if TYPE_CHECKING:
    from google.antigravity import types

_STATES = {word: name for name, word in f.STEP_STATES.items()}
_SOURCES = {word: name for name, word in f.SOURCES.items()}
_TARGETS = {word: name for name, word in f.TARGETS.items()}


def speaks_wire(first_frame: Frame) -> bool:
    """Return whether a client's first frame is one of the local harness's protocol."""
    return f.CONFIG in first_frame


def frame_of_step(step: types.Step) -> Frame:
    """Convert a step of the SDK to the frame that the local harness would have sent."""
    body: dict[str, Any] = {
        f.TRAJECTORY_ID: step.trajectory_id,
        f.PARENT_ID: step.parent_trajectory_id,
        f.STEP_INDEX: step.step_index,
        f.STATE: _STATES.get(_word(step.status), ""),
        f.SOURCE: _SOURCES.get(_word(step.source), ""),
        f.TARGET: _TARGETS.get(_word(step.target), ""),
        f.TEXT: step.content,
        f.TEXT_DELTA: step.content_delta,
        f.THINKING: step.thinking,
        f.THINKING_DELTA: step.thinking_delta,
        f.ERROR_MESSAGE: step.error,
        f.ERROR: {f.ERROR_MESSAGE: step.error, f.HTTP_CODE: getattr(step, "http_code", 0)},
    }
    for call in step.tool_calls[:1]:
        body[f.MCP_TOOL] = {
            f.SERVER_NAME: call.server_name or "",
            f.TOOL_NAME: str(call.name),
            f.ARGUMENTS_JSON: json.dumps(call.args, default=str),
        }
    return {f.STEP: body}


def _word(value: Any) -> str:
    return str(value.value).lower().removeprefix("target_")
