"""What an agent is made of: its configuration, its Python objects, its tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agy_nb.protocol.short_repr import html_fields, short_repr
from agy_nb.protocol.values import JsonObject
from agy_nb.sdk.interfaces.approval_request import AnswerQuestions
from agy_nb.sdk.interfaces.harness_socket import Listen


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchPoint:
    """Where a forked agent parts from its parent, or from a recording.

    Attributes:
        parent_agent_id: The runtime's number of the parent; None for a recording.
        after_turn: The last turn that both have in common, 0 for none.
        parent_branch: The abandoned branch of the parent that it continues, None if it is not one.
        conversation_id: The conversation to continue; None to begin a new one.
        save_dir: The folder with the copy of the conversation; None for a new folder.
    """

    parent_agent_id: int | None
    after_turn: int
    parent_branch: int | None = None
    conversation_id: str | None = None
    save_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """The configuration and the Python objects of an agent.

    Attributes:
        config: The SDK's configuration object, a mapping of its fields, or None.
        tools: Host functions, added to those of the configuration.
        policies: The SDK's policies, added to those of the configuration.
        hooks: The SDK's hooks, added to those of the configuration.
        triggers: The SDK's triggers, added to those of the configuration.
        answer: Answers the model's questions if the user has no hook for them.
        asks_user: Whether the user passed an approval handler. The gate is then asked about every
            call that no policy decides.
        asks_by_default: Whether there is a default handler, which is asked about commands, calls
            that send data away, and file tools outside the workspace.
        edits: Whether the handler may change a call's arguments. The gate is then asked from a
            hook, which is part of the configuration.
        listen: Called with the socket of each harness of the agent; returns the socket to use.
        labels: The user's labels of the agent.
        branch: Where the agent parts from its parent; None if it was not forked.
    """

    config: Any = None
    tools: Sequence[Callable[..., Any]] = ()
    policies: Sequence[Any] = ()
    hooks: Sequence[Any] = ()
    triggers: Sequence[Any] = ()
    answer: AnswerQuestions | None = None
    asks_user: bool = False
    asks_by_default: bool = False
    edits: bool = False
    listen: Listen | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    branch: BranchPoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInfo:
    """A tool of an agent.

    Attributes:
        name: Name of the tool.
        source: `builtin`, `custom` (a host function) or `mcp`.
        description: Description of the tool, if the SDK knows it.
        parameters: JSON schema of the arguments; None if only the harness knows it.
        server: Name of the MCP server, None for other tools.

    Example:
        >>> [tool.name for tool in agent.available_tools() if tool.source == "custom"]
        ['get_weather']
    """

    name: str
    source: Literal["builtin", "custom", "mcp"]
    description: str = ""
    parameters: JsonObject | None = None
    server: str | None = None

    __repr__ = short_repr
    _repr_html_ = html_fields
