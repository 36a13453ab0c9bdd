"""The default policies of an agent: which calls run, and about which the user is asked.

Measured (SDK 0.1.22): the harness itself denies file tools outside the workspace, regardless of
policies, unless a rule is named `allow_all`. It allows the temporary folder and its own
application-data folder, so these rules ask about calls that reach there. The harness's own check
stays on, because it also covers subagents, about whose built-in tools no policy is asked.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.antigravity import types
from google.antigravity.connections.local.local_connection_config import normalize_wire_path
from google.antigravity.hooks import policy

from agy_nb.sdk.process.executor import run_in_thread

_Outside = Callable[[Mapping[str, Any]], Awaitable[bool]]
"""Returns whether the arguments of a file tool name a path outside the workspace."""

_TOOLS = types.BuiltinTools
_COMMANDS = (_TOOLS.RUN_COMMAND,)
_EGRESS = (_TOOLS.READ_URL_CONTENT, _TOOLS.SEARCH_WEB)
_READS = (_TOOLS.VIEW_FILE, _TOOLS.LIST_DIR, _TOOLS.SEARCH_DIR, _TOOLS.FIND_FILE)
_WRITES = (_TOOLS.CREATE_FILE, _TOOLS.EDIT_FILE)
_HARMLESS = tuple(tool for tool in _TOOLS if tool.name in ("SCHEDULE", "FINISH"))
"""Looked up by name, because SDK 0.1.17 has no SCHEDULE."""

_PATHS = frozenset(
    (
        "path",
        "file",
        "filepath",
        "absolutepath",
        "targetfile",
        "directorypath",
        "searchpath",
        "searchdirectory",
        "outputpath",
    )
)
NAME = "agy_nb_default"
"""Name of the default rules in logs and in the configuration."""


def in_a_notebook(folders: Sequence[str], ask: Any) -> list[policy.Policy]:
    """Return the rules of a notebook without `ask_user=` and policies.

    They ask about commands, calls that send data away, and file tools outside the workspace.

    Args:
        folders: The folders of the workspace.
        ask: The handler of the rules that ask.
    """
    return [
        *(policy.ask_user(tool.value, handler=ask, name=NAME) for tool in (*_COMMANDS, *_EGRESS)),
        *_outside(folders, ask, (*_READS, *_WRITES)),
        policy.allow("*", name=NAME),
    ]


def with_a_handler(folders: Sequence[str], ask: Any) -> list[policy.Policy]:
    """Return the rules for `ask_user=` without policies: ask about all but reading the workspace.

    Args:
        folders: The folders of the workspace.
        ask: The handler of the rules that ask.
    """
    return [
        *_outside(folders, ask, _READS),
        *(policy.allow(tool.value, name=NAME) for tool in (*_READS, *_HARMLESS)),
        policy.ask_user("*", handler=ask, name=NAME),
    ]


def _outside(
    folders: Sequence[str], ask: Any, tools: Sequence[types.BuiltinTools]
) -> list[policy.Policy]:
    """Return rules that ask about file tools outside the workspace."""
    outside = _outside_of(folders)
    why = "The path is outside the workspace."
    return [
        _with_reason(policy.ask_user(tool.value, handler=ask, when=outside, name=NAME), why)
        for tool in tools
    ]


def _with_reason(rule: policy.Policy, why: str) -> policy.Policy:
    """Add a reason to a rule, if the SDK supports reasons (0.1.17 does not)."""
    return replace(rule, reason=why) if hasattr(rule, "reason") else rule


def _outside_of(folders: Sequence[str]) -> _Outside:
    """Return a predicate on the arguments of file tools.

    Links are followed. A call without a known path argument counts as outside.

    Args:
        folders: The folders that are inside.
    """

    async def outside(args: Mapping[str, Any]) -> bool:
        named = [
            value for key, value in args.items() if key.replace("_", "").lower() in _PATHS and value
        ]
        return await run_in_thread(_any_outside, folders, named)

    return outside


def _any_outside(folders: Sequence[str], named: Sequence[Any]) -> bool:
    roots = [Path(os.path.realpath(folder)) for folder in folders]
    return not named or not all(isinstance(path, str) and _is_in(roots, path) for path in named)


def _is_in(roots: Sequence[Path], path: str) -> bool:
    try:
        base = roots[0] if roots else Path.cwd()
        real = Path(os.path.realpath(base / normalize_wire_path(path)))
    except (OSError, ValueError):
        return False
    return any(real.is_relative_to(root) for root in roots)
