"""Make the prompt that runs a workflow, as in the SDK's `Agent.beta.run_workflow`.

The SDK's method sends the prompt and waits for the answer without the runtime. Here only the prompt
is made, so that the runtime handles the turn like any other.
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
except ImportError:  # older versions of the SDK have no workflows
    sdk_workflows = None


def prompt_of(
    config: Any, workflow: Any, script_path: Any, description: str
) -> tuple[str, Callable[[], None]]:
    """Return the prompt for a workflow, and a function that removes its file. Reads the disk.

    Raises:
        InvalidInputError: The workflow does not exist, or this agent may not run workflows.
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
            f"the SDK rejects this workflow: {error}", field="workflow"
        ) from error
    words = description or getattr(workflow, "description", "") or f"Run workflow {path.name}"
    return f"Run the workflow script at `{path}` ({words}) using the `run_workflow` tool.", remove


def _must_be_able_to_run(config: Any) -> None:
    tool = getattr(types.BuiltinTools, "RUN_WORKFLOW", None)
    if sdk_workflows is None or tool is None:
        msg = "the installed google-antigravity does not support workflows; install a newer version"
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
            f"workflow script not found: {str(path)!r}; correct script_path", field="script_path"
        )
    sdk_workflows.validate_workflow_source(path.read_text(encoding="utf-8"))
    return path.resolve()


def _written(workflow: Any, folder: str | None) -> Path:
    """Write the workflow's source to a temporary file, in the workspace if it is writable."""
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
    """Keep the user's script."""


def _remover(path: Path) -> Callable[[], None]:
    def remove() -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    return remove
