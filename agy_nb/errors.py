"""Every error that agy_nb raises, under one base.

```
AgyError
  + InvalidInputError        an argument cannot be used; `field` names it
  |   + InvalidPromptError   the prompt is empty, or a part is neither text nor media
  |   + InvalidConfigError   the SDK or agy_nb rejects the configuration
  |   + InvalidMessageError  a protocol message does not fit its type
  + BackendError             the SDK, its harness or the model failed
  |   + HarnessError         the harness is missing, broken or has ended
  |   + QuotaExceededError   the model's quota is exceeded; retry after `retry_after` seconds
  |   + SafetyError          the model refused for safety reasons
  |   + MaxTokensError       the answer reached its token limit
  |   + UnsupportedSdkError  this version of the SDK was not tested with agy_nb
  + BudgetExceededError      a turn or a session exceeded a budget of RuntimeConfig
  + AgyTimeoutError          an operation took longer than its limit (also a TimeoutError)
  + TurnCancelledError       the turn was cancelled; `partial_text` holds the text so far
  + TurnDeniedError          a pre-turn hook denied the prompt; `reason` holds the hook's reason
  + CheckpointError          the state of a conversation after a turn cannot be restored
  + DeadlockError            code that a turn runs waits for the same agent
  + AgentNotStartedError     the agent was shut down, deleted or disconnected
  + ChannelClosedError       the runtime is closed, or closed before it answered
  + WrongLoopError           called from another event loop than the runtime's
```

A message names the problem, the place and the next step. Values that a program needs are
attributes, not only part of the message.
"""

from __future__ import annotations

import typing
from html import escape
from importlib import import_module

from agy_nb.terminal import printable

if typing.TYPE_CHECKING:
    from agy_nb.analysis.errors import (
        MissingExtraError as MissingExtraError,
        SpansNotExportedError as SpansNotExportedError,
    )
    from agy_nb.assertions.errors import ExpectationError as ExpectationError
    from agy_nb.cassette.drift.errors import (
        DriftError as DriftError,
        HarnessSilentError as HarnessSilentError,
        NoModelError as NoModelError,
        RerunRefusedError as RerunRefusedError,
        UnknownAddressError as UnknownAddressError,
    )
    from agy_nb.cassette.errors import (
        CassetteActiveError as CassetteActiveError,
        CassetteBusyError as CassetteBusyError,
        CassetteError as CassetteError,
        CassetteInvalidError as CassetteInvalidError,
        CassetteMismatchError as CassetteMismatchError,
        CassetteNotFoundError as CassetteNotFoundError,
        CassetteNotWrittenError as CassetteNotWrittenError,
        EchoRecordingError as EchoRecordingError,
        RebuildError as RebuildError,
    )
    from agy_nb.cassette.shim.errors import (
        HandshakeError as HandshakeError,
        NoHarnessError as NoHarnessError,
        NoLauncherError as NoLauncherError,
        ShimError as ShimError,
    )
    from agy_nb.demo import DemoError as DemoError
    from agy_nb.headless import NoKernelError as NoKernelError
    from agy_nb.kernel.errors import (
        CannotBlockError as CannotBlockError,
        KernelError as KernelError,
        NoStdinError as NoStdinError,
    )
    from agy_nb.pytest_plugin.errors import (
        FixtureScopeError as FixtureScopeError,
        InvalidMarkerError as InvalidMarkerError,
        NetworkBlockedError as NetworkBlockedError,
        NoAsyncPluginError as NoAsyncPluginError,
    )
    from agy_nb.testing.errors import (
        InvalidScriptError as InvalidScriptError,
        NoScriptError as NoScriptError,
        ScriptCrashedError as ScriptCrashedError,
        ScriptError as ScriptError,
        ScriptExhaustedError as ScriptExhaustedError,
        TurnsUnusedError as TurnsUnusedError,
    )

_FURTHER = (
    "cassette.errors",
    "analysis.errors",
    "testing.errors",
    "assertions.errors",
    "kernel.errors",
    "pytest_plugin.errors",
    "cassette.shim.errors",
    "cassette.drift.errors",
    "headless",
    "demo",
)
"""Modules whose errors can be imported from here too; each is loaded on first use."""


