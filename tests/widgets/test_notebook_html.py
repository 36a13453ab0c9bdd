"""What a notebook shows of an object that is the last value of a cell: escaped, and right."""

from __future__ import annotations

import re
from functools import partial
from html import unescape

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, ScriptUsage, call, say
from tests.contract.project import test_reprs

HOSTILE = "<script>alert(1)</script>"
USAGE = ScriptUsage(prompt=1_000, cached=400, candidates=200, thoughts=50)
MARKUP = re.compile(r"<(?!/?(?:b|code|div|li|p|pre|table|tbody|td|th|thead|tr|ul)\b)")
"""The begin of a tag that these views do not use."""

LIVE = ("Sessions", "DaskSessions", "ModelRequest")
DATA_CLASSES = [
    each for each in test_reprs.PLAIN if hasattr(each, "_repr_html_") and each.__name__ not in LIVE
]


def look_up(city: str) -> str:
    """Look a city up."""
    return f"{city} {HOSTILE}"


def must_be_safe(html: str) -> None:
    assert not MARKUP.search(html), html
    assert "alert(1)</script>" not in html


def rows(html: str) -> list[list[str]]:
    """Return the texts of the cells of each row."""
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in html.split("<tr>")]
    return [[unescape(cell) for cell in row] for row in found if row]


@pytest.mark.parametrize("cls", [pytest.param(each, id=each.__name__) for each in DATA_CLASSES])
def test_values_of_data_classes_are_escaped(cls, monkeypatch):
    monkeypatch.setattr(test_reprs, "LONG", HOSTILE)
    monkeypatch.setattr(test_reprs, "NESTED", {HOSTILE: [HOSTILE]})
    make = test_reprs.OBJECTS.get(cls.__name__, partial(test_reprs.filled, cls))
    must_be_safe(make()._repr_html_())


def test_an_error_shows_its_lines():
    html = agy.AgyError(f"first {HOSTILE}\nsecond")._repr_html_()
    assert "first &lt;script&gt;alert(1)&lt;/script&gt;\nsecond" in html
    must_be_safe(html)


def test_long_values_and_lists_are_cut():
    event = agy.ApprovalRequest(tool="look_up", args={"text": "x" * 10_000})
    assert len(event._repr_html_()) < 4_000
    assert "(10,016 characters)" in event._repr_html_()


@pytest.mark.real
@pytest.mark.blocking_allowed  # tables are imported on their first use
async def test_a_live_agent_and_all_that_it_gives():
    requests: list[str] = []

    def decide(request: agy.ApprovalRequest) -> agy.ApprovalDecision:
        requests.append(request._repr_html_())
        return agy.ApprovalDecision(allowed=True, remember="call")

    script = [call("look_up", city=HOSTILE).having(usage=USAGE), say(HOSTILE, usage=USAGE)]
    async with ScriptedModel(script) as model, agy.Runtime() as runtime:
        config = model.config(model="gemini-2.5-flash")
        agent = await runtime.create_agent(config, tools=[look_up], ask_user=decide)
        idle = await runtime.create_agent(config)
        response = await (await agent.chat(f"Hello {HOSTILE}"))
        shown = {
            "agent": agent._repr_html_(),
            "runtime": runtime._repr_html_(),
            "usage": response.usage._repr_html_(),
            "calls": response.tool_calls._repr_html_(),
            "results": response.tool_results._repr_html_(),
            "text": response.text_stream()._repr_html_(),
            "expect": agy.expect(response)._repr_html_(),
            "grants": agent.grants._repr_html_(),
            "model": model._repr_html_(),
            "request": model.requests[-1]._repr_html_(),
        }
        for html in (*shown.values(), *requests):
            must_be_safe(html)
        cost = f"${agent.cost.usd:.4f}"
        assert rows(shown["agent"])[1] == ["Turn 1", "ok", "1", "2", "2,500", cost]
        assert rows(shown["runtime"])[1:] == [
            ["Agent 1", "gemini-2.5-flash", "1", "1", "2", "2,500", cost],
            [f"Agent {idle.id}", "gemini-2.5-flash", "0", "0", "0", "0", "$0"],
        ]
        assert rows(shown["usage"])[-2:] == [["Total", "2,500 tokens"], ["Cost", cost]]
        assert rows(shown["calls"])[1] == ["look_up", f'{{"city": "{HOSTILE}"}}']
        assert rows(shown["results"])[1] == ["look_up", f"{HOSTILE} {HOSTILE}"]
        prompt = f"Hello {HOSTILE}"
        assert rows(shown["model"])[1:] == [["1", prompt, ""], ["2", prompt, "look_up"]]
        assert "1 turn, 1 tool call" in shown["expect"]
        assert agent.sync._repr_html_() == shown["agent"]
