"""Every table: its grain, its key, and each column's type, meaning, unit and source.

Rule 1: a column that is not here exists nowhere; folds, frames, files and the documentation follow.
Rule 2: types are fixed. An empty table has those of a full one; unknown is `<NA>`, never 0.
Rule 3: times are UTC, durations are durations, words come from a fixed set, no cell holds a
container.
Rule 4: `session_id` is in every table; with `agent_id`, `turn_id` and `trajectory_id` tables join.
"""

# ruff: noqa: E501 - a column a line reads as the table it is
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["string", "int", "float", "bool", "time", "duration", "category", "day"]

DTYPES: Mapping[Kind, str] = {
    "string": "string",
    "int": "Int64",
    "float": "Float64",
    "bool": "boolean",
    "time": "datetime64[us, UTC]",
    "duration": "timedelta64[us]",
    "category": "category",
    "day": "datetime64[us]",
}
"""The pandas type of each kind; a category has a fixed `CategoricalDtype` of its words."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name.
        kind: What it holds.
        meaning: What a value says, and what is included.
        unit: Of the values, empty where there is none.
        words: The values of a category, in order.
        source: `events` where only live tables have it, `wire` where only recordings do, else empty.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    words: tuple[str, ...] = ()
    source: Literal["", "events", "wire"] = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: Its name; plural.
        grain: What one row is.
        key: The columns that tell rows apart.
        columns: Its columns, in order.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """One of its columns."""
        return next(column for column in self.columns if column.name == name)


def _s(name: str, meaning: str, **more: str) -> Column:
    return Column(name, "string", meaning, **more)  # type: ignore[arg-type]


def _i(name: str, meaning: str, unit: str = "", **more: str) -> Column:
    return Column(name, "int", meaning, unit, **more)  # type: ignore[arg-type]


def _t(name: str, meaning: str) -> Column:
    return Column(name, "time", meaning, "UTC")


def _d(name: str, meaning: str) -> Column:
    return Column(name, "duration", meaning, "microseconds")


def _f(name: str, meaning: str, unit: str) -> Column:
    return Column(name, "float", meaning, unit)


def _b(name: str, meaning: str) -> Column:
    return Column(name, "bool", meaning)


def _c(name: str, meaning: str, *words: str) -> Column:
    return Column(name, "category", meaning, words=words)


SESSION = _s("session_id", "A recording, or one run of a runtime")
AGENT = _i("agent_id", "Number of the agent in its session, from 1")
TURN = _i("turn_id", "Number of the turn in its session, from 1; NA between turns")
TRAJECTORY = _s("trajectory_id", "The harness's id of the agent's or a subagent's thread of steps")
STEP = _i("step_index", "Place in the trajectory, from 0; NA where the harness does not tell")
MODEL = _s("model", "Model that was configured; the wire names none")
MODEL_SOURCE = _c(
    "model_source",
    "How the model is known: named in the configuration, the SDK's default as none was named, "
    "inherited by a subagent, or not at all",
    "config",
    "default",
    "inherited",
    "unknown",
)
TOKENS = (
    _i("input_tokens", "Prompt; includes `cache_read_tokens`", "tokens"),
    _i("cache_read_tokens", "Part of the prompt that came from the cache", "tokens"),
    _i("uncached_input_tokens", "`input_tokens` less `cache_read_tokens`", "tokens"),
    _i("output_tokens", "Answer; includes `reasoning_tokens`", "tokens"),
    _i("reasoning_tokens", "The model's thoughts", "tokens"),
    _i("total_tokens", "Input and output, as the harness counts", "tokens"),
)
COST = (
    _f("input_cost_usd", "Price of the prompt", "US dollars"),
    _f("output_cost_usd", "Price of the answer", "US dollars"),
    _f("cost_usd", "Price of the call", "US dollars"),
    _c(
        "cost_status",
        "Where the price comes from, or why there is none",
        "priced",
        "override",
        "unknown_model",
        "unknown_tier",
        "invalid_usage",
        "no_price_table",
    ),
    _s("price_model", "Name that the price table has for the model at that time"),
    _s("price_table", "The price table and its version"),
)
UNMETERED = _i(
    "n_unmetered_calls", "Model calls that failed or were cut off: they report no tokens"
)
_REPORTED = (
    _i("baseline_total_tokens", "What the harness had counted before: a resumed one", "tokens"),
    _i("reported_total_tokens", "What the harness had counted in the end", "tokens"),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("sessions", "a recording, or one run of a runtime", ("session_id",), (
            SESSION,
            _c("source", "Where it was read from", "live", "cassette", "conversation"),
            _s("path", "The file or folder", source="wire"),
            _b("complete", "Whether the recording was finished; NA while live"),
            _s("sdk", "Version of google-antigravity", source="wire"),
            _t("started_at", "First thing seen"),
            _t("ended_at", "Last thing seen"),
            _d("duration", "From the first thing seen to the last"),
            _i("n_frames", "Frames read", source="wire"),
            _i("n_agents", "Agents"),
            _i("n_turns", "Turns"),
            _i("n_model_calls", "Metered model calls"),
        )),
        Table("agents", "an agent: one connection to a harness", ("session_id", "agent_id"), (
            SESSION, AGENT,
            _s("conversation_id", "The harness's id of the conversation"),
            MODEL,
            _c("endpoint", "What serves the model", "gemini", "vertex", "openai", "litert", "interactions"),
            _c("state", "Where it stands", "running", "closed", "lost"),
            _b("resumed", "Whether it went on with an earlier conversation"),
            _t("created_at", "When it was started"),
            _t("closed_at", "When it ended"),
            _i("n_turns", "Turns"),
            *_REPORTED,
        )),
        Table("trajectories", "the thread of steps of an agent or a subagent", ("session_id", "agent_id", "trajectory_id"), (
            SESSION, AGENT, TRAJECTORY,
            _s("parent_trajectory_id", "Who started it; NA for the agent itself"),
            _i("depth", "0 for the agent, 1 for its subagents"),
            _i("turn_id", "Turn in which it was first seen"),
            MODEL, MODEL_SOURCE,
            _c("state", "Where it stands", "running", "waiting", "idle", "cancelled", "unknown"),
            _s("stop_reason", "Why the harness stopped it, in its own words", source="wire"),
            _t("started_at", "First thing seen of it"),
            _t("ended_at", "Last thing seen of it"),
            _d("duration", "From the first thing seen to the last"),
            _i("n_steps", "Steps"),
            _i("n_model_calls", "Metered model calls"),
            UNMETERED,
            *_REPORTED,
        )),
        Table("turns", "a prompt and what came of it", ("session_id", "turn_id"), (
            SESSION, _i("turn_id", "Number of the turn in its session, from 1"), AGENT,
            _i("turn_index", "Number of the turn of its agent, from 0"),
            _c("kind", "What began it; `wakeup` is the agent by itself", "prompt", "trigger", "wakeup"),
            _i("prompt_chars", "Length of the prompt's text", "characters"),
            _i("response_chars", "Length of the agent's own answer, all tries", "characters"),
            _c("status", "How it ended; `denied` by a pre-turn hook", "ok", "error", "cancelled", "denied", "timeout", "running"),
            _s("stop_reason", "Why the harness stopped, in the SDK's words"),
            _s("error_type", "Class of the error that ended it, in `agy_nb.errors`"),
            _i("http_code", "Status code of that error"),
            _t("started_at", "When the prompt was sent"),
            _t("first_chunk_at", "When the first piece of the agent's answer came"),
            _t("ended_at", "When it was over"),
            _d("ttft", "From the prompt to the first piece of the agent's answer"),
            _d("duration", "From the prompt to the end"),
            _d("approval_wait", "Sum of the waits for a decision or an answer"),
            _i("n_model_calls", "Metered model calls, subagents' included"),
            UNMETERED,
            _i("n_tool_calls", "Tool calls, subagents' included"),
            _i("n_errors", "Errors, also those that the harness got over"),
        )),
        Table("steps", "the last state of a step", ("session_id", "agent_id", "trajectory_id", "step_index"), (
            SESSION, AGENT, TRAJECTORY, STEP, TURN,
            _c("kind", "What it is", "text", "thinking", "tool_call", "system", "compaction", "finish", "unknown"),
            _c("source", "Who took it", "model", "user", "system", "unknown"),
            _c("target", "Whom it is for", "user", "environment", "model", "unknown"),
            _c("state", "Where it stands", "active", "done", "waiting_for_user", "error", "canceled", "unknown"),
            _s("tool", "Tool that it runs"),
            _i("text_chars", "Length of its text", "characters"),
            _i("thinking_chars", "Length of its thoughts", "characters"),
            _i("n_updates", "Events of it: pieces of text and thoughts, and changes of its state"),
            _i("http_code", "Status code of a failed model call"),
            _t("first_at", "First thing seen of it"),
            _t("last_at", "Last thing seen of it"),
            _d("duration", "From the first thing seen to the last"),
        )),
        Table("model_calls", "a metered model call: a step of the harness's counter", ("session_id", "call_index"), (
            SESSION, _i("call_index", "Number of the call in its session, from 0"), AGENT, TURN, TRAJECTORY,
            _i("depth", "0 for the agent, 1 for its subagents"),
            _t("at", "When it was metered, that is at its end"),
            MODEL, MODEL_SOURCE, *TOKENS,
            _s("service_tier", "Tier that served it, where it is reported"),
            *COST,
        )),
        Table("tool_calls", "a tool call", ("session_id", "tool_index"), (
            SESSION, _i("tool_index", "Number of the call in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _s("tool_call_id", "The harness's id; NA for built-in tools"),
            _c("match", "How call and result were matched: by id, by their step, or not", "id", "step", "none"),
            _s("tool", "Name of the tool"),
            _c("kind", "Where it comes from", "host", "builtin", "mcp"),
            _s("server", "Name of the MCP server that has it"),
            _s("args_json", "Arguments, without secrets, cut at 2,000 characters"),
            _i("result_chars", "Length of the result as JSON; NA where it is not told", "characters"),
            _c("status", "How it ended", "ok", "error", "denied", "cancelled", "running"),
            _s("error", "Why it failed, cut at 500 characters"),
            _s("error_type", "Class of the exception that a host tool raised"),
            _t("started_at", "When it began to run"),
            _t("ended_at", "When its result was there"),
            _d("duration", "How long it ran"),
            _s("approval_id", "The decision that it waited for"),
            _i("read_by_call", "`call_index` of the model call that read its result, by order: inferred"),
        )),
        Table("approvals", "a decision or an answer that was asked for", ("session_id", "approval_id"), (
            SESSION, _s("approval_id", "Ties it to its tool call"), AGENT, TURN, TRAJECTORY,
            _c("kind", "What was asked for", "policy", "question"),
            _s("tool_call_id", "Tool call that waits, where the harness names it"),
            _s("tool", "Tool that waits"),
            _c("decision", "What came of it; `edited` is allowed with other arguments, which events tell", "pending", "allow", "edited", "deny", "answered", "timeout", "failed", "cancelled"),
            _s("decided_by", "Who decided; NA in a recording without host notes"),
            _t("asked_at", "When it was asked"),
            _t("decided_at", "When it was decided"),
            _d("wait", "From the one to the other"),
        )),
        Table("chunks", "a piece of text or thought; only with `chunks=True`", ("session_id", "chunk_index"), (
            SESSION, _i("chunk_index", "Number of the piece in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _c("kind", "What it is", "text", "thought"),
            _i("chars", "Length", "characters"),
            _t("at", "When it came"),
            _d("gap", "Since the piece before, of the same trajectory and turn"),
        )),
        Table("messages", "something that was said", ("session_id", "message_index"), (
            SESSION, _i("message_index", "Number of the message in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _c("role", "Who spoke", "user", "model", "system"),
            _t("at", "When it began"),
            _i("chars", "Length", "characters"),
            _s("text", "The text; only with `text=True`"),
        )),
        Table("commands", "a command of the protocol", ("session_id", "command_index"), (
            SESSION, _i("command_index", "Number of the command in its session, from 0", source="events"),
            _s("command", "Its name", source="events"),
            _i("agent_id", "Agent that it is for; NA for none", source="events"),
            _t("queued_at", "When it was sent"),
            _t("ended_at", "When it was answered"),
            _d("duration", "From the one to the other"),
            _c("status", "How it ended", "ok", "error", "timeout", "closed"),
            _s("error_type", "Class of its error, in `agy_nb.errors`", source="events"),
        )),
        Table("errors", "something that went wrong in a session", ("session_id", "error_index"), (
            SESSION, _i("error_index", "Number of the error in its session, from 0"), AGENT, TURN, TRAJECTORY, STEP,
            _t("at", "When it was seen"),
            _s("error_type", "Class in `agy_nb.errors`; NA where the harness gives only a text"),
            _i("http_code", "Status code of the model's answer"),
            _b("fatal", "Whether it ended the turn"),
            _s("message", "What happened, cut at 500 characters"),
        )),
        Table("problems", "something that could not be read, or that does not add up", ("session_id", "problem_index"), (
            SESSION, _i("problem_index", "Number of the problem in its session, from 0"),
            _s("path", "File that has it"),
            _c("problem", "What it is",
               "unreadable", "not_a_session", "newer_format", "partial", "damaged", "not_closed",
               "duplicate_session", "clock_went_back", "usage_missing", "counter_went_back",
               "totals_differ", "rows_dropped", "bad_count", "bad_step", "damaged_frame",
               "damaged_note", "unknown_call", "unknown_question", "unknown_frame"),
            _i("line", "Line of the file, from 1"),
            _s("detail", "In words"),
        )),
    )
}  # fmt: skip
"""Every table by its name."""

By: TypeAlias = Literal["turn", "trajectory", "agent", "session", "model", "day", "tool"]

USAGE_KEYS: Mapping[By, tuple[Column, ...]] = {
    "turn": (SESSION, AGENT, TURN),
    "trajectory": (
        SESSION, AGENT, TRAJECTORY, _s("parent_trajectory_id", "Who started it; NA for the agent itself"),
        _i("depth", "0 for the agent, 1 for its subagents"),
    ),
    "agent": (SESSION, AGENT),
    "session": (SESSION,),
    "model": (MODEL,),
    "day": (Column("day", "day", "Day on the clock of the time zone that was asked for"),),
    "tool": (_s("tool", "Name of the tool"),),
}  # fmt: skip
"""What a row of `usage(by=...)` stands for."""

USAGE: tuple[Column, ...] = (
    _i("n_model_calls", "Metered model calls"),
    *TOKENS,
    _f("cache_hit_ratio", "`cache_read_tokens` / `input_tokens`", ""),
    _f("cost_usd", "Price of the calls that have one; NA when none has", "US dollars"),
    _i("n_unpriced_calls", "Metered calls without a price"),
    UNMETERED,
    _b("tokens_are_lower_bound", "Whether calls were not metered, or are not over"),
    _b("cost_is_lower_bound", "The same, or calls have no price"),
)
"""The columns of `usage(by=...)` after its key."""

TOOL_USAGE: tuple[Column, ...] = (
    _i("n_tool_calls", "Tool calls"),
    _i("n_errors", "Those that failed or were denied"),
    _d("duration", "Sum of the times that they ran"),
    _f(
        "attributed_tokens",
        "Tokens of the model calls that read their results, shared out; inferred from the order",
        "tokens",
    ),
    _f("attributed_cost_usd", "Price of these, shared out in the same way", "US dollars"),
)
"""The columns of `usage(by="tool")` after its key: an attribution, not a measurement."""
