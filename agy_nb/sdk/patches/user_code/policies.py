"""How the predicates and handlers of the user's own policies run.

In a replay, the recorded answer is used instead of the handler, which would ask a person. An error
that would end more than the handler becomes a denial with its message.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from agy_nb.sdk.deadlocks import user_code
from agy_nb.sdk.patches.approval_context import (
    deny_with,
    recorded_decision,
    recorded_match,
)
from agy_nb.sdk.patches.user_code.guard import UserCodeError, contained_wait, sayable

if TYPE_CHECKING:
    from google.antigravity.hooks import policy


def guarded(rule: policy.Policy) -> policy.Policy:
    """Return the same rule with its predicate and its handler guarded.

    Args:
        rule: One whose handler is the user's own, or that has none.
    """
    changes: dict[str, Any] = {}
    if rule.when is not None:
        changes["when"] = _guarded(rule.when, recorded_match)
    if rule.ask_user is not None:
        changes["ask_user"] = _guarded(rule.ask_user, _recorded_answer)
    return replace(rule, **changes) if changes else rule


def contained_predicate(rule: policy.Policy) -> policy.Policy:
    """Return the same rule with its predicate guarded, unless a recording has the result."""
    return rule if rule.when is None else replace(rule, when=_guarded(rule.when, lambda: None))


def _recorded_answer() -> bool | None:
    decision = recorded_decision()
    if decision is None:
        return None
    if not decision.allowed:
        deny_with(decision.reason)
    return decision.allowed


def _guarded(work: Callable[..., Any], recorded: Callable[[], bool | None]) -> Any:
    """Return a guarded function with the signature of the user's, which the SDK reads."""

    async def run(*args: Any, **kwargs: Any) -> Any:
        known = recorded()
        if known is not None:
            return known
        try:
            with user_code("the handler of a policy"):
                return await contained_wait(_result_of(work, *args, **kwargs))
        except UserCodeError as error:
            deny_with(f"the policy failed: {error}")
            raise
        except Exception as error:
            said = sayable(error)
            if said is error:
                raise
            deny_with(f"the policy failed: {said}")
            raise said.with_traceback(error.__traceback__) from None  # a log holds the words, too

    try:
        return wraps(work)(run)
    except (AttributeError, TypeError):
        return run


async def _result_of(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = work(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result
