"""Every table: its grain, its key, and each column's type, meaning, unit and source.

1. Builders, files and documentation take their columns from here.
2. Types are fixed, also for an empty table. An unknown value is `<NA>`, never 0.
3. Times are UTC, categories have fixed values, and no cell holds a container.
4. Every table has `session_id`. `agent_id`, `turn_id` and `trajectory_id` join tables.
"""

# ruff: noqa: E501 - one line per column reads as a table
from __future__ import annotations

from collections.abc import Mapping

from agy_nb.analysis.columns import (
    DTYPES,
    Column,
    Kind,
    Table,
    boolean as _b,
    category as _c,
    duration as _d,
    integer as _i,
    number as _f,
    string as _s,
    time as _t,
)

__all__ = ["DTYPES", "TABLES", "Column", "Kind", "Table"]

SESSION = _s("session_id", "A recording, wherever it is, or one run of a runtime")
AGENT = _i("agent_id", "Number of the agent in its session, from 1")
TURN = _i("turn_id", "Number of the turn in its session, from 1; NA between turns")
TRAJECTORY = _s("trajectory_id", "The harness's id of the agent's or a subagent's thread of steps")
STEP = _i("step_index", "Index in the trajectory, from 0; NA if the harness sends none")
MODEL = _s("model", "Model of the HTTP request if it was recorded, else of the configuration")
MODEL_SOURCE = _c(
    "model_source",
    "Source of the model: the configuration, the SDK's default, "
    "inherited by a subagent, or unknown",
    "config",
    "default",
    "inherited",
    "http",
    "unknown",
)
UNREPORTED = ("usage_unknown", "cut")
"""Statuses of model calls that used tokens and did not report them."""
MODALITIES = ("text", "image", "audio", "video")
TOKENS = (
    _i("input_tokens", "Prompt, including `cache_read_tokens`", "tokens"),
    _i("cache_read_tokens", "Part of the prompt that came from the cache", "tokens"),
    _i("uncached_input_tokens", "`input_tokens` minus `cache_read_tokens`", "tokens"),
    _i("output_tokens", "Answer, including `reasoning_tokens`", "tokens"),
    _i("reasoning_tokens", "The model's thoughts", "tokens"),
    _i(
        "tool_use_tokens",
        "Prompt tokens of the model's own tools, such as search results; not in `input_tokens`",
        "tokens",
    ),
    _i("total_tokens", "All tokens of the request, as the model counts", "tokens"),
)
DETAILS = tuple(
    _i(
        f"{kind}_{modality}_tokens",
        f"Part of `{kind}_tokens` that is {modality}; NA if not reported",
        "tokens",
    )
    for kind in ("input", "cache_read", "output", "tool_use")
    for modality in MODALITIES
)
COST = (
    _f(
        "input_cost_usd",
        "Price of the prompt, with the tokens of the model's own tools",
        "US dollars",
    ),
    _f("cache_read_cost_usd", "Part of `input_cost_usd` for tokens from the cache", "US dollars"),
    _f("output_cost_usd", "Price of the answer", "US dollars"),
    _f("reasoning_cost_usd", "Part of `output_cost_usd` for thoughts", "US dollars"),
    _f("search_cost_usd", "Price of web searches", "US dollars"),
    _f("cost_usd", "Price of the request", "US dollars"),
    _f("cache_saved_usd", "Difference to the price without a cache", "US dollars"),
    _c(
        "cost_status",
        "Source of the price, or the reason for which it is unknown",
        "priced",
        "override",
        "unknown_model",
        "unknown_alias",
        "unknown_tier",
        "unknown_usage",
        "invalid_usage",
        "not_charged",
        "no_price_table",
    ),
    _s("price_model", "Name of the model in the price table"),
    _s("price_table", "The price table and its version"),
)
REQUESTS = (
    _i("n_requests", "Requests to the model: metered, refused and with unknown usage"),
    _i("n_refused", "Requests that the model refused, e.g. with HTTP 429; these cost no tokens"),
    _i("n_usage_unknown", "Requests that used tokens and did not report all of them"),
)
_REPORTED = (
    _i("baseline_total_tokens", "Tokens that the harness had counted before, if resumed", "tokens"),
    _i("reported_total_tokens", "Tokens that the harness had counted in the end", "tokens"),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("sessions", "a recording, or one run of a runtime", ("session_id",), (
            SESSION,
            _s("session_name", "Name of the recording: its path below the loaded folder"),
            _c("source", "Kind of the source", "live", "cassette", "conversation"),
            _s("path", "The file or folder", source="wire"),
            _b("complete", "Whether the recording was finished; NA while live"),
            _s("labels", "Labels of the recording as JSON; each label is a column of every table, too"),
            _s("sdk", "Version of google-antigravity", source="wire"),
            _t("started_at", "First event"),
            _t("ended_at", "Last event"),
            _d("duration", "From the first event to the last"),
            _i("n_frames", "Frames read", source="wire"),
            _i("n_agents", "Agents"),
            _i("n_turns", "Turns"),
            _i("n_model_calls", "Metered model calls"),
        )),
        Table("agents", "an agent: one connection to a harness", ("session_id", "agent_id"), (
            SESSION, AGENT,
            _s("conversation_id", "The harness's id of the conversation"),
            MODEL,
            _s("labels", "Labels of the agent as JSON; each label is a column of every table, too"),
            _c("endpoint", "Kind of the model's endpoint", "gemini", "vertex", "openai", "litert", "interactions"),
            _c("state", "State", "running", "closed", "lost"),
            _b("resumed", "Whether it resumed an earlier conversation"),
            _i("parent_agent_id", "Agent whose conversation it continues, as a fork or after a rewind"),
            _i("forked_after_turn", "Last turn of the conversation that both have in common, 0 for none"),
            _t("created_at", "When it was started"),
            _t("closed_at", "When it ended"),
            _i("n_turns", "Turns"),
            *_REPORTED,
        )),
        Table("trajectories", "the thread of steps of an agent or a subagent", ("session_id", "agent_id", "trajectory_id"), (
            SESSION, AGENT, TRAJECTORY,
            _s("parent_trajectory_id", "Trajectory that started it; NA for the agent itself"),
            _i("depth", "0 for the agent, 1 for its subagents"),
            _s("subagent", "Type of the subagent, `self` for a copy of its agent; NA for the agent, or if unknown"),
            _i("turn_id", "Turn in which it was first seen"),
            MODEL, MODEL_SOURCE,
            _c("state", "State", "running", "waiting", "idle", "cancelled", "unknown"),
            _s("stop_reason", "Reason of the harness for stopping it", source="wire"),
            _t("started_at", "First event"),
            _t("ended_at", "Last event"),
            _d("duration", "From the first event to the last"),
            _i("n_steps", "Steps"),
            _i("n_model_calls", "Metered model calls"),
            *REQUESTS,
            *_REPORTED,
        )),
        Table("turns", "a turn: a prompt and its answer", ("session_id", "turn_id"), (
            SESSION, _i("turn_id", "Number of the turn in its session, from 1"), AGENT,
            _i("turn_index", "Number of the turn of its agent, from 0"),
            _c("kind", "Start of the turn; `wakeup` is by the agent itself", "prompt", "trigger", "wakeup"),
            _i("prompt_chars", "Length of the prompt's text", "characters"),
            _i("response_chars", "Length of the agent's own answer, all attempts", "characters"),
            _c("status", "Status; `denied` by a pre-turn hook", "ok", "error", "cancelled", "denied", "timeout", "running"),
            _b("abandoned", "Whether the agent went back to an earlier turn"),
            _s("stop_reason", "The SDK's stop reason"),
            _s("error_type", "Class of the error that ended it, in `agy_nb.errors`"),
            _i("http_code", "Status code of that error"),
            _t("started_at", "When the prompt was sent"),
            _t("first_chunk_at", "Arrival of the first piece of the agent's answer"),
            _t("ended_at", "When it was over"),
            _d("ttft", "From the prompt to the first piece of the agent's answer"),
            _d("duration", "From the prompt to the end"),
            _d("approval_wait", "Sum of the waits for a decision or an answer"),
            _i("n_model_calls", "Metered model calls, subagents' included"),
            *REQUESTS,
            _i("n_tool_calls", "Tool calls, subagents' included"),
            _i("n_errors", "Errors, also those that the harness recovered from"),
        )),
        Table("steps", "the last state of a step", ("session_id", "agent_id", "trajectory_id", "step_index"), (
            SESSION, AGENT, TRAJECTORY, STEP, TURN,
            _c("kind", "Kind of step", "text", "thinking", "tool_call", "system", "compaction", "finish", "unknown"),
            _c("source", "Actor", "model", "user", "system", "unknown"),
            _c("target", "Recipient", "user", "environment", "model", "unknown"),
            _c("state", "State", "active", "done", "waiting_for_user", "error", "canceled", "unknown"),
            _s("tool", "Tool that it runs"),
            _i("text_chars", "Length of its text", "characters"),
            _i("thinking_chars", "Length of its thoughts", "characters"),
            _i("n_updates", "Number of events: pieces of text and thoughts, changes of state"),
            _i("http_code", "Status code of a failed model call"),
            _t("first_at", "First event"),
            _t("last_at", "Last event"),
            _d("duration", "From the first event to the last"),
        )),
        Table("model_calls", "a request to the model: each attempt has a row", ("session_id", "call_index"), (
            SESSION, _i("call_index", "Number of the request in its session, from 0"), AGENT, TURN, TRAJECTORY,
            _i("depth", "0 for the agent, 1 for its subagents"),
            _s("tool", "Built-in tool that sent the request; NA for the agent and its subagents"),
            _c("status", "How it ended. `metered`: with usage. `refused`: with an HTTP error, without tokens. `usage_unknown`: answered without usage. `cut`: cancelled or disconnected, so its usage is unknown or incomplete", "metered", "refused", "usage_unknown", "cut"),
            _i("attempt", "Number of the attempt, from 1"),
            _i("http_status", "HTTP status, if known"),
            _s("finish_reason", "Finish reason of the model", source="wire"),
            _t("at", "End of the request"),
            _t("started_at", "Start of the request"),
            _t("first_token_at", "Arrival of the first piece of the answer"),
            _t("ended_at", "End of the request"),
            _d("duration", "From the start to the end"),
            _d("ttft", "From the start to the first piece"),
            _c("timing", "Source of these times: the HTTP request, or the frames around it", "http", "wire"),
            MODEL, MODEL_SOURCE,
            _s("model_version", "Model that served the request, as it reports", source="wire"),
            *TOKENS,
            *DETAILS,
            _i("n_searches", "Web searches of the model", source="wire"),
            _s("service_tier", "Service tier that served it, if reported; its price counts"),
            _s("requested_tier", "Service tier of the request or the configuration; its price counts if none is reported"),
            _i("request_bytes", "Length of the request's body as recorded", "bytes", source="wire"),
            _i("response_bytes", "Length of the response's body as recorded", "bytes", source="wire"),
            *COST,
        )),
        Table("tool_calls", "a tool call", ("session_id", "tool_index"), (
            SESSION, _i("tool_index", "Number of the call in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _s("tool_call_id", "The harness's id; NA for built-in tools"),
            _c("match", "Match of call and result: by id, by step, or none", "id", "step", "none"),
            _s("tool", "Name of the tool"),
            _c("kind", "Origin of the tool", "host", "builtin", "mcp"),
            _s("server", "Name of the MCP server that has it"),
            _s("args_json", "Arguments, redacted, cut at 2,000 characters"),
            _i("result_chars", "Length of the result as JSON; NA if unknown", "characters"),
            _c("status", "How it ended", "ok", "error", "denied", "cancelled", "running"),
            _s("error", "Error message, cut at 500 characters"),
            _s("error_type", "Class of the exception that a host tool raised"),
            _s("traceback", "Traceback of that exception, its last 2,000 characters"),
            _t("started_at", "When it began to run"),
            _t("ended_at", "When its result arrived"),
            _d("duration", "Time for which it ran"),
            _s("approval_id", "Approval that it waited for"),
            _i("read_by_call", "`call_index` of the model call that read its result, by order: inferred"),
        )),
        Table("approvals", "an approval or a question", ("session_id", "approval_id"), (
            SESSION, _s("approval_id", "Joins it with its tool call"), AGENT, TURN, TRAJECTORY,
            _c("kind", "Kind of request", "policy", "question"),
            _s("tool_call_id", "Tool call that waits, if the harness names it"),
            _s("tool", "Tool that waits"),
            _c("decision", "Decision; `edited` means allowed with other arguments", "pending", "allow", "edited", "deny", "answered", "timeout", "failed", "cancelled"),
            _s("decided_by", "Who decided; NA in a recording without host notes"),
            _t("asked_at", "Time of the request"),
            _t("decided_at", "Time of the decision"),
            _d("wait", "Time between the two"),
        )),
        Table("chunks", "a piece of text or thought; only with `chunks=True`", ("session_id", "chunk_index"), (
            SESSION, _i("chunk_index", "Number of the piece in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _c("kind", "Kind of piece", "text", "thought"),
            _i("chars", "Length", "characters"),
            _t("at", "Time of arrival"),
            _d("gap", "Time since the previous piece of the same trajectory and turn"),
        )),
        Table("messages", "a message", ("session_id", "message_index"), (
            SESSION, _i("message_index", "Number of the message in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _c("role", "Speaker", "user", "model", "system"),
            _t("at", "When it began"),
            _i("chars", "Length", "characters"),
            _s("text", "The text; only with `text=True`"),
        )),
        Table("commands", "a command of the protocol", ("session_id", "command_index"), (
            SESSION, _i("command_index", "Number of the command in its session, from 0", source="events"),
            _s("command", "Its name", source="events"),
            _i("agent_id", "Agent of the command; NA for none", source="events"),
            _t("queued_at", "When it was sent"),
            _t("ended_at", "When it was answered"),
            _d("duration", "Time between the two"),
            _c("status", "How it ended", "ok", "error", "timeout", "closed"),
            _s("error_type", "Class of its error, in `agy_nb.errors`", source="events"),
        )),
        Table("errors", "an error in a session", ("session_id", "error_index"), (
            SESSION, _i("error_index", "Number of the error in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _t("at", "Time of the error"),
            _s("error_type", "Class in `agy_nb.errors`; NA if the harness sends only text"),
            _i("http_code", "Status code of the model's answer"),
            _b("fatal", "Whether it ended the turn"),
            _s("message", "Message, cut at 500 characters"),
        )),
        Table("problems", "unreadable or inconsistent data", ("session_id", "problem_index"), (
            SESSION, _i("problem_index", "Number of the problem in its session, from 0"),
            _s("path", "File with the problem"),
            _c("problem", "Kind of problem",
               "unreadable", "not_a_session", "newer_format", "partial", "damaged", "not_closed",
               "duplicate_session", "clock_went_back", "usage_missing", "counter_went_back",
               "totals_differ", "rows_dropped", "bad_count", "bad_step", "damaged_frame",
               "damaged_note", "unknown_call", "unknown_question", "unknown_frame", "http_differs", "nothing_found", "link_not_followed"),
            _i("line", "Line of the file, from 1"),
            _s("detail", "Description"),
        )),
    )
}  # fmt: skip
"""Every table by its name."""
