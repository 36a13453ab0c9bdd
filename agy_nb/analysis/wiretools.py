"""Frames of the wire about tools: calls, results, decisions and questions.

Rule 1: the harness numbers steps in decision requests with another counter than in steps; calls are
matched by their id, those of built-in tools, which have none, by order within a trajectory.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, TypeAlias

from agy_nb.analysis.agentbook import AgentBook
from agy_nb.analysis.arguments import brief
from agy_nb.analysis.threads import Step, Thread

Frame: TypeAlias = dict[str, Any]

BUILTIN = {
    "createFile": "create_file",
    "editFile": "edit_file",
    "findFile": "find_file",
    "listDirectory": "list_directory",
    "runCommand": "run_command",
    "searchDirectory": "search_directory",
    "viewFile": "view_file",
    "invokeSubagent": "invoke_subagent",
    "runWorkflow": "run_workflow",
    "generateImage": "generate_image",
    "searchWeb": "search_web",
    "readUrlContent": "read_url_content",
    "skillLookup": "skill_lookup",
}
"""Names of the built-in tools, by the field of a step that tells of them."""
_ANSWERS = {
    "POLICY_EVALUATION_OUTCOME_ALLOW": "allow",
    "POLICY_EVALUATION_OUTCOME_DENY": "deny",
    "POLICY_EVALUATION_OUTCOME_NO_MATCH": "allow",
}


class _Asked(NamedTuple):
    """A policy decision that is asked for."""

    approval_id: str
    call_id: str
    thread: Thread
    tool: str
    args: Any


class ToolFrames:
    """Folds the frames about the tools of one connection.

    Args:
        agent: The books of its agent.

    Attributes:
        host_tools: Names of the host functions.
    """

    def __init__(self, agent: AgentBook) -> None:
        self.host_tools: frozenset[str] = frozenset()
        self._agent = agent
        self._policies: dict[str, _Asked] = {}
        self._allowed: dict[str, str] = {}
        self._allowed_builtin: dict[str, deque[str]] = {}

    def client(self, frame: Frame, at: float | None) -> None:
        """Take an answer of the client."""
        agent = self._agent
        if "toolResponse" in frame:
            body = frame["toolResponse"]
            error = body.get("errorMessage")
            result = body.get("responseJson")
            agent.tool_ended(
                str(body.get("id")),
                at,
                "error" if error is not None else "ok",
                result_chars=None if result is None else len(result),
                error=None if error is None else str(error)[:500],
            )
        elif "policyDecisionResponse" in frame:
            self._decided(frame["policyDecisionResponse"], at)
        elif "questionResponse" in frame:
            body = frame["questionResponse"]
            agent.decided(_question_id(agent.agent_id, body), at, "answered")
        elif "toolConfirmation" in frame:
            body = frame["toolConfirmation"]
            decision = "allow" if body.get("accepted") else "deny"
            agent.decided(_question_id(agent.agent_id, body), at, decision)

    def _decided(self, body: Frame, at: float | None) -> None:
        known = self._policies.pop(str(body.get("requestId")), None)
        if known is None:
            return
        approval_id, call_id = known.approval_id, known.call_id
        decision = _ANSWERS.get(body.get("outcome", ""), "deny")
        self._agent.decided(approval_id, at, decision)
        if decision == "allow":
            if not self._agent.has_tool(call_id):
                self._allowed[call_id] = approval_id
                waiting = self._allowed_builtin.setdefault(known.thread.id, deque())
                waiting.append(approval_id)
            return
        host = known.tool in self.host_tools
        self._agent.tool_began(
            known.thread,
            call_id,
            at,
            tool=known.tool,
            kind="host" if host else "builtin",
            match="id",
            call_id=call_id if host else None,
            args=known.args,
        )
        self._agent.tool_about(call_id, approval_id=approval_id)
        self._agent.tool_ended(
            call_id, None, "denied", error=str(body.get("denyReason") or "")[:500] or None
        )

    def step_began(self, body: Frame, thread: Thread, step: Step, at: float | None) -> None:
        """The first frame of a step that runs a tool."""
        call = body.get("customTool")
        if call is not None:
            call = call.get("toolCall") or call
            self._begin_host(call, thread, at, step.index)
            step.tool = str(call.get("name"))
            return
        mcp = body.get("mcpTool")
        name, args, server = None, None, None
        if mcp is not None:
            name, server = str(mcp.get("toolName")), mcp.get("serverName")
            args = mcp.get("argumentsJson") or {}
        else:
            for key, tool in BUILTIN.items():
                if key in body:
                    name, args = tool, body[key]
                    break
        if name is None:
            return
        step.tool = name
        key = f"{thread.id}:{step.index}"
        self._agent.tool_began(
            thread,
            key,
            at,
            tool=name,
            kind="builtin" if mcp is None else "mcp",
            match="step",
            server=server,
            args=brief(args),
            index=step.index,
        )
        allowed = self._allowed_builtin.get(thread.id)
        if allowed:
            self._agent.tool_about(key, approval_id=allowed.popleft())

    def step_ended(
        self, body: Frame, thread: Thread, step: Step, at: float | None, state: str
    ) -> None:
        """The last frame of a step that runs a tool."""
        error = str(body.get("errorMessage") or "failed")[:500] if state == "error" else None
        values: Frame = {"error": error}
        self._agent.tool_ended(
            f"{thread.id}:{step.index}", at, "error" if state == "error" else "ok", **values
        )

    def called(self, body: Frame, at: float | None) -> None:
        """A host function is called."""
        thread = self._agent.thread(str(body.get("trajectoryId", "")), at)
        self._begin_host(body, thread, at, None)

    def _begin_host(self, call: Frame, thread: Thread, at: float | None, index: int | None) -> None:
        call_id = str(call.get("id"))
        self._agent.tool_began(
            thread,
            call_id,
            at,
            tool=str(call.get("name")),
            kind="host",
            match="id",
            call_id=call_id,
            args=brief(call.get("argumentsJson")),
            index=index,
        )
        approval_id = self._allowed.pop(call_id, None)
        if approval_id is not None:
            self._agent.tool_about(call_id, approval_id=approval_id)
            waiting = self._allowed_builtin.get(thread.id)
            if waiting and approval_id in waiting:
                waiting.remove(approval_id)

    def asks(self, body: Frame, thread: Thread, step: Step, at: float | None) -> None:
        """A step waits for an answer or a confirmation."""
        kind = "question" if "questionsRequest" in body else "confirm"
        number = _question_id(self._agent.agent_id, body)
        self._agent.asked(number, thread.id, at, kind=kind, tool=step.tool)

    def policy(self, body: Frame, at: float | None) -> None:
        """A policy decision is asked for."""
        args = body.get("toolArgs") or {}
        number = str(body.get("requestId"))
        approval_id = f"policy-{self._agent.agent_id}-{number}"
        call_id, name = str(args.get("callId") or number), str(args.get("toolName"))
        thread = self._agent.thread(str(args.get("trajectoryId", "")), at)
        self._policies[number] = _Asked(
            approval_id, call_id, thread, name, brief(args.get("argumentsJson"))
        )
        self._agent.asked(
            approval_id,
            thread.id,
            at,
            kind="policy",
            tool=name,
            tool_call_id=args.get("callId"),
            rule_id=body.get("ruleId"),
        )


def _question_id(agent_id: int, body: Frame) -> str:
    return f"question-{agent_id}-{body.get('trajectoryId', '')}:{body.get('stepIndex', 0)}"
