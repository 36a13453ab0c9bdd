"""The files that tools and people expect of a project work as they say."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FORMS = sorted(p for p in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if p.stem != "config")
PAGES = [ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
RECORDS = sorted(p for p in ROOT.glob("docs/decisions/*.md") if p.stem != "index")


def read_yaml(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_workflow_runs_ci_run_on_every_supported_python():
    [job] = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    supported = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    assert job["strategy"]["matrix"]["python"] == supported


def test_workflow_hands_its_python_to_the_makefile():
    [job] = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"
    shown = subprocess.run(
        ["make", "-n", "-p", "help"],
        cwd=ROOT,
        env={**os.environ, "PYTHON": "python-of-the-job"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PYTHON ?= python-of-the-job" in shown.stdout or re.search(
        r"^PYTHON = python-of-the-job$", shown.stdout, re.MULTILINE
    )


def test_hooks_of_pre_commit_are_the_projects_own_tools():
    [repository] = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    locked = (ROOT / "uv.lock").read_text(encoding="utf-8")
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert re.search(rf'^name = "{tool}"$', locked, re.MULTILINE), hook["entry"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_form_has_the_keys_that_github_needs(path):
    form = read_yaml(path)
    assert form["name"]
    assert form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in asked}) == len(asked) > 0
    assert all(field["attributes"]["label"] for field in asked)


def test_editorconfig_parses_and_agrees_with_the_formatter():
    parser = configparser.ConfigParser()
    text = (ROOT / ".editorconfig").read_text(encoding="utf-8")
    parser.read_string(f"[top]\n{text}")
    ruff = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"line-length = {parser['*.py']['max_line_length']}" in ruff
    assert parser["Makefile"]["indent_style"] == "tab"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    assert links
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record_of_a_decision_has_its_parts_and_its_row(path):
    text = path.read_text(encoding="utf-8")
    [(status, date)] = re.findall(
        r"^Status: ([\w ]+)\. Date: (\d{4}-\d\d-\d\d)\.", text, re.MULTILINE
    )
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences"]
    index = (path.parent / "index.md").read_text(encoding="utf-8")
    assert f"]({path.name}) | {status} | {date} |" in index


def test_tests_in_a_browser_are_in_the_folder_that_has_a_run_of_its_own():
    """Elsewhere they would break the tests that follow: Playwright leaves an event loop behind."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    folders = [
        ROOT / folder
        for folder in re.findall(r"^IN_(?:BROWSER|SERVERS) = (.*)$", makefile, re.MULTILINE)
    ]
    uses = re.compile(r"mark\.browser\b|^(from|import) playwright", re.MULTILINE)
    users = [
        path
        for path in (ROOT / "tests").rglob("*.py")
        if uses.search(path.read_text(encoding="utf-8"))
    ]
    assert {folder for path in users for folder in folders if folder in path.parents} == {*folders}
    assert [path for path in users if not {*folders} & {*path.parents}] == []
