"""Scripted models for tests with the real SDK and harness, without a key or a network.

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
    InvalidScriptError,
    NoScriptError,
    ScriptCrashedError,
    ScriptError,
    ScriptExhaustedError,
    TurnsUnusedError,
)
from agy_nb.testing.fault_proxy import FaultProxy, ProxiedConnection
from agy_nb.testing.model_request import DeclaredTool, ModelRequest, SentToolResult
from agy_nb.testing.script.model_turn import (
    HALF_A_CHUNK,
    FunctionCall,
    HttpError,
    InlineImage,
    ModelTurn,
    ScriptText,
    ScriptThought,
    ScriptUsage,
)
from agy_nb.testing.script.script_router import each, in_prompt, in_system, offers_tool
from agy_nb.testing.script.script_turns import (
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
from agy_nb.testing.scripted_model import ModelStatistics, ScriptedModel, ScriptedModelFactory

__all__ = [
    "HALF_A_CHUNK",
    "DeclaredTool",
    "EchoModel",
    "FaultProxy",
    "FunctionCall",
    "HttpError",
    "InlineImage",
    "InvalidScriptError",
    "ModelRequest",
    "ModelStatistics",
    "ModelTurn",
    "NoScriptError",
    "ProxiedConnection",
    "ScriptCrashedError",
    "ScriptError",
    "ScriptExhaustedError",
    "ScriptText",
    "ScriptThought",
    "ScriptUsage",
    "ScriptedModel",
    "ScriptedModelFactory",
    "SentToolResult",
    "TurnsUnusedError",
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


def __dir__() -> list[str]:
    return __all__
