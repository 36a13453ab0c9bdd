"""Every error that agy_nb raises, under one base.

```
AgyError
  + InvalidInputError        what you passed cannot be used; `field` names it
  |   + InvalidPromptError   an empty prompt, or a part that is no content
  |   + InvalidConfigError   a configuration that the SDK or we refuse
  |   + InvalidMessageError  a protocol message that does not fit its type
  + BackendError             the SDK, its harness or the model failed
  |   + HarnessError         the harness is missing, broken or gone
  |   + QuotaExceededError   the model's quota is spent; `retry_after` seconds
  |   + SafetyError          the model refused on safety grounds
  |   + MaxTokensError       the answer ran into its token limit
  |   + UnsupportedSdkError  an SDK version that we were not tested with
  + BudgetExceededError      a turn or session used more than a budget of RuntimeConfig allows
  + AgyTimeoutError          something took longer than its limit (also a TimeoutError)
  + TurnCancelledError       the turn was cancelled; `partial_text` holds what had come
  + TurnDeniedError          a pre-turn hook denied the prompt; `reason` says why
  + DeadlockError            user code of a turn waits for its own agent
  + AgentNotStartedError     the agent was shut down, deleted or disconnected
  + ChannelClosedError       the runtime is closed, or closed before it answered
  + WrongLoopError           called from an event loop that is not the runtime's
```

Rule 1: an error says what happened, where, and what to do next.
Rule 2: what a program needs to know is an attribute, never only text.
"""

from __future__ import annotations

import typing
from importlib import import_module

from agy_nb.terminal import printable

if typing.TYPE_CHECKING:
    from agy_nb.analysis.errors import (
        MissingExtraError as MissingExtraError,
        SpansNotExportedError as SpansNotExportedError,
    )
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

    What to do: catch it where any of them may come; its text says what happened and what to do.

    Attributes:
        retryable: Whether the same request may succeed later, unchanged: after a spent quota, an
            outage of the model's service, a lost connection or a time limit.

    Example:
        >>> try:
        ...     await agent.chat("")
        ... except agy.AgyError as error:
        ...     print(type(error).__name__, error.retryable)
        InvalidPromptError False
    """

    retryable: bool = False

    def __str__(self) -> str:
        """The message, safe to print: it may hold words of a model, a tool or a cassette."""
        return printable(super().__str__())


class InvalidInputError(AgyError):
    """What was passed cannot be used.

    What to do: pass what the message asks for, in the place that `field` names.

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
    """The prompt is empty, or one of its parts is no content.

    What to do: pass text, the SDK's `Image`, `Document`, `Audio` or `Video`, or a list of these.

    Example:
        >>> await agent.chat("")
        Traceback (most recent call last):
        agy_nb.errors.InvalidPromptError: the prompt is empty; pass some text, ...
    """


class InvalidConfigError(InvalidInputError):
    """The agent's or the runtime's configuration is refused, by the SDK or by us.

    What to do: correct the setting that `field` names; settings are those of the SDK's
    `LocalAgentConfig`, and of `RuntimeConfig`.

    Example:
        >>> agy.RuntimeConfig(chat_timeout=0)
        Traceback (most recent call last):
        agy_nb.errors.InvalidConfigError: RuntimeConfig(chat_timeout=...) must be above 0 ...
    """


class InvalidMessageError(InvalidInputError):
    """A command, reply or event does not fit its type; `field` is the path to it.

    What to do: send what `agy_nb.protocol.commands` describes. It comes from the protocol's JSON
    codec, which only programs that speak the protocol themselves use.

    Example:
        >>> from agy_nb.protocol import codec
        >>> codec.decode("{}")
        Traceback (most recent call last):
        agy_nb.errors.InvalidMessageError: a protocol message must be a JSON object ...
    """


_OUTAGES = frozenset({408, 425, 429})
_SERVER_ERRORS = range(500, 600)


def _is_outage(http_code: int | None) -> bool:
    """Whether a status code of the model's service means "try again later"."""
    return http_code in _OUTAGES or http_code in _SERVER_ERRORS


class BackendError(AgyError):
    """The SDK, its harness or the model failed.

    What to do: the message has the model's own words and what they ask for, most of the time a
    valid key or another model. The agent takes the next prompt.

    Attributes:
        http_code: Status code of the model's answer, or None where there was none.

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
        self.retryable = _is_outage(http_code) if retryable is None else retryable


class HarnessError(BackendError):
    """The harness binary is missing, does not start, or is gone.

    What to do: run `agy-nb doctor`. An agent whose harness died starts another one with the next
    prompt.

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
    """The installed google-antigravity is outside the versions that were tested.

    What to do: install a version that the message names, with the command that it shows.

    Example:
        >>> agy.UnsupportedSdkError("google-antigravity 0.0.1 is not supported").http_code is None
        True
    """


