"""Decide on tool calls with the user's approval handler, and deny in every case of doubt.

Rule 1: only an answer, a grant of the user or a recorded decision allows a call. An error, a
timeout, a cancelled turn and a missing handler deny it.
Rule 2: every request and every decision is an event of the turn, also if a cassette decides.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeAlias

from agy_nb.errors import InvalidConfigError
from agy_nb.protocol.events import Approval, ApprovalState, Event
from agy_nb.runtime.approvals.grants import Grants
from agy_nb.sdk.deadlocks import user_code
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.sdk.interfaces.approval_request import ApprovalDecision, ApprovalRequest
from agy_nb.sdk.patches.user_code.guard import contained, contained_wait, words_of
from agy_nb.sdk.process.executor import run_in_new_thread

Answer: TypeAlias = bool | ApprovalDecision
AskUser: TypeAlias = (
    Callable[[ApprovalRequest], Answer | Awaitable[Answer]]
    | Callable[[str, dict[str, Any]], Answer | Awaitable[Answer]]
)
"""A user's handler of a request, or of the tool's name and its arguments; plain or async."""

Ask: TypeAlias = Callable[[ApprovalRequest], Coroutine[Any, Any, ApprovalDecision]]

_REMEMBERED = ("tool", "call")
_numbers = itertools.count(1)


class ApprovalGate:
    """Decides on the tool calls of one agent and its subagents.

    Args:
        handler: The user's handler; None denies every call.
        timeout: Seconds that the handler has to answer.
        emit: Called with each approval event.
        agent_id: The agent's number, which the handler finds in its request.

    Attributes:
        context: The context that the handler runs in, so that its output goes to the turn's cell.
        grants: The calls that were allowed in advance, without asking again.
        refuses: Whether requests are denied without asking, because their turn is ending.

    Raises:
        InvalidConfigError: The handler cannot be called with a request, or with a name and
            arguments.
    """

    def __init__(
        self,
        handler: AskUser | None,
        *,
        timeout: float,
        emit: Callable[[Event], None],
        agent_id: int | None = None,
    ) -> None:
        self._agent_id = agent_id
        self._handler = None if handler is None else _normalised(handler)
        self._timeout = timeout
        self._emit = emit
        self.context: contextvars.Context = contextvars.copy_context()
        self._pending: dict[asyncio.Task[Any], Callable[[], None]] = {}
        self.grants: Grants = Grants()
        self.refuses: bool = False
        self._closed = False

    async def __call__(self, request: ApprovalRequest) -> ApprovalDecision:
        """Decide on a call, and emit the request and the decision as events."""
        number = f"approval-{next(_numbers)}"
        request = replace(
            request, approval_id=number, timeout=self._timeout, agent_id=self._agent_id
        )
        clock = asyncio.get_running_loop().time
        asked = clock()
        told: list[ApprovalState] = []

        def tell(state: ApprovalState, decision: ApprovalDecision) -> None:
            if told:
                return
            told.append(state)
            self._tell(
                number,
                request,
                state,
                reason=decision.reason,
                decided_by=decision.decided_by,
                wait=clock() - asked,
                edited=_edited(request, decision),
            )

        def cancelled() -> None:
            tell(*_CANCELLED)

        self._tell(number, request, ApprovalState.PENDING, reason=request.reason)
        state, decision = _CANCELLED
        try:
            state, decision = await self._decide(request, cancelled)
        finally:
            tell(state, decision)
        # `shut` has announced a denial while the handler answered. The answer is late and must not
        # run the tool.
        if told != [state]:
            return _CANCELLED[1]
        if state is ApprovalState.ALLOWED and decision.remember in _REMEMBERED:
            self._remember(request, decision)
        return decision

    def _remember(self, request: ApprovalRequest, decision: ApprovalDecision) -> None:
        if decision.args is None and request.recorded is None:
            self.grants.add(request, any_arguments=decision.remember == "tool")

    async def _decide(
        self, request: ApprovalRequest, cancelled: Callable[[], None]
    ) -> tuple[ApprovalState, ApprovalDecision]:
        if request.recorded is not None:
            allowed = request.recorded.allowed is True
            return (ApprovalState.ALLOWED if allowed else ApprovalState.DENIED), request.recorded
        if self.refuses or self._closed:
            return _CANCELLED
        if self._handler is None:
            return ApprovalState.DENIED, _denial(
                "there is no approval handler; create the agent with ask_user="
            )
        if (grant := self.grants.find(request)) is not None:
            what = "this tool" if grant.args is None else "this exact call"
            return ApprovalState.ALLOWED, ApprovalDecision(
                allowed=True, decided_by=f"a grant: {what}"
            )
        # In a task of its own: `shut` cancels that, and the SDK's task goes on and sends the
        # denial. That task cancelled, the harness would get no answer.
        task = asyncio.get_running_loop().create_task(
            self._handler(request), context=self.context.copy()
        )
        self._pending[task] = cancelled
        try:
            async with asyncio.timeout(self._timeout):
                decision = await task
        except TimeoutError:
            return ApprovalState.TIMED_OUT, _denial(f"no answer within {self._timeout:g} s")
        except asyncio.CancelledError:
            # Both `shut` and the end of the SDK's task arrive as a CancelledError here. Only the
            # count of cancellations of this task tells them apart.
            if asyncio.current_task() is not None and asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            return _CANCELLED
        except Exception as error:
            words = f"the approval handler failed: {words_of(error)}"
            return ApprovalState.FAILED, _denial(words, by="error")
        finally:
            task.cancel()
            self._pending.pop(task, None)
        return _checked(request, decision)

    def shut(self) -> None:
        """Deny the open requests, and each new one while `refuses` is true.

        The denials are events before this method returns. New requests may still arrive: a harness
        that receives the halt may already be asking.
        """
        self.refuses = True
        for task, cancelled in tuple(self._pending.items()):
            task.cancel()
            cancelled()

    def close(self) -> None:
        """Deny the open requests and all later ones."""
        self._closed = True
        self.shut()
        self.grants.revoke()

    def _tell(
        self,
        number: str,
        request: ApprovalRequest,
        state: ApprovalState,
        *,
        reason: str,
        decided_by: str = "",
        wait: float | None = None,
        edited: dict[str, Any] | None = None,
    ) -> None:
        self._emit(
            Approval(
                trajectory=request.trajectory,
                approval_id=number,
                tool=request.tool,
                args=request.args,
                server=request.server,
                state=state,
                reason=reason,
                decided_by=decided_by,
                wait=wait,
                edited=edited,
                call_id=request.call_id,
                at=now(),
            )
        )


def _denial(reason: str, by: str = "default") -> ApprovalDecision:
    return ApprovalDecision(allowed=False, reason=reason, decided_by=by)


def _checked(
    request: ApprovalRequest, decision: ApprovalDecision
) -> tuple[ApprovalState, ApprovalDecision]:
    """Turn a handler's decision into a state; a decision that makes no sense denies the call."""
    if (answer := _no_bool(decision.allowed)) is not None:
        return ApprovalState.FAILED, _denial(
            f"the approval handler answered allowed={answer}; it must be True or False", by="error"
        )
    if decision.allowed and decision.args is not None and not request.editable:
        return ApprovalState.FAILED, _denial(
            "the approval handler changed arguments that it cannot change here. Set its attribute "
            "`edits = True` before you create the agent; the calls of subagents cannot be changed",
            by="error",
        )
    return (ApprovalState.ALLOWED if decision.allowed else ApprovalState.DENIED), decision


