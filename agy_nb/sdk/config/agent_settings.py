"""The settings of an agent by keyword: `create_agent(model=..., system_instructions=...)`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from agy_nb.errors import InvalidConfigError
from agy_nb.sdk.config.changed_config import merged

if TYPE_CHECKING:
    from google.antigravity import (
        CapabilitiesConfig,
        CompactionConfig,
        CustomSystemInstructions,
        InlineSkill,
        ModelTarget,
        RetryConfig,
        TemplatedSystemInstructions,
    )
    from google.antigravity.connections.connection import DebugConfig
    from google.antigravity.hooks.hooks import DecideHook, InspectHook, TransformHook
    from google.antigravity.hooks.policy import Policy
    from google.antigravity.models import GeminiModelOptions
    from google.antigravity.triggers.triggers import TriggerContext
    from google.antigravity.types import (
        BudgetConfig,
        McpStdioServer,
        McpStreamableHttpServer,
        SessionContinuationMode,
        SubagentConfig,
    )
    from pydantic import BaseModel

F = TypeVar("F", bound=Callable[..., Any])


class AgentSettings(TypedDict, total=False):
    """The fields of the SDK's `LocalAgentConfig`; None is the SDK's default.

    Attributes:
        model: Name of the model, such as `"gemini-3.8-flash"`, or the SDK's `ModelTarget`.
        models: The SDK's `ModelTarget` of each type, for several models.
        api_key: The key of the Gemini API; by default the variable `GEMINI_API_KEY`.
        vertex: Whether to use Vertex AI.
        project: Google Cloud project, for Vertex AI.
        location: Google Cloud region, for Vertex AI.
        system_instructions: Instructions for the model: text, or the SDK's classes.
        capabilities: The SDK's `CapabilitiesConfig`: built-in tools, subagents, behaviour.
        mcp_servers: The SDK's MCP servers; see `load_mcp_servers`.
        workspaces: Folders that the agent works in; by default the working folder.
        conversation_id: The conversation to resume, or the id of a new one; needs `save_dir`.
        session_continuation_mode: The SDK's mode: whether the conversation must exist.
        save_dir: Folder that keeps the conversation; a temporary one by default.
        app_data_dir: Absolute path of the harness's own folder.
        response_schema: A pydantic model or a JSON schema that each answer must fit.
        skills_paths: Folders with skills.
        inline_skills: The SDK's `InlineSkill` objects.
        subagents: The SDK's `SubagentConfig` objects.
        debug_config: The SDK's `DebugConfig`.
        retry_config: The SDK's `RetryConfig`: how the harness asks the model again.
        budget_config: The SDK's `BudgetConfig`; see `RuntimeConfig` for limits in US dollars.
        compaction_config: The SDK's `CompactionConfig`: when the context is compacted.
        env: Environment variables of the harness.
    """

    model: str | ModelTarget | None
    models: Sequence[ModelTarget] | None
    api_key: str | None
    vertex: bool | None
    project: str | None
    location: str | None
    system_instructions: str | CustomSystemInstructions | TemplatedSystemInstructions | None
    capabilities: CapabilitiesConfig | None
    mcp_servers: Sequence[McpStdioServer | McpStreamableHttpServer] | None
    workspaces: Sequence[str | os.PathLike[str]] | None
    conversation_id: str | None
    session_continuation_mode: SessionContinuationMode | None
    save_dir: str | os.PathLike[str] | None
    app_data_dir: str | os.PathLike[str] | None
    response_schema: type[BaseModel] | Mapping[str, Any] | str | None
    skills_paths: Sequence[str | os.PathLike[str]] | None
    inline_skills: Sequence[InlineSkill] | None
    subagents: Sequence[SubagentConfig] | None
    debug_config: DebugConfig | None
    retry_config: RetryConfig | None
    budget_config: BudgetConfig | None
    compaction_config: CompactionConfig | None
    env: Mapping[str, str] | None


class SdkConfigFields(AgentSettings, total=False):
    """The fields of the SDK's `LocalAgentConfig`, with those that `create_agent` takes itself.

    Attributes:
        tools: Functions that the model may call, and names of recorded ones.
        policies: The SDK's policies.
        hooks: The SDK's hooks.
        triggers: The SDK's triggers.
    """

    tools: Sequence[Callable[..., Any] | str]
    policies: Sequence[Policy]
    hooks: Sequence[InspectHook[Any] | DecideHook[Any] | TransformHook[Any, Any]]
    triggers: Sequence[Callable[[TriggerContext], Awaitable[None]]]


class OpenAIConfigFields(SdkConfigFields, total=False):
    """The fields of the SDK's `LocalOpenAIAgentConfig`.

    Attributes:
        base_url: Address of the OpenAI API.
    """

    base_url: str | None


class EndpointFields(TypedDict, total=False):
    """The fields of the SDK's `GeminiAPIEndpoint`.

    Attributes:
        base_url: Address of the Gemini API.
        http_headers: Headers of each request.
        api_key: The key.
        options: The SDK's `GeminiModelOptions`.
    """

    base_url: str | None
    http_headers: dict[str, str] | None
    api_key: str | None
    options: GeminiModelOptions | None


def with_settings(config: Any, settings: Mapping[str, Any]) -> Any:
    """Return a configuration with the settings that are not None.

    Args:
        config: The SDK's object, which is not changed, a mapping of its fields, or None.
        settings: Fields by name; they replace those of the configuration.

    Raises:
        InvalidConfigError: The configuration has no such field, or the SDK rejects the settings.
    """
    given = given_fields(settings)
    return merged(config, given) if given else config


def given_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not None, with paths as text, as the SDK wants them."""
    return {name: _as_text(value) for name, value in settings.items() if value is not None}


def _as_text(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_as_text(each) for each in value]
    return value


def listed(name: str, given: Any) -> tuple[Any, ...]:
    """Return an argument as a tuple, and reject a single item that is not in a list.

    Raises:
        InvalidConfigError: It is not a list.
    """
    if isinstance(given, Iterable) and not isinstance(given, str | Mapping):
        return tuple(given)
    raise InvalidConfigError(f"{name} must be a list, {name}=[...]; got {given!r}", field=name)


def show_settings(function: F) -> F:
    """Show the fields of `AgentSettings` in the signature and the docstring of a function.

    `help()`, completion and the tooltips of a notebook read both. The fields replace the line
    `**settings` of the docstring.
    """
    plain = inspect.signature(function)
    own = [each for each in plain.parameters.values() if each.kind is not each.VAR_KEYWORD]
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_words(hint)
        )
        for name, hint in AgentSettings.__annotations__.items()
    ]
    shown = plain.replace(parameters=[*own, *more])
    function.__signature__ = shown  # type: ignore[attr-defined]
    if AgentSettings.__doc__:  # `python -OO` removes docstrings
        _, _, fields = (inspect.getdoc(AgentSettings) or "").partition("Attributes:\n")
        before, _, after = (inspect.getdoc(function) or "").partition("    **settings:")
        _, _, after = after.partition("\n")
        function.__doc__ = f"{before}{fields}\n{after}"
    return function


def _words(hint: Any) -> str:
    return str(getattr(hint, "__forward_arg__", hint))