class QuotaExceededError(BackendError):
    """The model's quota is spent, also after the retries that were asked for.

    What to do: wait for `retry_after` seconds, or set `RuntimeConfig(max_quota_retries=...)` to
    have the turn tried again for you.

    Attributes:
        retry_after: Seconds after which another try makes sense.
        hinted: Whether the model said so; otherwise it is our guess.

    Example:
        >>> print(agy.QuotaExceededError(30))
        the model's quota is spent; try again in 30 s, or set RuntimeConfig...
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
            or f"the model's quota is spent; try again in {retry_after:g} s, "
            "or set RuntimeConfig(max_quota_retries=...) to have it tried again for you",
            http_code=http_code,
            retryable=True,
        )
        self.retry_after = retry_after
        self.hinted = hinted


class SafetyError(BackendError):
    """The model refused to answer, or to go on, for safety reasons.

    What to do: rephrase the prompt. What had come is in `response.partial_text`.

    Example:
        >>> async with agy.testing.ScriptedModel(agy.testing.block()) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Hello")
        Traceback (most recent call last):
        agy_nb.errors.SafetyError: 3 failed answers of the model in a row ended the turn ...
    """


class MaxTokensError(BackendError):
    """The answer ran into the model's limit of output tokens.

    What to do: ask for less at once, or raise `max_output_tokens` in the configuration of the
    model. What had come is in `response.partial_text`.

    Example:
        >>> cut_off = agy.testing.say("Once upon a", finish_reason="MAX_TOKENS")
        >>> async with agy.testing.ScriptedModel(cut_off) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await agent.chat_text("Tell me a story")
        Traceback (most recent call last):
        agy_nb.errors.MaxTokensError: 3 failed answers of the model in a row ended the turn ...
    """


class AgyTimeoutError(AgyError, TimeoutError):
    """Something took longer than its limit; it is a `TimeoutError`, too.

    What to do: raise the limit in `RuntimeConfig`, or find out what hangs: for `"chat"` the model
    or a tool said nothing for so long.

    Attributes:
        duration: The limit that was passed, in seconds.
        operation: What took too long, e.g. `"chat"`.

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
    """A turn or an agent's session used more than a budget of `RuntimeConfig` allows.

    What to do: raise the budget that `budget` names, or ask for less. What the turn had said is in
    `response.partial_text`. After `max_session_cost_usd` the agent takes no further prompts; create
    another one.

    Attributes:
        budget: Name of the setting of `RuntimeConfig`, e.g. `"max_turn_tokens"`.
        limit: The budget: seconds, tokens or US dollars.
        used: What was used when the turn was ended, in the same unit; None where it is not known.

    Example:
        >>> async with agy.Runtime(agy.RuntimeConfig(max_turn_tokens=100)) as runtime:
        ...     agent = await runtime.create_agent()
        ...     await agent.chat_text("Hello")
        Traceback (most recent call last):
        agy_nb.errors.BudgetExceededError: the turn used ... tokens, more than ...
    """

    def __init__(self, message: str, *, budget: str, limit: float, used: float | None) -> None:
        super().__init__(message)
        self.budget = budget
        self.limit = limit
        self.used = used


class TurnCancelledError(AgyError):
    """The turn was cancelled before it was done: by `cancel`, a stop button or an interrupt.

    What to do: nothing, if you wanted that; the agent takes the next prompt.

    Attributes:
        partial_text: The root agent's text up to that moment.

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
            or "the turn was cancelled; what had come is in response.partial_text, "
            "and the agent takes the next prompt"
        )
        self.partial_text = partial_text


class TurnDeniedError(AgyError):
    """A pre-turn hook denied the prompt, so the model was not asked.

    What to do: change the prompt as `reason` says, or the hook. The agent takes the next prompt.

    Attributes:
        reason: Why, in the hook's words; empty where it gave none.

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
    """A tool, a hook or an approval handler waits for the agent whose turn waits for it.

    What to do: start the turn with `agent.chat` and read its answer after this one, ask another
    agent, or wait in a task that the tool does not wait for.

    Example:
        >>> async def ask_again(question: str) -> str:
        ...     return await agent.chat_text(question)
        >>> agent = await agy.create_agent(tools=[ask_again])
        >>> response = await (await agent.chat("Use ask_again for Paris"))
        >>> [result.error for result in response.tool_results]
        ["the tool 'ask_again' waits for agent ..., whose turn waits for it, ..."]
    """


class AgentNotStartedError(AgyError):
    """The agent is not there (any more): it was shut down, deleted or disconnected.

    What to do: create another one; with `conversation_id` and `save_dir` in its configuration it
    takes the conversation up.

    Example:
        >>> await agent.shutdown()
        >>> await agent.chat("Hello")
        Traceback (most recent call last):
        agy_nb.errors.AgentNotStartedError: agent ... was shut down, deleted or disconnected; ...
    """


class ChannelClosedError(AgyError):
    """The runtime is closed, or was closed before it answered.

    What to do: make another one. `agy.runtime()` and `agy.create_agent()` do so by themselves.

    Example:
        >>> rt = agy.Runtime()
        >>> await rt.close()
        >>> await rt.create_agent()
        Traceback (most recent call last):
        agy_nb.errors.ChannelClosedError: the runtime is closed; make another one ...
    """


class WrongLoopError(AgyError):
    """Called from an event loop that is not the one the runtime lives on.

    What to do: await it where the runtime was first used; from other threads use `agent.sync`.

    Example:
        >>> await asyncio.to_thread(asyncio.run, agent.turn_count())
        Traceback (most recent call last):
        agy_nb.errors.WrongLoopError: this runtime lives on another event loop; call it from ...
    """


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - one of the classes above
    if name.endswith("Error"):
        for module in _FURTHER:
            found = vars(import_module(f"agy_nb.{module}")).get(name)
            if isinstance(found, type) and issubclass(found, AgyError):
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
