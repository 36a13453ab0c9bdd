"""The names of the wire: fields and enum values of frames, and what they say.

A frame is a JSON object that the SDK and its harness send each other over a WebSocket: `InputEvent`
from the client and `OutputEvent` from the harness, in the SDK's protobuf definitions. No other
module spells these names; a test holds the package to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

Frame: TypeAlias = dict[str, Any]
"""One frame, as JSON data."""

# --- kinds of frames: the one field that says what a frame is ---

CONFIG: Final = "config"
USER_INPUT: Final = "userInput"
TRIGGER: Final = "automatedTrigger"
HALT: Final = "haltRequest"
SESSION_END: Final = "sessionEndRequest"
TOOL_RESPONSE: Final = "toolResponse"
POLICY_RESPONSE: Final = "policyDecisionResponse"
HOOK_RESPONSE: Final = "callHookResponse"
QUESTION_RESPONSE: Final = "questionResponse"
TOOL_CONFIRMATION: Final = "toolConfirmation"

INITIALIZED: Final = "initializeConversationResponse"
STEP: Final = "stepUpdate"
USAGE: Final = "usageUpdate"
TOOL_CALL: Final = "toolCall"
TRAJECTORY_STATE: Final = "trajectoryStateUpdate"
POLICY_REQUEST: Final = "policyDecisionRequest"
HOOK_REQUEST: Final = "callHookRequest"
SESSION_ENDED: Final = "sessionEndResponse"

TURN_KINDS: Final = frozenset({USER_INPUT, TRIGGER})
"""Frames of the client that begin a turn."""

SEQUENCE: Final = "seqNum"
TIMESTAMP: Final = "timestampMicros"
_ENVELOPE: Final = frozenset({SEQUENCE, TIMESTAMP})

# --- fields ---

ID: Final = "id"
NAME: Final = "name"
TEXT: Final = "text"
STATE: Final = "state"
SOURCE: Final = "source"
TARGET: Final = "target"
ERROR: Final = "error"
DEPTH: Final = "depth"
REASON: Final = "reason"
CONVERSATION_ID: Final = "cascadeId"
TRAJECTORY_ID: Final = "trajectoryId"
PARENT_ID: Final = "parentTrajectoryId"
STEP_INDEX: Final = "stepIndex"
TEXT_DELTA: Final = "textDelta"
THINKING: Final = "thinking"
THINKING_DELTA: Final = "thinkingDelta"
ERROR_MESSAGE: Final = "errorMessage"
HTTP_CODE: Final = "httpCode"
STOP_REASON: Final = "stopReason"
COMPACTION: Final = "compaction"
FINISH: Final = "finish"
OUTPUT_STRING: Final = "outputString"
EDIT_FILE: Final = "editFile"
CUSTOM_TOOL: Final = "customTool"
MCP_TOOL: Final = "mcpTool"
TOOL_NAME: Final = "toolName"
SERVER_NAME: Final = "serverName"
ARGUMENTS_JSON: Final = "argumentsJson"
ARGUMENTS: Final = "arguments"
RESPONSE: Final = "response"
STRUCT_VALUE: Final = "structValue"
LIST_VALUE: Final = "listValue"
STRING_VALUE: Final = "stringValue"
NULL_VALUE: Final = "nullValue"
RESULT: Final = "result"
RESPONSE_JSON: Final = "responseJson"
SUPPLEMENTAL_MEDIA: Final = "supplementalMedia"
REQUEST_ID: Final = "requestId"
CALL_ID: Final = "callId"
CLIENT_ID: Final = "clientId"
RULE_ID: Final = "ruleId"
TOOL_ARGS: Final = "toolArgs"
PRE_TOOL_ARGS: Final = "preToolArgs"
POST_TOOL_ARGS: Final = "postToolArgs"
PRE_TOOL_RESULT: Final = "preToolResult"
PRE_TURN_RESULT: Final = "preTurnResult"
EMPTY_RESULT: Final = "emptyResult"
MODIFIED_ARGS: Final = "modifiedArgs"
DECISION: Final = "decision"
OUTCOME: Final = "outcome"
DENY_REASON: Final = "denyReason"
QUESTIONS_REQUEST: Final = "questionsRequest"
CONFIRMATION_REQUEST: Final = "toolConfirmationRequest"
QUESTIONS: Final = "questions"
MULTIPLE_CHOICE: Final = "multipleChoice"
MULTI_SELECT: Final = "isMultiSelect"
MULTIPLE_CHOICE_ANSWER: Final = "multipleChoiceAnswer"
SELECTED: Final = "selectedChoiceIndices"
FREEFORM: Final = "freeformResponse"
CUMULATIVE_USAGE: Final = "cumulativeUsage"
TRAJECTORY_USAGE: Final = "trajectoryUsage"
PROMPT_COUNT: Final = "promptTokenCount"
CACHED_COUNT: Final = "cachedContentTokenCount"
ANSWER_COUNT: Final = "candidatesTokenCount"
THOUGHTS_COUNT: Final = "thoughtsTokenCount"
TOTAL_COUNT: Final = "totalTokenCount"
TOOL_USE_COUNT: Final = "toolUsePromptTokenCount"  # in HTTP answers only
SERVICE_TIER: Final = "serviceTier"
PROMPT_DETAILS: Final = "promptTokensDetails"
CACHE_DETAILS: Final = "cacheTokensDetails"
ANSWER_DETAILS: Final = "candidatesTokensDetails"
TOOL_USE_DETAILS: Final = "toolUsePromptTokensDetails"
TOKEN_COUNT: Final = "tokenCount"  # noqa: S105 - a count of tokens, no secret
API_KEY: Final = "apiKey"
BASE_URL: Final = "baseUrl"
APP_DATA: Final = "appDataDir"
POLICY_CONFIG: Final = "policyConfig"
AUTO_CONFIG: Final = "autoConfig"
ENABLED_HOOKS: Final = "enabledHooks"
DYNAMIC: Final = "isDynamic"
SUBAGENTS: Final = "customSubagents"
WORKSPACE: Final = "filesystemWorkspace"
SKILLS_PATHS: Final = "skillsPaths"
AGENT_BEHAVIOR: Final = "agentBehavior"
BUDGET: Final = "budgetConfig"
COMPACTION_CONFIG: Final = "compactionConfig"
COMPACTION_THRESHOLD: Final = "compactionThreshold"
FINISH_SCHEMA: Final = "finishToolSchemaJson"
JSON_SCHEMAS: Final = ("parametersJsonSchema", "responseJsonSchema")
"""Fields of a host tool's declaration."""
CONFIG_JSON: Final = "configJson"
HARNESS_TOOLS: Final = "harnessSideTools"
USER_QUESTIONS: Final = "userQuestions"
MCP_OUTPUT_BYTES: Final = "mcpMaxOutputBytes"
RETRY: Final = "retryConfig"
API_RETRY: Final = "apiRetry"
MAX_RETRIES: Final = "maxRetries"
LINE_SIGNS: Final = {
    "LINE_ACTION_INSERT": "+",
    "LINE_ACTION_DELETE": "-",
    "LINE_ACTION_NONE": " ",
}
"""Actions on the lines of an edited file, with their signs in a diff."""
CONTINUATION_MODE: Final = "sessionContinuationMode"
INSTRUCTIONS: Final = "systemInstructions"
TRUNCATION: Final = "toolOutputTruncation"
MCP_SERVERS: Final = "mcpServers"
MIME_TYPE: Final = "mimeType"
SLASH_COMMAND: Final = "slashCommand"


