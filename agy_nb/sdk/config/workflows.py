"""How an agent is asked to run a workflow of the SDK, as the SDK's `Agent.beta.run_workflow` asks.

The SDK sends the prompt itself and waits for the answer, past the runtime. Here only the prompt is
made, so that the turn is one like any other.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.antigravity import types
from google.antigravity.connections.connection import resolve_active_tools

from agy_nb.errors import InvalidInputError

sdk_workflows: Any
try:
    sdk_workflows = importlib.import_module("google.antigravity.workflows")
except ImportError:  # older versions of the SDK have none
    sdk_workflows = None


def prompt_of(
    config: Any, workflow: Any, script_path: Any, description: str
) -> tuple[str, Callable[[], None]]:
    """The prompt for a workflow, and what removes the file that was made for it; reads files.

    Raises:
        InvalidInputError: There is no such workflow, or this agent may not run any.
    """
    _must_be_able_to_run(config)
    if (workflow is None) == (script_path is None):
        raise InvalidInputError("pass either a workflow or script_path", field="workflow")
    folder = str(config.workspaces[0]) if config.workspaces else None
    try:
        if script_path is not None:
            path, remove = _script(script_path, folder), _nothing
        else:
            path = _written(workflow, folder)
            remove = _remover(path)
    except sdk_workflows.WorkflowError as error:
        raise InvalidInputError(
            f"the SDK refuses this workflow: {error}", field="workflow"
        ) from error
    words = description or getattr(workflow, "description", "") or f"Run workflow {path.name}"
    return f"Run the workflow script at `{path}` ({words}) using the `run_workflow` tool.", remove


def _must_be_able_to_run(config: Any) -> None:
    tool = getattr(types.BuiltinTools, "RUN_WORKFLOW", None)
    if sdk_workflows is None or tool is None:
        msg = "this version of google-antigravity has no workflows; install a newer one"
        raise InvalidInputError(msg, field="workflow")
    capabilities = config.capabilities
    if not capabilities.enable_subagents or tool not in resolve_active_tools(capabilities):
        msg = (
            "this agent may not run workflows: its capabilities must have enable_subagents=True "
            "and the built-in tool run_workflow"
        )
        raise InvalidInputError(msg, field="workflow")


def _script(script_path: Any, folder: str | None) -> Path:
    path = Path(os.fspath(script_path)).expanduser()
    if not path.is_absolute() and folder is not None and Path(folder, path).is_file():
        path = Path(folder, path)
    if not path.is_file():
        raise InvalidInputError(
            f"there is no workflow script at {str(path)!r}", field="script_path"
        )
    sdk_workflows.validate_workflow_source(path.read_text(encoding="utf-8"))
    return path.resolve()


def _written(workflow: Any, folder: str | None) -> Path:
    """The workflow's source in a file of its own, in the workspace where that can be written."""
    source = sdk_workflows.extract_workflow_source(workflow)
    name = str(getattr(workflow, "name", getattr(workflow, "__name__", "workflow")))
    if folder is not None and not os.access(folder, os.W_OK):
        folder = None
    with tempfile.NamedTemporaryFile(
        "w",
        encoding="utf-8",
        prefix=f".agy_workflow_{re.sub(r'[^A-Za-z0-9_-]', '_', name)}_",
        suffix=".py",
        dir=folder,
        delete=False,
    ) as file:
        file.write(source)
    return Path(file.name).resolve()


def _nothing() -> None:
    """A script of the user's own stays where it is."""


def _remover(path: Path) -> Callable[[], None]:
    def remove() -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    return remove