class AgyError(Exception):
    """Base of every error of this package.

    What to do: catch it where you want to handle every error of agy_nb in the same way.

    Attributes:
        retryable: Whether the same request may succeed later without a change: after an exceeded
            quota, an outage of the model's service, a lost connection or a timeout.

    Example:
        >>> try:
        ...     await agent.chat("")
        ... except agy.AgyError as error:
        ...     print(type(error).__name__, error.retryable)
        InvalidPromptError False
    """

    retryable: bool = False

    def __str__(self) -> str:
        """Return the message without control characters: it may quote a model or a tool."""
        return printable(super().__str__())

    def _repr_html_(self) -> str:
        """Show the whole message in a notebook; the `repr` has its lines in one."""
        name, message = escape(type(self).__name__), escape(str(self))
        return f"<pre style='white-space:pre-wrap'><b>{name}</b>: {message}</pre>"


class InvalidInputError(AgyError):
    """An argument has the wrong type or value.

    What to do: correct the argument or setting that `field` names.

    Attributes:
        field: Name of the argument, setting or message field at fault.

    Example:
        >>> agy.load("no/such/folder")
        Traceback (most recent call last):
        agy_nb.errors.InvalidInputError: there is nothing at 'no/such/folder'; name a folder or ...
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidPromptError(InvalidInputError):
    """The prompt is empty, or one of its parts is neither text nor media.

    What to do: pass text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.

    Example:
        >>> await agent.chat("")
        Traceback (most recent call last):
        agy_nb.errors.InvalidPromptError: the prompt is empty; pass some text, ...
    """


class InvalidConfigError(InvalidInputError):
    """The SDK or agy_nb rejects the configuration of an agent or a runtime.

    What to do: correct the setting that `field` names. Agents have the settings of the SDK's
    `LocalAgentConfig`, runtimes those of `RuntimeConfig`.

    Example:
        >>> agy.RuntimeConfig(chat_timeout=0)
        Traceback (most recent call last):
        agy_nb.errors.InvalidConfigError: RuntimeConfig(chat_timeout=...) must be above 0 ...
    """


class InvalidMessageError(InvalidInputError):
    """A command, reply or event does not fit its type; `field` is the path to it.

    What to do: compare the message with `agy_nb.protocol.commands`. Only programs that use the
    protocol's JSON codec directly see this error.

    Example:
        >>> from agy_nb.protocol import codec
        >>> codec.decode("{}")
        Traceback (most recent call last):
        agy_nb.errors.InvalidMessageError: a protocol message must be a JSON object ...
    """


_OUTAGES = frozenset({408, 425, 429})
_SERVER_ERRORS = range(500, 600)


def _is_outage(http_code: int | None) -> bool:
    """Return whether a status code of the model's service means "try again later"."""
    return http_code in _OUTAGES or http_code in _SERVER_ERRORS


