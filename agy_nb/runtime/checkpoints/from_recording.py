"""`agy.fork`: start an agent that continues the conversation of a recording.

Rule 1: the conversation is rebuilt and compared before the agent starts. An agent whose history
differs from the recording is shut down again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from agy_nb.errors import InvalidConfigError, InvalidInputError
from agy_nb.protocol.commands import CreateAgent
from agy_nb.protocol.replies import AgentCreated
from agy_nb.protocol.turn_numbers import number_or_none
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.default_runtime import runtime
from agy_nb.runtime.handlers import CreateAgentPayload
from agy_nb.runtime.runtime import agent_spec
from agy_nb.sdk.config.agent_settings import AgentSettings, with_settings
from agy_nb.sdk.config.changed_config import value_of, workspaces_of
from agy_nb.sdk.interfaces.agent_spec import BranchPoint
from agy_nb.sdk.lazy_backend import load
from agy_nb.sdk.process import temporary_folders
from agy_nb.sdk.process.executor import run_in_thread

if TYPE_CHECKING:
    from agy_nb.cassette.rebuild.rebuild import Rebuild, Rebuilt


async def fork(
    recording: str | os.PathLike[str],
    turn: int | None = None,
    *,
    session: int | None = None,
    config: Any = None,
    tools: Sequence[Callable[..., Any]] = (),
    policies: Sequence[Any] = (),
    hooks: Sequence[Any] = (),
    triggers: Sequence[Any] = (),
    ask_user: AskUser | None = None,
    labels: Mapping[str, str] | None = None,
    **settings: Unpack[AgentSettings],
) -> Agent:
    """Start an agent that continues the conversation of a recording.

    The recorded turns run again on the real harness, with the recorded answers of the model and of
    your hooks, and the recorded results of your tools. No tool runs, and no model is asked. The
    result is compared with the recording. Then the agent continues live, with your model, tools and
    instructions. Those of the recording are not used. Marks that redaction has left in the
    recording stay marks. Paths in the recorded workspaces become paths in yours.

    Args:
        recording: Folder of the cassette.
        turn: The last turn of the recording to keep: 1 for the first, 0 for none, -1 for the last;
            None for all turns.
        session: Number of the session, from 0, in a cassette with several sessions.
        config: The SDK's configuration, or a mapping of its fields, for the new agent. Without a
            `save_dir`, the conversation is in a private folder, which is removed when the agent
            ends.
        tools: Host functions; see `create_agent`.
        policies: The SDK's policies.
        hooks: The SDK's hooks.
        triggers: The SDK's triggers.
        ask_user: Decides on tool calls; True lets the tool run.
        labels: Labels of the agent.
        **settings: Fields of the SDK's configuration by name, such as `model="..."`; see
            `create_agent`.

    Returns:
        The agent, started, on the default runtime.

    Raises:
        CassetteNotFoundError: The cassette does not exist.
        CassetteInvalidError: The cassette is damaged.
        RebuildError: The turns have a call that would run a second time, such as a built-in tool,
            or begin with a trigger; or the rebuilt conversation differs from the recording.
        InvalidInputError: The session or the turn does not exist.
        InvalidConfigError: No model is configured, or the configuration is rejected.
        HarnessError: The harness does not start.

    Example:
        >>> async with agy.testing.ScriptedModel([agy.testing.say("As before.")]) as model:
        ...     agent = await agy.fork("cassettes/plain_chat", turn=1, config=model.config())
        ...     print([message.content for message in await agent.history()])
        ...     print(await agent.chat_text("And now?"))
        ['Say hello', 'Hello']
        As before.
    """
    turn, session = number_or_none("turn", turn), number_or_none("session", session)
    path = _path_of(recording)
    config = with_settings(config, settings)
    spec, handler = agent_spec(
        config,
        tools=tools,
        policies=policies,
        hooks=hooks,
        triggers=triggers,
        ask_user=ask_user,
        labels=labels,
    )
    _must_name_no_conversation(config)
    module = await run_in_thread(load, "agy_nb.cassette.rebuild.rebuild")
    rebuild: Rebuild = module.Rebuild(path, turn, session)
    turns = await run_in_thread(rebuild.read)
    await _must_name_a_model(config)
    given = value_of(config, "save_dir")
    folder = given or await run_in_thread(temporary_folders.new_folder)
    try:
        rebuilt = await _rebuilt(rebuild, Path(folder), workspaces_of(config))
        point = BranchPoint(
            parent_agent_id=None,
            after_turn=turns,
            conversation_id=rebuilt.conversation_id or None,
            save_dir=folder,
        )
        payload = CreateAgentPayload(replace(spec, branch=point), handler)
        reply = await runtime().submit(CreateAgent(), payload)
        assert isinstance(reply, AgentCreated)
        agent = runtime().handle_of(reply.agent_id, handler)
        try:
            history = [(message.role, message.content) for message in await agent.history()]
            rebuild.must_be_history(rebuilt, history)
        except BaseException:
            await agent.shutdown()
            raise
    except BaseException:
        if given is None:
            await run_in_thread(temporary_folders.remove, folder)
        raise
    return agent


async def _rebuilt(rebuild: Rebuild, folder: Path, workspaces: Sequence[str] | None) -> Rebuilt:
    """Rebuild the conversation in a thread, which a cancelled caller stops."""
    work = asyncio.ensure_future(run_in_thread(rebuild.run, folder, workspaces))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        # A thread cannot be cancelled. Wait for its end, because the caller removes the folder
        # next.
        rebuild.cancel()
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # so that asyncio does not log it
        raise


def _path_of(recording: object) -> Path:
    if isinstance(recording, str | os.PathLike) and os.fspath(recording):
        return Path(recording)
    raise InvalidInputError(
        f"recording must be the folder of a cassette, got {recording!r}", field="recording"
    )


def _must_name_no_conversation(config: Any) -> None:
    for name in ("conversation_id", "session_continuation_mode"):
        if value_of(config, name):
            raise InvalidConfigError(
                f"config must not set {name}: the agent continues the conversation of the "
                "recording",
                field=name,
            )


async def lacks_model(config: Any) -> bool:
    """Return whether only the echo model could answer an agent with this configuration.

    Args:
        config: The SDK's configuration, or a mapping of its fields, or None.
    """
    configs = await run_in_thread(load, "agy_nb.sdk.config.sdk_config")
    interceptor = await run_in_thread(load, "agy_nb.sdk.process.interceptor")
    is_object = config is not None and not isinstance(config, Mapping)
    fields = dict.fromkeys(getattr(config, "model_fields_set", ())) if is_object else config
    return bool(configs.needs_a_model(fields) and await interceptor.model_needed())


async def _must_name_a_model(config: Any) -> None:
    """Check that a real model continues with the conversation, unless the user chose another one.

    Raises:
        InvalidConfigError: Only the echo model could answer.
    """
    if await lacks_model(config):
        raise InvalidConfigError(
            "no model can go on with the recording: set GEMINI_API_KEY, or pass a model with "
            "config=. To try it without a key, start agy.testing.EchoModel() and pass its config()",
            field="config",
        )
