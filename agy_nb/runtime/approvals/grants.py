"""Calls that the user has allowed in advance, for one agent until its end.

Agent numbers are unique within one runtime only. Grants are therefore not stored by agent number:
each agent's approval gate holds its own.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from html import escape

from agy_nb.errors import InvalidInputError
from agy_nb.protocol.values import JsonObject
from agy_nb.runtime.watchers import added
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest

_LONGEST = 80
"""The most characters of the grants in a `repr`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Permission for later calls of a tool.

    Attributes:
        tool: The tool's name.
        server: Name of its MCP server, or None.
        args: The arguments that it may run with, None for any.
        number: Which of its agent's grants it is, from 1.
    """

    tool: str
    server: str | None = None
    args: JsonObject | None = field(default=None, hash=False)
    number: int = field(default=0, compare=False)

    def covers(self, request: ApprovalRequest) -> bool:
        """Return whether the grant allows a request.

        Args:
            request: A tool call that waits for a decision.

        Example:
            >>> from agy_nb.runtime.approvals.grants import Grant
            >>> Grant(tool="delete").covers(agy.ApprovalRequest(tool="delete", args={"path": "x"}))
            True
        """
        if (self.tool, self.server) != (request.tool, request.server):
            return False
        return self.args is None or _canonical(self.args) == _canonical(request.args)

    def __str__(self) -> str:
        name = f"{self.server} · {self.tool}" if self.server else self.tool
        return f"{name}, any arguments" if self.args is None else f"{name} {_canonical(self.args)}"


class Grants:
    """The grants of one agent; `Agent.grants` has them. Iterate to list them, oldest first.

    A person makes them with "Always allow" in a card, a function with
    `ApprovalDecision(allowed=True, remember="tool")`. They hold for this agent and its subagents,
    and end with it.

    Example:
        >>> def once_is_enough(request):
        ...     return agy.ApprovalDecision(allowed=True, remember="tool")
        >>> script = [agy.testing.call("get_weather", city="Paris"), agy.testing.say("Sunny.")]
        >>> async with agy.testing.ScriptedModel(script) as model:
        ...     agent = await agy.create_agent(
        ...         model.config(), tools=[get_weather], ask_user=once_is_enough
        ...     )
        ...     await agent.chat_text("How is Paris?")
        'Sunny.'
        >>> agent.grants
        <Grants: get_weather, any arguments>
        >>> agent.grants.revoke()
        >>> list(agent.grants)
        []
    """

    def __init__(self) -> None:
        self._grants: list[Grant] = []
        self._numbers = itertools.count(1)
        self._watchers: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[Grant]:
        return iter(tuple(self._grants))

    def __len__(self) -> int:
        return len(self._grants)

    def __getitem__(self, index: int) -> Grant:
        return self._grants[index]

    def find(self, request: ApprovalRequest) -> Grant | None:
        """Look for a grant that covers a request.

        Args:
            request: A tool call that waits for a decision.

        Returns:
            The oldest grant that allows the request, None if there is none.
        """
        return next((grant for grant in self._grants if grant.covers(request)), None)

    def add(self, request: ApprovalRequest, *, any_arguments: bool) -> None:
        """Allow calls like this one from now on.

        Args:
            request: The call.
            any_arguments: Whether later calls may have other arguments.
        """
        args = None if any_arguments else deepcopy(request.args)
        grant = Grant(tool=request.tool, server=request.server, args=args)
        if grant not in self._grants:
            self._grants.append(replace(grant, number=next(self._numbers)))
            self._changed()

    def revoke(self, grant: Grant | None = None) -> None:
        """Remove a grant, or all of them, so that the user is asked again.

        Args:
            grant: One of these grants; all of them when None.

        Raises:
            InvalidInputError: `grant` is not one of these grants.
        """
        if grant is None:
            self._grants.clear()
        elif grant in self._grants:
            self._grants.remove(grant)
        else:
            msg = f"this agent has no grant {grant!r}; see list(agent.grants)"
            raise InvalidInputError(msg, field="grant")
        self._changed()

    def watch(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Call a function whenever a grant is added or removed.

        Args:
            watch: Called without arguments; never blocks, never raises.

        Returns:
            A function that stops the calls; it may be called twice.
        """
        return added(self._watchers, watch)

    def _changed(self) -> None:
        for watch in tuple(self._watchers):
            watch()

    def __repr__(self) -> str:
        names = "; ".join(map(str, self._grants)) or "none"
        return f"<Grants: {names if len(names) <= _LONGEST else f'{names[:_LONGEST]}...'}>"

    def _repr_html_(self) -> str:
        """Show a list in a notebook."""
        grants = "".join(f"<li>{escape(str(grant))}</li>" for grant in self._grants)
        return f"<ul>{grants}</ul>" if grants else "<p>no grants</p>"


def _canonical(args: JsonObject) -> str:
    return json.dumps(args, sort_keys=True, ensure_ascii=False, default=str)