class BackendError(AgyError):
    """The SDK, its harness or the model failed.

    What to do: read the model's explanation in the message. In most cases you need a valid API key
    or another model. You can send the agent another prompt.

    Attributes:
        http_code: HTTP status code of the model's answer; None if the model did not answer.

    Example:
        >>> async with agy.testing.ScriptedModel(agy.testing.fail(401)) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Hello")
        Traceback (most recent call last):
        agy_nb.errors.BackendError: the model did not accept the API key (HTTP 401); ...
    """

    def __init__(
        self, message: str, *, http_code: int | None = None, retryable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.http_code = http_code
        self.retryable: bool = _is_outage(http_code) if retryable is None else retryable


class HarnessError(BackendError):
    """The harness binary is missing or does not start, or the harness process has ended.

    What to do: run `agy-nb doctor`. An agent whose harness has ended starts another one for the
    next prompt.

    Example:
        >>> import os
        >>> os.environ["ANTIGRAVITY_HARNESS_PATH"] = "/no/such/harness"
        >>> try:
        ...     await agy.create_agent()
        ... finally:
        ...     del os.environ["ANTIGRAVITY_HARNESS_PATH"]
        Traceback (most recent call last):
        agy_nb.errors.HarnessError: the harness /no/such/harness did not start: ...
    """


class UnsupportedSdkError(BackendError):
    """The installed version of google-antigravity was not tested with agy_nb.

    What to do: install a tested version with the command in the message.

    Example:
        >>> agy.UnsupportedSdkError("google-antigravity 0.0.1 is not supported").http_code is None
        True
    """


class QuotaExceededError(BackendError):
    """The model's quota is exceeded, also after `max_quota_retries` retries.

    What to do: wait for `retry_after` seconds, or set `RuntimeConfig(max_quota_retries=...)` to
    retry automatically.

    Attributes:
        retry_after: Seconds to wait before the next try.
        hinted: Whether the model sent `retry_after`; otherwise agy_nb estimated it.

    Example:
        >>> print(agy.QuotaExceededError(30))
        the model's quota is exceeded; try again in 30 s, or set RuntimeConfig...
    """

    def __init__(
        self,
        retry_after: float,
        *,
        message: str = "",
        http_code: int | None = 429,
        hinted: bool = True,
    ) -> None:
        super().__init__(
            message
            or f"the model's quota is exceeded; try again in {retry_after:g} s, "
            "or set RuntimeConfig(max_quota_retries=...) to retry automatically",
            http_code=http_code,
            retryable=True,
        )
        self.retry_after = retry_after
        self.hinted = hinted


class SafetyError(BackendError):
    """The model refused to answer, or stopped its answer, for safety reasons.

    What to do: rephrase the prompt. The text so far is in `response.partial_text`.

    Example:
        >>> async with agy.testing.ScriptedModel(agy.testing.block()) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Hello")
        Traceback (most recent call last):
        agy_nb.errors.SafetyError: 3 failed answers of the model in a row ended the turn ...
    """


class MaxTokensError(BackendError):
    """The answer reached the model's limit of output tokens.

    What to do: ask for a shorter answer, or raise `max_output_tokens` in the configuration of the
    model. The text so far is in `response.partial_text`.

    Example:
        >>> cut_off = agy.testing.say("Once upon a", finish_reason="MAX_TOKENS")
        >>> async with agy.testing.ScriptedModel(cut_off) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Tell me a story")
        Traceback (most recent call last):
        agy_nb.errors.MaxTokensError: 3 failed answers of the model in a row ended the turn ...
    """


class AgyTimeoutError(AgyError, TimeoutError):
    """An operation took longer than its limit; also a `TimeoutError`.

    What to do: raise the limit in `RuntimeConfig`, or find the part that hangs. For `"chat"`,
    neither the model nor a tool sent anything for `duration` seconds.

    Attributes:
        duration: The limit, in seconds.
        operation: Name of the operation, e.g. `"chat"`.

    Example:
        >>> async with agy.testing.ScriptedModel(agy.testing.hang()) as model:
        ...     async with agy.Runtime(agy.RuntimeConfig(chat_timeout=0.5)) as rt:
        ...         agent = await rt.create_agent(model.config())
        ...         await agent.chat_text("Hello")
        Traceback (most recent call last):
        agy_nb.errors.AgyTimeoutError: chat took longer than 0.5 s; ...
    """

    retryable = True

    def __init__(self, duration: float, operation: str, *, hint: str = "") -> None:
        super().__init__(
            f"{operation} took longer than {duration:g} s"
            + (f"; {hint}" if hint else "; raise its limit in RuntimeConfig, or cancel() the turn")
        )
        self.duration = duration
        self.operation = operation


class BudgetExceededError(AgyError):
    """A turn or an agent's session exceeded a budget of `RuntimeConfig`.

    What to do: raise the budget that `budget` names, or ask for less. The text so far is in
    `response.partial_text`. An agent that exceeded `max_session_cost_usd` accepts no more prompts;
    create another one.

    Attributes:
        budget: Name of the setting of `RuntimeConfig`, e.g. `"max_turn_tokens"`.
        limit: The budget, in seconds, tokens or US dollars.
        used: The amount when the turn was ended, in the same unit; None if it is not known.

    Example:
        >>> async with agy.Runtime(agy.RuntimeConfig(max_turn_tokens=100)) as runtime:
        ...     agent = await runtime.create_agent()
        ...     await agent.chat_text("Hello")
        Traceback (most recent call last):
        agy_nb.errors.BudgetExceededError: the turn was ended: it used ... tokens, more than ...
    """

    def __init__(self, message: str, *, budget: str, limit: float, used: float | None) -> None:
        super().__init__(message)
        self.budget = budget
        self.limit = limit
        self.used = used


class TurnCancelledError(AgyError):
    """The turn was cancelled before its end: by `cancel`, a stop button or an interrupt.

    What to do: nothing. You can send the agent another prompt.

    Attributes:
        partial_text: The root agent's text until the cancellation.

    Example:
        >>> response = await agent.chat("Hello")
        >>> await response.cancel()
        >>> await response.text()
        Traceback (most recent call last):
        agy_nb.errors.TurnCancelledError: the turn was cancelled; ...
    """

    def __init__(self, partial_text: str = "", *, message: str = "") -> None:
        super().__init__(
            message
            or "the turn was cancelled; the text so far is in response.partial_text, "
            "and you can send another prompt"
        )
        self.partial_text = partial_text


class TurnDeniedError(AgyError):
    """A pre-turn hook denied the prompt, so the model did not receive it.

    What to do: change the prompt as `reason` explains, or change the hook. You can send the agent
    another prompt.

    Attributes:
        reason: The hook's reason; empty if it gave none.

    Example:
        >>> from google.antigravity import types
        >>> from google.antigravity.hooks import hooks
        >>> @hooks.pre_turn
        ... async def office_hours(prompt):
        ...     return types.HookResult(allow=False, message="come back tomorrow")
        >>> agent = await agy.create_agent(hooks=[office_hours])
        >>> await agent.chat_text("Hello")
        Traceback (most recent call last):
        agy_nb.errors.TurnDeniedError: a pre-turn hook denied the prompt: come back tomorrow
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(f"a pre-turn hook denied the prompt: {reason or 'it gave no reason'}")
        self.reason = reason


class DeadlockError(AgyError):
    """A tool, a hook or an approval handler waits for its own agent, so neither could finish.

    What to do: start the turn with `agent.chat` and read its answer after the current turn. Or ask
    another agent, or wait in a separate task.

    Example:
        >>> async def ask_again(question: str) -> str:
        ...     return await agent.chat_text(question)
        >>> agent = await agy.create_agent(tools=[ask_again])
        >>> response = await (await agent.chat("Use ask_again for Paris"))
        >>> [result.error for result in response.tool_results]
        ["DeadlockError: the tool 'ask_again' waits for agent ..., whose turn waits ..."]
    """


class CheckpointError(AgyError):
    """The state of a conversation after a turn was not kept, or cannot be restored.

    What to do: the message has the reason. Outside notebooks, create the runtime with
    `RuntimeConfig(checkpoints="all")`. You can always fork from the current state.

    Example:
        >>> from agy_nb.runtime.checkpoints.database import read_pages
        >>> from pathlib import Path
        >>> await asyncio.to_thread(read_pages, Path("no-such-conversation.db"))
        Traceback (most recent call last):
        agy_nb.errors.CheckpointError: the harness keeps no file no-such-conversation.db for ...
    """


class AgentNotStartedError(AgyError):
    """The agent was shut down, deleted or disconnected, or its runtime was closed.

    What to do: create another one. Pass the `conversation_id` and `save_dir` of the old one to
    resume its conversation.

    Example:
        >>> await agent.shutdown()
        >>> await agent.chat("Hello")
        Traceback (most recent call last):
        agy_nb.errors.AgentNotStartedError: agent ... was shut down, deleted or disconnected; ...
    """


class ChannelClosedError(AgyError):
    """The runtime is closed, or closed before it answered.

    What to do: create another one. `agy.runtime()` and `agy.create_agent()` do this automatically.

    Example:
        >>> rt = agy.Runtime()
        >>> await rt.close()
        >>> await rt.create_agent()
        Traceback (most recent call last):
        agy_nb.errors.ChannelClosedError: the runtime is closed; create another one ...
    """


class WrongLoopError(AgyError):
    """Called from another event loop than the one that the runtime belongs to.

    What to do: await the call on the loop where the runtime was first used. In other threads, use
    `agent.sync`.

    Example:
        >>> await asyncio.to_thread(asyncio.run, agent.turn_count())
        Traceback (most recent call last):
        agy_nb.errors.WrongLoopError: this runtime belongs to another event loop; call it from ...
    """


def __getattr__(name: str) -> typing.Any:
    if name.endswith("Error"):
        for module in _FURTHER:
            found = vars(import_module(f"agy_nb.{module}")).get(name)
            if isinstance(found, type) and issubclass(found, AgyError):
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    modules = [globals(), *(vars(import_module(f"agy_nb.{module}")) for module in _FURTHER)]
    return sorted(
        name
        for names in modules
        for name, value in names.items()
        if name[0] != "_" and isinstance(value, type) and issubclass(value, AgyError)
    )
