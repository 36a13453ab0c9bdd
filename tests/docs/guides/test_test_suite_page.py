"""docs/test_suite.md: each step prints the text that the page shows."""

from __future__ import annotations

import re
import shlex

import pytest

from agy_nb.cli import main as agy_nb
from tests.docs import pages

STEP = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.blocking_allowed  # the command line has its loop to itself
def test_every_step_shows_what_the_page_shows(pytester, monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    out, compared = "", 0
    for kind, text in STEP.findall(pages.read("test_suite.md")):
        if kind == "python":
            first, code = text.split("\n", 1)
            (pytester.path / first.removeprefix("# file: ")).write_text(code, encoding="utf-8")
        elif kind == "diff":
            change(pytester.path, text)
        elif kind == "sh":
            for line in text.splitlines():
                out = type_in(line, pytester, monkeypatch, capsys)
        elif kind == "text":
            missing = [line for line in text.splitlines() if squeezed(line) not in squeezed(out)]
            assert missing == [], out
            compared += 1
    assert compared == 6


def squeezed(text):
    """The text without its spaces, which depend on what is shown around it."""
    return re.sub(r"\s+", "", text)


def change(folder, diff):
    old, new = (line[1:] for line in diff.splitlines())
    [path] = [path for path in folder.glob("*.py") if old in path.read_text(encoding="utf-8")]
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def type_in(line, pytester, monkeypatch, capsys):
    """What a line of the shell prints."""
    words = shlex.split(line)
    with monkeypatch.context() as patch:
        while "=" in words[0]:
            patch.setenv(*words.pop(0).split("="))
        if words[0] == "agy-nb":
            capsys.readouterr()
            assert agy_nb(words[1:]) == 0
            return capsys.readouterr().out
        assert words[0] == "pytest"
        return pytester.runpytest_inprocess(*words[1:]).stdout.str()
