"""The live table of usage: what it shows, how it is sorted, and how often it is renewed."""

import asyncio
import re
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.analysis.builders.live_tables import LiveTables
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.widgets.usage import usage_view as usage_module
from agy_nb.widgets.usage.usage_view import UsageView
from tests.support.memory import MemoryBackend

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

MODEL = "model <b>of mine</b>"


def metered(tokens):
    """An agent whose calls take so many tokens, one after the other."""
    left = iter(tokens)

    async def answer(turn):
        turn.say("fine")
        turn.meter(input_tokens=next(left), output_tokens=10)

    return answer


class Page:
    """A front end: it clicks, and keeps what it is told."""

    def __init__(self, view: UsageView, monkeypatch: pytest.MonkeyPatch) -> None:
        self.view = view
        self.told: list[dict] = []
        monkeypatch.setattr(view.view.live.widget, "send", self.told.append)
        view.view.live._on_content({"type": "ready"}, [])

    def act(self, act: str, value: str = "") -> None:
        self.view.view.live._on_content({"type": "act", "act": act, "value": value}, [])

    @property
    def html(self) -> str:
        return self.view._page.html()

    def rows(self) -> list[list[str]]:
        """The cells of the table's body, as texts."""
        body = re.search(r"<tbody>(.*?)</tbody>", self.html).group(1)
        return [
            [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", body)
        ]


@pytest.fixture
def quick(monkeypatch):
    """Renew as soon as there is something new."""
    monkeypatch.setattr(usage_module, "INTERVAL_S", 0.01)
    monkeypatch.setattr(usage_module, "_SHARE", 0)


@pytest.fixture
def prices():
    return Prices(own={MODEL: (1.0, 0.5, 2.0)})


@pytest.fixture
async def runtime(prices, quick):
    async with agy.Runtime(
        agy.RuntimeConfig(chat_pause=0),
        backend=MemoryBackend(metered([300, 100, 200])),
        telemetry=LiveTables(prices=prices),
    ) as runtime:
        yield runtime


@pytest.fixture
async def agent(runtime):
    return await runtime.create_agent({"model": MODEL})


@pytest.fixture
async def page(agent, monkeypatch):
    for prompt in ("one", "two", "three"):
        await agent.chat_text(prompt)
    view = agent.usage_ui()
    await view.settled()
    yield Page(view, monkeypatch)
    view.close()


async def test_agents_tokens_and_cost_are_in_the_table(page):
    (row,) = page.rows()
    assert row == ["1", "3", "600", "unknown", "30", "unknown", "630", "$0.00066"]


async def test_each_grouping_has_its_own_rows(page):
    await page.view.settled()
    page.act("by", "turn")
    assert [row[0] for row in page.rows()] == ["1", "2", "3"]
    page.act("by", "model")
    assert [row[0] for row in page.rows()] == ["model &lt;b&gt;of mine&lt;/b&gt;"]
    page.act("by", "trajectory")
    assert [row[2] for row in page.rows()] == ["agent"]


async def test_the_same_head_clicked_again_turns_the_order(page):
    page.act("by", "turn")
    page.act("sort", "input_tokens")
    assert [row[3] for row in page.rows()] == ["300", "200", "100"]
    assert "aria-sort='descending'" in page.html
    page.act("sort", "input_tokens")
    assert [row[3] for row in page.rows()] == ["100", "200", "300"]
    assert "aria-sort='ascending'" in page.html


async def test_what_cannot_be_sorted_by_changes_nothing(page):
    before = page.html
    for act, value in (("sort", "no_such"), ("by", "no_such"), ("no_such", "")):
        page.act(act, value)
    assert page.html == before


async def test_totals_are_those_of_the_tables(page, agent):
    total = re.search(r"<tfoot>.*?</tfoot>", page.html).group()
    (sums,) = agent.tables.usage("session").to_dict("records")
    assert f"<td>{sums['total_tokens']}</td>" in total
    assert "$0.00066" in total


async def test_model_without_a_price_has_no_cost_and_is_named(runtime, agent, monkeypatch):
    other = await runtime.create_agent({"model": "nobody's"})
    await agent.chat_text("one")
    await other.chat_text("one")
    view = UsageView(runtime, runtime.telemetry)
    await view.settled()
    page = Page(view, monkeypatch)
    (_, second) = page.rows()
    assert second[-1] == "unknown"
    assert "$0.00" not in second
    assert "Cost incomplete: no price for nobody&#x27;s. Set prices with" in page.html
    assert 'Prices(own={"nobody&#x27;s": (input, cached, output)})' in page.html
    assert "≥ $" in re.search(r"<tfoot>.*?</tfoot>", page.html).group()
    view.close()


@pytest.mark.slow
async def test_context_stands_beside_the_models_limit(page, monkeypatch):
    assert "Context of agent 1: 200 tokens (limit of" in page.html
    monkeypatch.setattr(Prices, "context_window", lambda _prices, _model: 1000)
    page.view._on_change()
    await page.view.settled()
    assert "Context of agent 1: 200 of 1,000 tokens (20.0%, " in page.html
    assert "<meter " in page.html


async def test_chart_has_a_bar_for_each_turn(page):
    bars = re.findall(r"<g><title>(.*?)</title>", page.html)
    assert bars == [
        f"turn {n}, {tokens} input, 10 output" for n, tokens in ((1, 300), (2, 100), (3, 200))
    ]
    assert "Tokens per turn (max 310)" in page.html


async def test_nothing_has_run_is_said(runtime, monkeypatch):
    view = UsageView(runtime, runtime.telemetry)
    await view.settled()
    page = Page(view, monkeypatch)
    assert "No usage yet" in page.html
    assert "<svg" not in page.html
    view.close()


async def test_agent_that_has_called_no_model_has_no_figures_rather_than_zeros(agent, monkeypatch):
    view = agent.usage_ui()
    await view.settled()
    page = Page(view, monkeypatch)
    assert page.rows() == [["1", "0", "-", "-", "-", "-", "-", "-"]]
    view.close()


@pytest.mark.slow
async def test_page_is_renewed_when_a_turn_has_used_more(agent, monkeypatch):
    await agent.chat_text("one")
    view = agent.usage_ui()
    await view.settled()
    page = Page(view, monkeypatch)
    assert page.rows()[0][1] == "1"
    await agent.chat_text("two")
    await view.settled()
    assert page.rows()[0][1] == "2"
    view.close()


@pytest.mark.slow
async def test_many_changes_are_read_once(page, monkeypatch):
    reads = []
    read = usage_module.ut.read_usage
    monkeypatch.setattr(
        usage_module.ut, "read_usage", lambda *given: reads.append(1) or read(*given)
    )
    for _ in range(1000):
        page.view._on_change()
    await page.view.settled()
    assert len(reads) == 2  # the first change at once, all others together
    await asyncio.sleep(0.05)
    assert len(reads) == 2


@pytest.mark.slow
async def test_slow_reading_pauses_longer_but_not_for_ever(page, monkeypatch):
    monkeypatch.setattr(usage_module, "_SHARE", 1e9)
    monkeypatch.setattr(usage_module, "LONGEST_PAUSE_S", 0.2)
    page.view._on_change()
    await page.view._updating
    assert page.view._pause == 0.2


async def test_idle_view_sends_nothing(page):
    page.view.view.live.flush()
    page.told.clear()
    page.view._on_change()
    await page.view.settled()
    page.view.view.live.flush()
    assert page.told == []


async def test_closed_view_hears_no_more(agent, monkeypatch):
    view = agent.usage_ui()
    await view.settled()
    view.close()
    monkeypatch.setattr(view, "_on_change", lambda: pytest.fail("it still listens"))
    await agent.chat_text("one")


class Shell:
    def __init__(self) -> None:
        self.user_ns: dict[str, object] = {}


async def test_dataframe_goes_into_a_variable_and_over_nothing_of_the_users(page, monkeypatch):
    shell = Shell()
    monkeypatch.setattr(usage_module, "current_shell", lambda: shell)
    mine = shell.user_ns["usage_by_agent"] = object()
    page.act("frame")
    assert shell.user_ns["usage_by_agent"] is mine
    assert shell.user_ns["usage_by_agent_2"]["total_tokens"].tolist() == [630]
    assert "Saved to the variable usage_by_agent_2 (1 row)." in page.html
    page.act("frame")
    assert set(shell.user_ns) == {"usage_by_agent", "usage_by_agent_2"}


async def test_dataframe_without_a_namespace_is_refused_in_words(page, monkeypatch):
    monkeypatch.setattr(usage_module, "current_shell", lambda: None)
    page.act("frame")
    assert "Cannot create a variable here" in page.html


async def test_html_that_stays_has_all_groupings_and_no_controls(page):
    page.act("by", "turn")
    html, text = page.view._static().html, page.view._static().text
    assert html.count("<details") == 4
    assert "data-agy-act" not in html
    assert "<button" not in html
    assert "Usage by turn" in text
    assert html.index('<details class="agy-node agy-usage" open><summary>Usage by turn') > 0


async def test_an_error_in_reading_is_said_on_the_page(page, monkeypatch):
    def fail(*_exported):
        raise ValueError("<script>")

    monkeypatch.setattr(usage_module.ut, "read_usage", fail)
    page.view._on_change()
    await page.view.settled()
    assert "Cannot show usage: ValueError: &lt;script&gt;" in page.html


def test_more_rows_than_a_page_holds_are_counted():
    import pandas as pd

    from agy_nb.widgets.usage import usage_table as ut

    telemetry = LiveTables()
    usage = ut.read_usage(ut.materialize(telemetry.tables().now(ut.READ)))
    (names,) = [usage.sums["turn"].columns]
    rows = [dict.fromkeys(names, 1) | {"turn_id": number} for number in range(ut.LONGEST + 7)]
    assert "<tfoot></tfoot>" in ut.table(usage, "turn")
    frames = {**usage.sums, "turn": pd.DataFrame(rows)}
    html = ut.table(usage._replace(sums=frames), "turn")
    assert html.count("<tr>") == ut.LONGEST + 1  # and the head
    more = len(names) - len(ut.columns(usage, "turn"))
    assert f"7 more rows and {more} more columns in <code>usage(by=" in html


async def test_frozen_tables_stay_as_they_were(agent):
    await agent.chat_text("one")
    frozen = agent.tables.now()
    await agent.chat_text("two")
    assert len(frozen.turns) == 1
    assert frozen.usage("session")["n_model_calls"].tolist() == [1]
    assert len(agent.tables.turns) == 2


async def test_telemetry_tells_of_calls_and_turns_but_not_of_each_piece_of_text(quick):
    async def talks(turn):
        for _ in range(500):
            turn.say("word ")
        turn.meter()

    async with agy.Runtime(backend=MemoryBackend(talks)) as runtime:
        told = []
        stop = runtime.telemetry.watch(lambda: told.append(1))
        agent = await runtime.create_agent()
        await agent.chat_text("one")
        assert 1 < len(told) < 20
        stop()
        stop()
        told.clear()
        await agent.chat_text("two")
        assert not told


@pytest.mark.parametrize(
    ("model", "known"),
    [("gemini-2.5-flash", True), ("models/gemini-2.5-flash", True), ("mine", False), (None, False)],
)
def test_limit_of_a_model_is_known_or_not_but_never_guessed(model, known):
    limit = Prices().context_window(model)
    assert (limit is not None and limit > 100_000) if known else limit is None


@pytest.mark.parametrize(
    "given", [Path, str, lambda path: [path], agy.load], ids=["path", "text", "list", "sessions"]
)
async def test_usage_of_recordings_is_shown(given):
    view = agy.usage_ui(given("cassettes/plain_chat"))
    await view.settled()
    tokens = int(agy.load("cassettes/plain_chat").usage(by=[])["total_tokens"].iloc[0])
    assert f"{tokens:,}" in view._page.html()
    view.close()


async def test_the_total_is_that_of_all_recordings():
    sessions = agy.load(["cassettes/plain_chat", "cassettes/host_tools"])
    view = agy.usage_ui(sessions)
    await view.settled()
    total = int(sessions.usage(by=[])["total_tokens"].iloc[0])
    assert total > max(sessions.usage(by="session")["total_tokens"])
    assert f"{total:,}" in view._page.html()
    view.close()


async def test_rows_of_several_recordings_name_their_session(monkeypatch):
    view = agy.usage_ui(["cassettes/plain_chat", "cassettes/host_tools"])
    await view.settled()
    page = Page(view, monkeypatch)
    assert [row[:2] for row in page.rows()] == [["host_tools", "1"], ["plain_chat", "1"]]
    page.act("by", "turn")
    page.act("sort", "session_name")
    assert [row[0] for row in page.rows()] == ["plain_chat", "plain_chat", "host_tools"]
    assert "Context of agent 1 of plain_chat: " in page.html
    assert "<title>plain_chat turn 2, " in page.html
    assert "plain_chat" in view._static().text
    view.close()


async def test_rows_of_one_recording_do_not(monkeypatch):
    view = agy.usage_ui("cassettes/plain_chat")
    await view.settled()
    page = Page(view, monkeypatch)
    assert [row[0] for row in page.rows()] == ["1"]
    assert "Session" not in page.html
    view.close()


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("unknown_model", 'Prices(own={"m": (input, cached, output)})'),
        ("unknown_alias", 'Prices(aliases={"m": "name in the table"})'),
        ("unknown_tier", 'Prices(tiers={"tier": factor})'),
        ("no_price_table", "pip install 'agy-nb[cost]'"),
    ],
)
def test_a_missing_price_has_a_remedy_that_is_shown_once(status, remedy):
    from agy_nb.widgets.usage.usage_notes import notes
    from agy_nb.widgets.usage.usage_table import UsageData

    usage = UsageData({}, {"n_usage_unknown": 0}, (), ((status, "m"), (status, "n")))
    assert notes(usage).count(remedy) == 1
    assert "m, n" in notes(usage)
