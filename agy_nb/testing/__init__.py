"""A model that does what a test says: real SDK, real harness, no key and no network.

Example:
    >>> async with ScriptedModel([call("get_weather", city="Paris"), say("Sunny.")]) as model:
    ...     async with await agy.create_agent(model.config(), tools=[get_weather]) as agent:
    ...         await agent.chat_text("How is the weather in Paris?")
    'Sunny.'
    >>> model.requests[1].tool_results[0].name
    'get_weather'
"""

from __future__ import annotations

from agy_nb.testing.echo import EchoModel
from agy_nb.testing.errors import (
    InvalidScript,
    NoScript,
    ScriptCrashed,
    ScriptError,
    ScriptExhausted,
    TurnsUnused,
)
from agy_nb.testing.fault_proxy import Cable, Line
from agy_nb.testing.model_request import DeclaredTool, ModelRequest, ToolResult
from agy_nb.testing.script import (
    HALF_A_CHUNK,
    FunctionCall,
    HttpError,
    InlineImage,
    ModelTurn,
    Text,
    Thought,
    Usage,
    block,
    call,
    drop,
    empty,
    fail,
    garbage,
    hang,
    image,
    say,
    think,
    words,
)
from agy_nb.testing.script_router import each, in_prompt, in_system, offers_tool
from agy_nb.testing.scripted_model import ModelStatistics, ScriptedModel

__all__ = [
    "HALF_A_CHUNK",
    "Cable",
    "DeclaredTool",
    "EchoModel",
    "FunctionCall",
    "HttpError",
    "InlineImage",
    "InvalidScript",
    "Line",
    "ModelRequest",
    "ModelStatistics",
    "ModelTurn",
    "NoScript",
    "ScriptCrashed",
    "ScriptError",
    "ScriptExhausted",
    "ScriptedModel",
    "Text",
    "Thought",
    "ToolResult",
    "TurnsUnused",
    "Usage",
    "block",
    "call",
    "drop",
    "each",
    "empty",
    "fail",
    "garbage",
    "hang",
    "image",
    "in_prompt",
    "in_system",
    "offers_tool",
    "say",
    "think",
    "words",
]
