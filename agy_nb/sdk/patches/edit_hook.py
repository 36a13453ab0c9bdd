"""Let the approval handler change the arguments of a call.

Measured: the harness calls the SDK's hooks before it asks a policy, and only a hook may change a
call. So this hook asks the handler, and the policy that asks afterwards gets the same decision.

Rule 1: the hook asks about the calls that a policy would ask about, and no others.
Rule 2: the policies decide last: they see the changed arguments and may still deny the call.
Rule 3: a decision is valid for the arguments that it was made for. Other arguments are asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.antigravity import types
from google.antigravity.hooks import hooks, policy

from agy_nb.sdk.patches.approval_context import PriorDecision, as_comparable, deciding
from agy_nb.sdk.patches.replayed_decisions import is_asked_of_gate


class EditHook(hooks.PreToolCallDecideHook):
    """Asks the gate before the policies do; the last of an agent's hooks.

    Args:
        policies: The agent's. Those that ask the gate are asked here; what others say, they say
            when the harness asks them. Their predicates are looked at both times.
    """

    def __init__(self, policies: Sequence[policy.Policy]) -> None:
        rules = [rule if is_asked_of_gate(rule) else _asking_nobody(rule) for rule in policies]
        self._policies = policy.enforce(rules, mcp_servers=[])

    async def run(self, context: Any, data: types.ToolCall) -> types.HookResult:
        """See `PreToolCallDecideHook`."""
        asked = deciding.get()
        if asked is None or asked.by != "hook":  # not a session of ours: the policy asks
            return types.HookResult(allow=True)
        await self._policies.run(context, data)
        decision = asked.decision
        if decision is None:
            return types.HookResult(allow=True)
        if not decision.allowed:
            return types.HookResult(allow=False, message=decision.reason)
        runs_with = {**data.args, **(decision.args or {})}
        asked.listener.decided[asked.tool_args.call_id] = PriorDecision(
            as_comparable(runs_with), decision
        )
        return types.HookResult(allow=True, modified_args=decision.args)


def _asking_nobody(rule: policy.Policy) -> policy.Policy:
    if rule.decision is not policy.Decision.ASK_USER:
        return rule
    return replace(rule, ask_user=_allow)


def _allow(call: types.ToolCall, reason: str | None = None) -> bool:
    del call, reason
    return True
