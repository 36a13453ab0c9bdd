"""The Google Antigravity SDK at home in Jupyter.

Agents run on the kernel's own event loop and stream into the cell; a person approves tool calls.
Every name here is loaded on first use, so that importing the package costs next to nothing.

Example:
    >>> import agy_nb as agy
    >>> agent = await agy.create_agent()
    agy_nb: no GEMINI_API_KEY is set, so a local echo model answers
    >>> response = await agent.chat("Hello")
    >>> print(await response.text())
    You said: Hello...
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from agy_nb import errors, testing, widgets
    from agy_nb.analysis import load
    from agy_nb.cassette import (
        CassetteActiveError,
        CassetteBusyError,
        CassetteError,
        CassetteInvalidError,
        CassetteMismatchError,
        CassetteNotFoundError,
        CassetteNotWrittenError,
        use_cassette,
    )
    from agy_nb.env import load_env
    from agy_nb.errors import (
        AgentNotStartedError,
        AgyError,
        AgyTimeoutError,
        BackendError,
        BudgetExceededError,
        ChannelClosedError,
        DeadlockError,
        HarnessError,
        InvalidConfigError,
        InvalidInputError,
        InvalidMessageError,
        InvalidPromptError,
        MaxTokensError,
        QuotaExceededError,
        SafetyError,
        TurnCancelledError,
        TurnDeniedError,
        UnsupportedSdkError,
        WrongLoopError,
    )
    from agy_nb.kernel import run
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.default_runtime import create_agent, runtime
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.runtime.runtime_config import RuntimeConfig
    from agy_nb.runtime.turns.response import Response
    from agy_nb.sdk.config.mcp_file import load_mcp_servers
    from agy_nb.sdk.interfaces import ApprovalDecision, ApprovalRequest, ToolInfo
    from agy_nb.widgets.recordings.browser import browse
    from agy_nb.widgets.usage.usage_view import usage_ui

_HOMES = {
    "AgentNotStartedError": "errors",
    "AgyError": "errors",
    "BackendError": "errors",
    "BudgetExceededError": "errors",
    "ChannelClosedError": "errors",
    "DeadlockError": "errors",
    "HarnessError": "errors",
    "InvalidConfigError": "errors",
    "InvalidInputError": "errors",
    "InvalidMessageError": "errors",
    "InvalidPromptError": "errors",
    "MaxTokensError": "errors",
    "QuotaExceededError": "errors",
    "SafetyError": "errors",
    "AgyTimeoutError": "errors",
    "TurnCancelledError": "errors",
    "TurnDeniedError": "errors",
    "UnsupportedSdkError": "errors",
    "WrongLoopError": "errors",
    "CassetteActiveError": "cassette",
    "CassetteBusyError": "cassette",
    "CassetteError": "cassette",
    "CassetteInvalidError": "cassette",
    "CassetteMismatchError": "cassette",
    "CassetteNotFoundError": "cassette",
    "CassetteNotWrittenError": "cassette",
    "use_cassette": "cassette",
    "load": "analysis",
    "load_env": "env",
    "run": "kernel",
    "Agent": "runtime.agent",
    "RuntimeConfig": "runtime.runtime_config",
    "create_agent": "runtime.default_runtime",
    "runtime": "runtime.default_runtime",
    "Response": "runtime.turns.response",
    "Runtime": "runtime.runtime",
    "ApprovalDecision": "sdk.interfaces",
    "ApprovalRequest": "sdk.interfaces",
    "ToolInfo": "sdk.interfaces",
    "load_mcp_servers": "sdk.config.mcp_file",
    "browse": "widgets.recordings.browser",
    "usage_ui": "widgets.usage.usage_view",
}
_MODULES = {"errors", "testing", "widgets"}

__all__ = [
    "Agent",
    "AgentNotStartedError",
    "AgyError",
    "AgyTimeoutError",
    "ApprovalDecision",
    "ApprovalRequest",
    "BackendError",
    "BudgetExceededError",
    "CassetteActiveError",
    "CassetteBusyError",
    "CassetteError",
    "CassetteInvalidError",
    "CassetteMismatchError",
    "CassetteNotFoundError",
    "CassetteNotWrittenError",
    "ChannelClosedError",
    "DeadlockError",
    "HarnessError",
    "InvalidConfigError",
    "InvalidInputError",
    "InvalidMessageError",
    "InvalidPromptError",
    "MaxTokensError",
    "QuotaExceededError",
    "Response",
    "Runtime",
    "RuntimeConfig",
    "SafetyError",
    "ToolInfo",
    "TurnCancelledError",
    "TurnDeniedError",
    "UnsupportedSdkError",
    "WrongLoopError",
    "browse",
    "create_agent",
    "errors",
    "load",
    "load_env",
    "load_mcp_servers",
    "run",
    "runtime",
    "testing",
    "usage_ui",
    "use_cassette",
    "widgets",
]


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - whatever the name stands for
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "__version__":
        from importlib import metadata  # costs more than all else here

        return metadata.version("agy-nb")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def load_ipython_extension(shell: typing.Any) -> None:  # noqa: ANN401 - IPython's shell
    """What `%load_ext agy_nb` calls."""
    from agy_nb import magics

    magics.load_ipython_extension(shell)


def __dir__() -> list[str]:
    return sorted(__all__)
