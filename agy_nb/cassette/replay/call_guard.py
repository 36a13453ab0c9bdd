"""Check recorded calls of host tools against the current policies and hooks.

While a session is recorded, the harness applies the policies and asks the hooks before it calls a
host tool. A replay has no harness. Without a check, a call that an attacker wrote into a cassette
would run past both. The guard checks each call with the rules of the configuration that the client
sends now, and with the answers that were given in this replay.

The order of the rules is that of the harness, as measured: specific rules before wildcards, then
DENY, ASK_USER, ALLOW. If there are rules and none matches, the call is denied. A configuration
without rules allows every call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agy_nb.cassette.storage.format import Frame, frame_message, parse_frame
from agy_nb.wire import frames as f

_ORDER = {"DENY": 0, "ASK_USER": 1, "ALLOW": 2}
_CHECKED_KINDS = frozenset(
    {f.STEP, f.TRAJECTORY_STATE, f.POLICY_REQUEST, f.HOOK_REQUEST, f.TOOL_CALL}
)
_HAND_WRITTEN_FORMS = frozenset({"$text", "$base64", "tool_call"})
"""Forms of a call that the SDK accepts, but that no recorder writes."""


@dataclass(slots=True)
class _Asked:
    """The requests about one call, with their answers.

    Attributes:
        name: Name of the tool; empty if two calls or two requests use the same id, which allows
            neither.
        args: The arguments that the answers are about, with the hooks' changes.
        outcomes: Answers to policy requests by the rule's id: ALLOW, DENY or NO_MATCH.
        hook: The hooks' answer, None before there is one.
    """

    name: str
    args: Any
    outcomes: dict[str, str] = field(default_factory=dict)
    hook: bool | None = None


class _Request(NamedTuple):
    """A request that waits for its answer."""

    asked: _Asked
    args: Any
    rule_id: str = ""


class CallGuard:
    """Check the calls of one session.

    Args:
        config: The client's first frame, which holds its policies.
    """

    def __init__(self, config: Frame) -> None:
        body = _dict(config.get(f.CONFIG))
        policies = _dict(body.get(f.POLICY_CONFIG))
        rules = [rule for rule in _list(policies.get("rules")) if isinstance(rule, dict)]
        self._rules = sorted((r for r in rules if not r.get(f.SERVER_NAME)), key=_rank)
        allows_the_rest = _dict(policies.get(f.AUTO_CONFIG)).get("enabled")
        self._denies_the_rest = bool(rules) and not allows_the_rest
        self._has_hooks = f.BEFORE_TOOL in _list(body.get(f.ENABLED_HOOKS))
        self._calls: dict[str, _Asked] = {}
        self._requests: dict[str, _Request] = {}
        self._subagents: set[str] = set()
        self._left_to_client: set[str] = set()

    def left_to_client(self, call_id: str) -> bool:
        """Return whether a call was released unchecked, for the client to apply its policies."""
        return call_id in self._left_to_client

    def check(self, frame: Frame, *, client_checks_subagents: bool) -> str:
        """Check a harness frame before it is released.

        Args:
            frame: The recorded frame.
            client_checks_subagents: Whether the client applies its policies to the calls of
                subagents, for which the harness sends no requests.

        Returns:
            Why the frame must not be released; empty if it may be.
        """
        # The guard must see what the SDK will see. Protobuf also reads `tool_call`, and a line with
        # `$text` holds the frame as one text: both would hide a call from the look-up below.
        if not _HAND_WRITTEN_FORMS.isdisjoint(frame):
            frame = _as_parsed(frame)
        if _CHECKED_KINDS.isdisjoint(frame):
            return ""
        for kind in (f.STEP, f.TRAJECTORY_STATE):
            if (update := _dict(frame.get(kind))).get(f.PARENT_ID):
                self._subagents.add(str(update.get(f.TRAJECTORY_ID, "")))
        if f.POLICY_REQUEST in frame or f.HOOK_REQUEST in frame:
            self._note_request(frame)
        if f.TOOL_CALL not in frame:
            return ""
        call = _dict(frame[f.TOOL_CALL])
        # With `arguments_json` the SDK would use arguments that `_arguments` does not find.
        if any("_" in name for name in call):
            return "its field names are not those that a harness writes"
        # The harness asks no hook about a subagent's call. As a cassette can claim of any call that
        # it is a subagent's, policies still count: here, or in a client that applies them itself.
        is_subagents = str(call.get(f.TRAJECTORY_ID, "")) in self._subagents
        if is_subagents and client_checks_subagents:
            self._left_to_client.add(str(call.get("id", "")))
            return ""
        return self._objection(call, is_subagents=is_subagents)

    def _note_request(self, frame: Frame) -> None:
        if request := _dict(frame.get(f.POLICY_REQUEST)):
            asked = self._asked(_dict(request.get(f.TOOL_ARGS)))
            rule_id = str(request.get(f.RULE_ID))
            self._wait_for(
                f"policy {request.get(f.REQUEST_ID)}", _Request(asked, asked.args, rule_id)
            )
        request = _dict(frame.get(f.HOOK_REQUEST))
        if f.PRE_TOOL_ARGS in request:
            asked = self._asked(_dict(request[f.PRE_TOOL_ARGS]))
            self._wait_for(f"hook {request.get(f.REQUEST_ID)}", _Request(asked, asked.args))

    def _wait_for(self, key: str, request: _Request) -> None:
        # An answer has only the id. If two requests wait with the same one, the answer about one
        # call could count for the other, so neither call is allowed.
        if (other := self._requests.get(key)) is not None:
            other.asked.name = request.asked.name = ""
        self._requests[key] = request

    def _asked(self, call: dict[str, Any]) -> _Asked:
        name, args = str(call.get(f.TOOL_NAME, "")), _json(call.get(f.ARGUMENTS_JSON))
        asked = self._calls.setdefault(str(call.get(f.CALL_ID, "")), _Asked(name, args))
        if asked.args != args:
            # Otherwise a second request, which the client has not answered yet, would let the call
            # run with other arguments than those that somebody allowed.
            asked.args, asked.hook = args, None
            asked.outcomes.clear()
        if asked.name != name:
            asked.name = ""  # two calls of one id: none of them is allowed
        return asked

    def note_answer(self, frame: Frame) -> None:
        """Record an answer of the client, or the recorded answer that replaces it."""
        if answer := _dict(frame.get(f.POLICY_RESPONSE)):
            request = self._requests.pop(f"policy {answer.get(f.REQUEST_ID)}", None)
            if request is not None and request.args == request.asked.args:
                outcome = str(answer.get(f.OUTCOME)).removeprefix(f.OUTCOME_PREFIX)
                request.asked.outcomes[request.rule_id] = outcome
        elif answer := _dict(frame.get(f.HOOK_RESPONSE)):
            request = self._requests.pop(f"hook {answer.get(f.REQUEST_ID)}", None)
            if request is not None and request.args == request.asked.args:
                asked, result = request.asked, _dict(answer.get(f.PRE_TOOL_RESULT))
                asked.hook = result.get(f.DECISION) == "ALLOW"
                if f.MODIFIED_ARGS in result:
                    asked.args = _dict(asked.args) | _struct(result[f.MODIFIED_ARGS])

    def _objection(self, call: dict[str, Any], *, is_subagents: bool) -> str:
        name, asked = str(call.get("name", "")), self._calls.get(str(call.get("id", "")))
        if self._has_hooks and not is_subagents and (asked is None or not asked.hook):
            return "a pre-tool hook is registered, and none allowed the call"
        if reason := self._policy_objection(name, asked):
            return reason
        # A call may hold its arguments in two fields, of which the SDK uses one. Both must be the
        # ones that were allowed, so that it does not matter which.
        if asked is not None and (
            asked.name != name or any(args != asked.args for args in _arguments(call))
        ):
            return "its name or its arguments differ from those that were allowed"
        return ""

    def _policy_objection(self, name: str, asked: _Asked | None) -> str:
        for rule in self._rules:
            if rule.get("tool") not in (name, "*"):
                continue
            decision = _decision(rule)
            if rule.get(f.DYNAMIC):
                outcomes = {} if asked is None else asked.outcomes
                outcome = outcomes.get(str(rule.get(f.RULE_ID, "")), "")
                if outcome == "NO_MATCH":
                    continue
                if not outcome:
                    return f"the policy {_label(rule)} must decide, and no decision was recorded"
                decision = outcome
            return "" if decision == "ALLOW" else f"the policy {_label(rule)} denies it"
        return "no policy allows it" if self._denies_the_rest else ""


def _as_parsed(frame: Frame) -> Frame:
    """Parse a frame as the SDK does: protobuf also accepts field names with underscores."""
    try:
        frame = parse_frame(frame_message(frame))
    except ValueError:
        return {}  # cannot be sent
    return {f.TOOL_CALL: frame["tool_call"], **frame} if "tool_call" in frame else frame


def _rank(rule: dict[str, Any]) -> tuple[int, int]:
    # A decision that this version does not know comes first, and denies.
    return (2 if rule.get("tool") == "*" else 0, _ORDER.get(_decision(rule), -1))


def _decision(rule: dict[str, Any]) -> str:
    return str(rule.get(f.DECISION, "")).removeprefix(f.DECISION_PREFIX)


def _label(rule: dict[str, Any]) -> str:
    return repr(str(rule.get("name") or rule.get("tool")))


def _arguments(call: dict[str, Any]) -> list[Any]:
    """Return a call's arguments in each form that the call holds; the SDK uses the first."""
    found = []
    if f.ARGUMENTS in call:
        found.append(_struct(call[f.ARGUMENTS]))
    if f.ARGUMENTS_JSON in call or not found:
        found.append(_json(call.get(f.ARGUMENTS_JSON)))
    return found


def _struct(value: Any) -> dict[str, Any]:
    """Convert the wire's struct, a list of named values, to a dict."""
    fields = [item for item in _list(_dict(value).get("fields")) if isinstance(item, dict)]
    return {str(item.get("name", "")): _struct_value(item.get("value")) for item in fields}


def _struct_value(value: Any) -> Any:
    for kind, inner in _dict(value).items():
        match kind:
            case f.STRUCT_VALUE:
                return _struct(inner)
            case f.LIST_VALUE:
                return [_struct_value(item) for item in _list(_dict(inner).get("values"))]
            case f.NULL_VALUE:
                return None
            case _:
                return inner
    return None


def _json(text: Any) -> Any:
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError, TypeError):
        return text


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