# --- enum values ---

ACTIVE: Final = "STATE_ACTIVE"
DONE: Final = "STATE_DONE"
WAITING: Final = "STATE_WAITING_FOR_USER"
FAILED: Final = "STATE_ERROR"
FROM_MODEL: Final = "SOURCE_MODEL"
FROM_USER: Final = "SOURCE_USER"
FROM_SYSTEM: Final = "SOURCE_SYSTEM"
TO_USER: Final = "TARGET_USER"
IDLE: Final = "STATE_FULLY_IDLE"
CANCELLED: Final = "STATE_CANCELLED"
BEFORE_TOOL: Final = "LIFECYCLE_HOOK_PRE_TOOL"
AFTER_TOOL: Final = "LIFECYCLE_HOOK_POST_TOOL"
OUTCOME_PREFIX: Final = "POLICY_EVALUATION_OUTCOME_"
DECISION_PREFIX: Final = "POLICY_DECISION_"
ALLOW: Final = "POLICY_EVALUATION_OUTCOME_ALLOW"
OUTCOME_DENY: Final = "POLICY_EVALUATION_OUTCOME_DENY"
NO_MATCH: Final = "POLICY_EVALUATION_OUTCOME_NO_MATCH"
HOOK_DENY: Final = "DENY"
ASK_USER: Final = "POLICY_DECISION_ASK_USER"
RULE_DENY: Final = "POLICY_DECISION_DENY"
TEXT_MODEL: Final = "MODEL_TYPE_TEXT"

