"""Strict type checkers accept the program of a user, and find its mistakes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    "testing.ScriptedModel([]).config(modle='gemini-2.5-pro')",
    "testing.ScriptedModel([]).endpoint(url='http://127.0.0.1')",
    "load('cassettes').to_otel(None, args=True)",
)
MISTAKEN = "mistakes.py"
OF_THE_SDK = {
    "agy_nb.sdk.config.mcp_result_hook.McpResultHook",
    "agy_nb.sdk.patches.edit_hook.EditHook",
    "agy_nb.sdk.patches.question_hook.QuestionHook",
}
"""Internal classes whose base is the SDK's, which ships no `py.typed`."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # the first run reads the types of pandas


@pytest.fixture(scope="module")
def found_by_pyright(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What pyright says about the program and about the mistakes, in one run."""
    folder = tmp_path_factory.mktemp("pyright")
    shutil.copy(PROGRAM, folder)
    program_with_mistakes(folder)
    config = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "reportMissingTypeStubs": False,  # the SDK ships no py.typed
        "reportUnusedCoroutine": False,
        "reportUnusedExpression": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    run = [*PYRIGHT, "-p", str(folder), "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)["generalDiagnostics"]
    return found


def mypy(*programs: Path) -> list[str]:
    run = [sys.executable, "-m", "mypy", "--strict", "--config-file=", *map(str, programs)]
    cache = {**os.environ, "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "user_code")}
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=cache)
    return done.stdout.splitlines()


def program_with_mistakes(folder: Path) -> Path:
    lines = ["import agy_nb as agy", *(f"agy.{call}" for call in MISTAKES)]
    program = folder / MISTAKEN
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return program


def test_pyright_accepts_the_program(found_by_pyright):
    mine = [each["message"] for each in found_by_pyright if PROGRAM.name in each["file"]]
    assert mine == []


def test_pyright_finds_each_mistake(found_by_pyright):
    errors = [each for each in found_by_pyright if each["severity"] == "error"]
    lines = {each["range"]["start"]["line"] for each in errors if MISTAKEN in each["file"]}
    assert lines == set(range(1, len(MISTAKES) + 1))


def test_mypy_accepts_the_program_and_finds_each_mistake(tmp_path):
    errors = [line for line in mypy(PROGRAM, program_with_mistakes(tmp_path)) if ": error:" in line]
    assert [line for line in errors if PROGRAM.name in line] == []
    lines = {int(line.split(".py:")[1].split(":")[0]) for line in errors}
    assert lines == set(range(2, len(MISTAKES) + 2))


def test_the_types_of_all_names_are_known(tmp_path):
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
    checked = [each for each in symbols if each["isExported"]]
    assert len(checked) > 6000
    unknown = {
        each["name"]: [found["message"] for found in each["diagnostics"]]
        for each in checked
        if not each["isTypeKnown"] or each["isTypeAmbiguous"]
    }
    public = {f"{each.value.__module__}.{each.value.__qualname__}" for each in surface.names()}
    assert {name: why for name, why in unknown.items() if _is_part_of(name, public)} == {}
    # A new attribute needs its type: `self.began: bool = False`.
    others = {name: why for name, why in unknown.items() if name not in OF_THE_SDK}
    assert len(others) < 0.005 * len(checked), others


def _is_part_of(name: str, public: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:end]) in public for end in range(1, len(parts) + 1))
