"""Which attributes of the SDK agy_nb replaces or reads, why, and what happens without each.

The table is checked before the first harness is started. An attribute that is missing there, and
that we cannot do without, is an `UnsupportedSdkError` with its name.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from agy_nb.errors import UnsupportedSdkError

_LOCAL = "google.antigravity.connections.local.local_connection"
_LITERT = "google.antigravity.connections.local.litert_connection:LiteRTConnectionStrategy"
_TYPES = "google.antigravity.types"
_TOOLS = "google.antigravity.tools.tool_runner"
_HOOKS = "google.antigravity.hooks.hook_runner"

REMEDY = "run `agy-nb doctor` to see which versions are supported, and install one of them"


@dataclass(frozen=True, slots=True)
class SdkAttribute:
    """One attribute of the SDK.

    Attributes:
        owner: The module, or `module:Class`, or `module:Class()` for one that only objects have.
        name: Its name there.
        use: Whether we replace it in the module or class (`process`), on our own object only
            (`object`), or only read it.
        why: What we need it for.
        without: What works differently where it is missing. Empty where nothing would work:
            then that is an `UnsupportedSdkError`.
    """

    owner: str
    name: str
    use: Literal["process", "object", "read"]
    why: str
    without: str = ""

    @property
    def is_private(self) -> bool:
        """Whether the SDK may rename it at any time."""
        return self.name.startswith("_") and not self.name.startswith("__")

    def is_missing(self) -> bool:
        """Return whether the installed SDK lacks it; unknown for attributes of objects."""
        if self.owner.endswith("()"):
            return False
        module, _, kind = self.owner.partition(":")
        try:
            found: Any = importlib.import_module(module)
        except ImportError:
            return True
        if kind:
            found = getattr(found, kind, None)
        return not hasattr(found, self.name)


ATTRIBUTES: tuple[SdkAttribute, ...] = (
    SdkAttribute(
        _LOCAL,
        "subprocess",
        "process",
        "the harness is started in a thread and in a process group of its own",
    ),
    SdkAttribute(
        _LOCAL,
        "websockets",
        "process",
        "a recording or a replay can stand between SDK and harness; every frame is observed",
    ),
    SdkAttribute(
        f"{_LOCAL}:LocalConnectionStrategy",
        "__aenter__",
        "process",
        "errors of a start come out as they are, without a second try",
    ),
    SdkAttribute(
        "google.antigravity.connections.local.interactions_connection"
        ":InteractionsConnectionStrategy",
        "__aenter__",
        "process",
        "the same, for InteractionsAgentConfig",
        without="there is no InteractionsAgentConfig",
    ),
    SdkAttribute(
        _LITERT,
        "__aenter__",
        "process",
        "a replay needs no LiteRT engine and no model file",
        without="there is no LiteRTAgentConfig",
    ),
    SdkAttribute(
        _LITERT,
        "_validate_connection",
        "object",
        "the same: it looks for the model file",
        without="a replay of a LiteRT agent needs the model file",
    ),
    SdkAttribute(
        f"{_LITERT}()",
        "_base_url",
        "object",
        "the same: the engine has no server",
        without="a replay of a LiteRT agent has an empty address of its model",
    ),
    SdkAttribute(
        _LOCAL,
        "_get_default_binary_path",
        "process",
        "the harness binary is searched for once; a replay needs none",
        without="each start searches for the binary, and a replay needs it",
    ),
    SdkAttribute(
        f"{_TYPES}:GeminiAPIEndpoint",
        "validate_endpoint",
        "process",
        "a replay needs no API key",
        without="a replay needs an API key, which may be any text",
    ),
    SdkAttribute(
        f"{_TYPES}:VertexEndpoint",
        "validate_endpoint",
        "process",
        "a replay needs no credentials",
        without="a replay needs credentials, which may be any text",
    ),
    SdkAttribute(
        f"{_TOOLS}:ToolRunner",
        "process_tool_calls",
        "process",
        "use_cassette(tools='replay') takes results from the recording; policies hold for "
        "subagents; an error without words has words",
    ),
    SdkAttribute(
        f"{_TOOLS}:ToolRunner",
        "_execute_fn",
        "object",
        "errors such as SystemExit and StopIteration end with the tool that raises them",
        without="a plain tool that raises StopIteration holds its turn until it is cancelled",
    ),
    SdkAttribute(
        f"{_TOOLS}:ToolRunner",
        "execute",
        "object",
        "the same, where _execute_fn is missing",
    ),
    SdkAttribute(
        f"{_HOOKS}:HookRunner",
        "dispatch_pre_turn",
        "object",
        "a pre-turn hook that fails denies the turn and says why",
    ),
    SdkAttribute(
        f"{_HOOKS}:HookRunner",
        "dispatch_pre_tool_call",
        "object",
        "errors such as SystemExit end with the hook that raises them",
    ),
    SdkAttribute(
        f"{_HOOKS}:HookRunner",
        "dispatch_interaction",
        "object",
        "a replay answers the model's questions",
    ),
    SdkAttribute(
        "google.antigravity.connections.connection:AgentConfig",
        "create_strategy",
        "object",
        "the public place to get at an agent's strategy, tools and hooks",
    ),
    SdkAttribute(
        "google.antigravity.connections.connection:AgentConfig",
        "model_copy",
        "object",
        "the agent keeps the user's tools, hooks and triggers instead of deep copies",
    ),
    SdkAttribute(
        f"{_LOCAL}:LocalConnectionStrategy",
        "connect",
        "object",
        "the connection is prepared before anything is read from it",
    ),
    SdkAttribute(
        f"{_LOCAL}:LocalConnection",
        "send_trigger_notification",
        "object",
        "a trigger's turn begins when the trigger is sent",
    ),
    SdkAttribute(
        f"{_LOCAL}:LocalConnection()",
        "_processor",
        "read",
        "its public events is_idle and step_queue show that a trigger's turn has begun",
        without="a prompt that is sent right after a trigger may join the trigger's turn",
    ),
    SdkAttribute(
        "google.antigravity.conversation.conversation:Conversation",
        "_last_turn_stop_reason",
        "read",
        "the stop reason of a turn",
        without="the stop reason of every turn is UNSPECIFIED",
    ),
    SdkAttribute(
        "google.antigravity.connections.local.local_connection:LocalConnectionStrategy()",
        "_connection",
        "read",
        "a replay of an SDK program knows whether the program has read the frames of a turn",
        without="a program that polls may see an idle turn before its last frames",
    ),
    SdkAttribute(
        "google.antigravity.hooks.policy:enforce()",
        "_policies",
        "object",
        "what no policy allows to a subagent with a name is denied, after all other rules",
        without="a rule that allows all tools does not hold for the host tools of such a subagent",
    ),
    SdkAttribute(
        "google.antigravity.utils.state:StateStore()",
        "_store",
        "object",
        "what tools keep in their ToolContext outlives a harness",
        without="the state is lost when a harness restarts, and a warning is logged",
    ),
    SdkAttribute(
        "google.antigravity.utils.state:StateStore()",
        "_lock",
        "object",
        "the same",
        without="the state is lost when a harness restarts, and a warning is logged",
    ),
)
"""All of them. A test compares them with the code."""


def check() -> None:
    """Make sure that the installed SDK has all that we cannot do without.

    Raises:
        UnsupportedSdkError: An attribute is missing; the message names it.
    """
    for attribute in ATTRIBUTES:
        if not attribute.without and attribute.is_missing():
            raise missing(attribute)


def missing(attribute: SdkAttribute) -> UnsupportedSdkError:
    """Return the error for an attribute that the SDK lacks."""
    from agy_nb.sdk.versions import sdk_version

    owner = attribute.owner.replace(":", ".")
    return UnsupportedSdkError(
        f"google-antigravity {sdk_version()} has no {owner}.{attribute.name}, which agy_nb needs: "
        f"{attribute.why}. {REMEDY[0].upper()}{REMEDY[1:]}"
    )
