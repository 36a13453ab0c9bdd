"""The search of the documentation: words that users type, and the page that they look for."""

from __future__ import annotations

import tomllib

import pytest

from tests.docs import pages

WORDS = tomllib.loads(pages.read("search_words.toml"))
NOTEBOOKS = pages.DOCS.parent / "notebooks"
QUESTIONS = {
    "record": "cassettes",
    "api key": "howto/choose_model",
    "cost": "howto/prices",
    "approve tool": "tools_and_approvals",
    "offline tests": "testing",
    "interrupt": "howto/stop_a_tool",
    "subagent": "howto/subagents",
    "redact": "howto/personal_data",
    "fork": "howto/branches",
    "timeout": "runtime",
}


@pytest.mark.parametrize(("question", "page"), QUESTIONS.items())
def test_a_question_leads_to_its_page_among_the_first_three(question, page):
    # Sphinx compares with entries that contain the question and are at most twice as long.
    first = [
        name
        for name, words in WORDS.items()
        if any(question in word and len(question) >= len(word) / 2 for word in words)
    ]
    assert page in first
    assert len(first) <= 3


def test_every_page_with_search_words_exists():
    missing = [
        name
        for name in WORDS
        if not (pages.DOCS / f"{name}.md").exists() and not (NOTEBOOKS / f"{name}.ipynb").exists()
    ]
    assert missing == []