STEP_STATES: Final[Mapping[str, str]] = {
    ACTIVE: "active",
    DONE: "done",
    WAITING: "waiting_for_user",
    FAILED: "error",
}
SOURCES: Final[Mapping[str, str]] = {
    FROM_MODEL: "model", FROM_USER: "user", FROM_SYSTEM: "system"
}  # fmt: skip
TARGETS: Final[Mapping[str, str]] = {
    TO_USER: "user", "TARGET_ENVIRONMENT": "environment", "TARGET_MODEL": "model"
}  # fmt: skip
TRAJECTORY_STATES: Final[Mapping[str, str]] = {
    "STATE_RUNNING": "running",
    IDLE: "idle",
    CANCELLED: "cancelled",
    "STATE_WAITING_FOR_TASKS": "waiting",
    "STATE_WAITING_FOR_SUBAGENTS": "waiting",
}
GEMINI_ENDPOINT: Final = "geminiApiEndpoint"
CUSTOM_ENDPOINT: Final = "customEndpoint"
ENDPOINTS: Final[Mapping[str, str]] = {
    GEMINI_ENDPOINT: "gemini",
    "vertexEndpoint": "vertex",
    CUSTOM_ENDPOINT: "openai",
    "gemmaEndpoint": "litert",
}
BUILTIN_TOOLS: Final[Mapping[str, str]] = {
    "createFile": "create_file",
    EDIT_FILE: "edit_file",
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
"""Names of the built-in tools, by the field of a step that has their arguments."""
PATH_ARGUMENTS: Final = frozenset({"directory_path", "file_path", "output_path", "script_path"})

DENIED_BEFORE_TOOL: Final = "denied by pre-tool hook: "
"""How the harness words, in an error, that a policy or a hook refused a call."""
UNMATCHED_TOOL: Final = re.compile(r'No policy rule matched tool "(?P<tool>.{1,500}?)";')
DENYING_RULE: Final = re.compile(r'Denied by policy "(?P<name>.{1,500}?)"\.')

# --- what a client's frame answers ---

ANSWERS: Final[Mapping[str, str]] = {
    TOOL_RESPONSE: ID,
    POLICY_RESPONSE: REQUEST_ID,
    HOOK_RESPONSE: REQUEST_ID,
}
STEP_ANSWERS: Final[Mapping[str, str]] = {
    QUESTION_RESPONSE: QUESTIONS_REQUEST,
    TOOL_CONFIRMATION: CONFIRMATION_REQUEST,
}
REQUESTS: Final[Mapping[str, str]] = {
    TOOL_CALL: TOOL_RESPONSE,
    POLICY_REQUEST: POLICY_RESPONSE,
    HOOK_REQUEST: HOOK_RESPONSE,
}
"""Which answer a frame of the harness asks for."""


class FrameKey(NamedTuple):
    """What a client frame answers, or which kind of thing it starts.

    Attributes:
        kind: The frame's field, e.g. `toolResponse`.
        request_id: Which request it answers; empty for frames that start something.
    """

    kind: str
    request_id: str = ""

    def __str__(self) -> str:
        return f"{self.kind} to {self.request_id}" if self.request_id else self.kind


_STEP_FRAME = _ENVELOPE | {STEP}


def kind_of(frame: Frame) -> str:
    """Return the field that names the kind of a frame, e.g. `stepUpdate`; empty without one."""
    for name in frame:
        if name not in _ENVELOPE:
            return name
    return ""


def key_of(frame: Frame) -> FrameKey:
    """Return the key of a client's frame."""
    kind = kind_of(frame)
    body = frame.get(kind)
    if isinstance(body, dict):
        if kind in ANSWERS:
            return FrameKey(kind, str(body.get(ANSWERS[kind], "")))
        if kind in STEP_ANSWERS:
            return FrameKey(kind, _step_of(body))
    return FrameKey(kind)


def request_of(frame: Frame) -> FrameKey | None:
    """Return the key of the answer to a frame of the harness; None if it needs none."""
    kind = kind_of(frame)
    body = frame.get(kind)
    if not isinstance(body, dict):
        return None
    if kind in REQUESTS:
        answer = REQUESTS[kind]
        return FrameKey(answer, str(body.get(ANSWERS[answer], "")))
    if kind == STEP and body.get(STATE) == WAITING:
        for answer, request in STEP_ANSWERS.items():
            if request in body:
                return FrameKey(answer, _step_of(body))
    return None


def _step_of(body: Frame) -> str:
    return f"{body.get(TRAJECTORY_ID, '')}/{body.get(STEP_INDEX, 0)}"


def turn_ended(frame: Frame) -> bool:
    """Return whether the client may treat a turn as over at this frame of the harness."""
    body = frame.get(TRAJECTORY_STATE)
    if not isinstance(body, dict) or body.get(PARENT_ID):
        return False
    return body.get(STATE) in (IDLE, CANCELLED)


def given_id(frame: dict[str, Any]) -> str:
    """Return the conversation's id in the harness's first frame; empty in other frames."""
    body = frame.get(INITIALIZED)
    return str(body.get(CONVERSATION_ID) or "") if isinstance(body, dict) else ""


def is_running_step(frame: Frame) -> bool:
    """Return whether a frame is nothing but an update of a running step of the agent itself.

    Most frames are. They ask for nothing, end nothing and name no subagent.
    """
    step = frame.get(STEP)
    return (
        type(step) is dict
        and step.get(STATE) == ACTIVE
        and PARENT_ID not in step
        and frame.keys() <= _STEP_FRAME
    )