def _no_bool(value: object) -> str | None:
    """Describe a value that is neither True nor False; return None for these two."""
    return None if isinstance(value, bool) else repr(value)


def _edited(request: ApprovalRequest, decision: ApprovalDecision) -> dict[str, Any] | None:
    """Return the changed arguments that a call runs with, None if they were not changed."""
    if not decision.allowed or decision.args is None:
        return None
    runs_with = {**request.args, **decision.args}
    return None if runs_with == request.args else runs_with


_CANCELLED = ApprovalState.CANCELLED, _denial("the turn ended before a decision")


def _normalised(handler: Any) -> Ask:
    two = _takes_name_and_args(handler)
    is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object with an async __call__
    )

    async def ask(request: ApprovalRequest) -> ApprovalDecision:
        args = (request.tool, dict(request.args)) if two else (request,)
        with user_code("the approval handler", plain=not is_async):
            # A new thread, because handlers that wait for a person would fill asyncio's pool.
            answer = (
                handler(*args) if is_async else await run_in_new_thread(contained(handler), *args)
            )
            if inspect.isawaitable(answer):
                answer = await contained_wait(answer)
        if isinstance(answer, ApprovalDecision):
            return answer
        if isinstance(answer, bool):
            return ApprovalDecision(allowed=answer, reason="" if answer else "the user said no")
        msg = f"it must return True, False or an ApprovalDecision, got {answer!r}"
        raise TypeError(msg)

    return ask


def _takes_name_and_args(handler: Any) -> bool:
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        signature = None
    if callable(handler) and signature is not None:
        for count in (1, 2):
            try:
                signature.bind(*range(count))
            except TypeError:
                continue
            return count == 2  # noqa: PLR2004 - the tool's name and its arguments
    raise InvalidConfigError(
        "ask_user must be a function of one argument (an ApprovalRequest) or of two arguments "
        f"(the tool's name and the call's arguments), got {handler!r}",
        field="ask_user",
    )
