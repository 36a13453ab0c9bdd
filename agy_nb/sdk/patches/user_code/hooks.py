"""How the hooks of one agent run.

A hook that raises more than an ordinary error has failed like any other. A pre-turn hook that fails
denies the turn: on an error the harness just closes the connection. The results of hooks hold what
the wire can hold: an answer that cannot be sent would leave the harness waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.antigravity import types
from google.antigravity.hooks import hooks

from agy_nb.protocol.encodable import encodable, encodable_text
from agy_nb.sdk.deadlocks import user_code
from agy_nb.sdk.patches.user_code.guard import contained_wait, sayable, words_of

Recorded = Callable[[], types.QuestionHookResult | None]
"""Gives the recorded answers to the question of the running task, None if it is asked now."""


OnDenied = Callable[[str], None]
"""Takes the reason for which a pre-turn hook denies a prompt."""


def contain_hooks(
    runner: Any,
    recorded_answers: Recorded,
    on_denied: OnDenied,
    raised: dict[str, BaseException],
) -> None:
    """Have an SDK's hook runner contain its hooks, and answer questions from a recording.

    Args:
        runner: The SDK's.
        recorded_answers: Gives a recording's answers.
        on_denied: Called when a pre-turn hook denies a prompt.
        raised: What host tools raised, by the call's id; becomes the `__cause__` of the error that
            a hook on a tool's error gets.
    """
    for name in dir(type(runner)):
        if name.startswith("dispatch_"):
            setattr(runner, name, _contained(getattr(runner, name)))
    pre_turn, interaction = runner.dispatch_pre_turn, runner.dispatch_interaction
    tool_error = runner.dispatch_on_tool_error

    async def deny_when_failed(*args: Any, **kwargs: Any) -> Any:
        try:
            result, context = await pre_turn(*args, **kwargs)
        except Exception as error:
            result = types.HookResult(allow=False, message=f"the hook failed: {words_of(error)}")
            context = hooks.TurnContext(runner.session_context)
        if not result.allow:
            on_denied(result.message or "")
        return result, context

    async def answer_or_ask(*args: Any, **kwargs: Any) -> Any:
        answers = recorded_answers()
        if answers is None:
            return await interaction(*args, **kwargs)
        turn = kwargs.get("turn_context") or hooks.TurnContext(runner.session_context)
        return types.HookResult(allow=True), answers, hooks.OperationContext(turn)

    async def with_its_cause(context: Any, error: Exception, *args: Any, **kwargs: Any) -> Any:
        error.__cause__ = raised.pop(getattr(error, "call_id", None) or "", None)
        return await tool_error(context, error, *args, **kwargs)

    runner.dispatch_on_tool_error = with_its_cause
    runner.dispatch_pre_turn = deny_when_failed
    runner.dispatch_interaction = answer_or_ask


def _contained(dispatch: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dispatch_contained(*args: Any, **kwargs: Any) -> Any:
        try:
            with user_code("a hook"):
                result = await contained_wait(dispatch(*args, **kwargs))
            return _sendable(result)
        except Exception as error:
            said = sayable(error)
            if said is error:
                raise
            raise said.with_traceback(error.__traceback__) from None  # a log holds the words, too

    return dispatch_contained


def _sendable(result: Any) -> Any:
    """Return the result of a dispatch, with texts and numbers that the wire can hold."""
    if isinstance(result, tuple):
        return tuple(_sendable(each) for each in result)
    if isinstance(result, str):
        return encodable_text(result)
    if isinstance(result, types.QuestionHookResult):
        answers = [_with_sendable_fields(each) for each in result.responses]
        return result.model_copy(update={"responses": answers})
    if isinstance(result, types.HookResult | types.StopHookResult):
        return _with_sendable_fields(result)
    return result


def _with_sendable_fields(result: Any) -> Any:
    fields = {name: getattr(result, name) for name in type(result).model_fields}
    changed = {
        name: encodable(value)
        for name, value in fields.items()
        if isinstance(value, str | list | dict)
    }
    return result.model_copy(update=changed)
