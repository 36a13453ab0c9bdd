"""Strict type checkers accept the program of a user, and find its mistakes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract import surface

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAM = HERE / "user_program.py"
PYRIGHT = [sys.executable, "-m", "basedpyright"]
MISTAKES = (
    "create_agent(modle='gemini-2.5-pro')",
    "create_agent(workspaces=5)",
    "create_agent(labels=['ada'])",
    "load('cassettes', engine='spark')",
    "use_cassette('c', record_mode='sometimes')",
)
WIDGETS = ("ChatPanel", "Browser", "UsageView")
"""Views of ipywidgets, which ships no types: their base class is unknown."""
RETURN_WIDGETS = {
    "agy_nb.experiments.compare_runs.compare_runs",
    "agy_nb.runtime.agent.Agent",
    "agy_nb.runtime.agent.Agent.chat_ui",
    "agy_nb.runtime.agent.Agent.usage_ui",
    "agy_nb.runtime.default_runtime.runtime",
    "agy_nb.runtime.runtime.Runtime",
    "agy_nb.runtime.runtime.Runtime.handle_of",
    "agy_nb.widgets.chat.recorded_chat.chat_ui",
    "agy_nb.widgets.recordings.browser.browse",
    "agy_nb.widgets.usage.usage_view.usage_ui",
}
"""Names that count as unknown because they return a view, or an object with such a method."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # the first run reads the types of pandas


def pyright(settings: dict[str, object], folder: Path) -> list[dict[str, object]]:
    config = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "reportMissingTypeStubs": False,  # the SDK ships no py.typed
        **settings,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    run = [*PYRIGHT, "-p", str(folder), "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    found: list[dict[str, object]] = json.loads(done.stdout)["generalDiagnostics"]
    return found


def mypy(*programs: Path) -> list[str]:
    run = [sys.executable, "-m", "mypy", "--strict", "--config-file=", *map(str, programs)]
    cache = {**os.environ, "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "user_code")}
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=cache)
    return done.stdout.splitlines()


def program_with_mistakes(folder: Path) -> Path:
    lines = ["import agy_nb as agy", *(f"agy.{call}" for call in MISTAKES)]
    program = folder / "mistakes.py"
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return program


def test_pyright_accepts_the_program(tmp_path):
    shutil.copy(PROGRAM, tmp_path)
    assert [each["message"] for each in pyright({}, tmp_path)] == []


def test_pyright_finds_each_mistake(tmp_path):
    program_with_mistakes(tmp_path)
    found = pyright({"reportUnusedCoroutine": False, "reportUnusedExpression": False}, tmp_path)
    lines = {each["range"]["start"]["line"] for each in found if each["severity"] == "error"}
    assert lines == set(range(1, len(MISTAKES) + 1))


def test_mypy_accepts_the_program_and_finds_each_mistake(tmp_path):
    errors = [line for line in mypy(PROGRAM, program_with_mistakes(tmp_path)) if ": error:" in line]
    assert [line for line in errors if PROGRAM.name in line] == []
    lines = {int(line.split(".py:")[1].split(":")[0]) for line in errors}
    assert lines == set(range(2, len(MISTAKES) + 2))


def test_the_types_of_every_public_name_are_known(tmp_path):
    shutil.copytree(
        ROOT / "agy_nb", tmp_path / "agy_nb", ignore=shutil.ignore_patterns("__pycache__")
    )
    run = [*PYRIGHT, "--verifytypes", "agy_nb", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(
        [*run, "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path.parent,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    public = {
        f"{each.value.__module__}.{each.value.__qualname__}"
        for each in surface.names()
        if each.value.__name__ not in WIDGETS
    }
    checked = [each for each in symbols if _is_part_of(each["name"], public)]
    assert len(checked) > 800
    unknown = {
        each["name"]: [found["message"] for found in each["diagnostics"]]
        for each in checked
        if not each["isTypeKnown"] or each["isTypeAmbiguous"]
    }
    assert {name: why for name, why in unknown.items() if name not in RETURN_WIDGETS} == {}


def _is_part_of(name: str, public: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:end]) in public for end in range(1, len(parts) + 1))
