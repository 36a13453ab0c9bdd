"""Faults that users of other tools reported in public, each as a recording with known numbers.

Each test names the report whose shape it has. The numbers are our own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from agy_nb.analysis import Prices, load
from agy_nb.protocol.values import ModalityTokens, TokenUsage, Trajectory
from tests.analysis.conftest import CHILD, ROOT, START, Wire, counts, save

pytest.importorskip("genai_prices")


def tokens(sessions, by=()):
    return sessions.usage(by)["total_tokens"].tolist()


def two_turns():
    return Wire().begin().prompt("One").usage(prompt=100, answer=10).idle()


# -- the same tokens, counted again --------------------------------------------------------------


def test_a_fork_that_repeats_its_parents_history_counts_it_once(tmp_path):
    """ccusage #1349 and #988: a forked session holds the whole history of its parent."""
    save(tmp_path / "parent", two_turns().end())
    fork = two_turns().prompt("Two, in the fork").usage(prompt=200, answer=20).idle().end()
    shutil.rmtree(tmp_path / "fork", ignore_errors=True)
    (tmp_path / "fork").mkdir()
    shutil.copy(tmp_path / "parent" / "header.json", tmp_path / "fork")
    (tmp_path / "fork" / "wire.jsonl").write_text(fork.text())
    sessions = load(tmp_path)
    assert tokens(sessions) == [330]
    assert "duplicate_session" in set(sessions.problems["problem"])
    assert tokens(load(tmp_path, duplicates="keep")) == [440]


def test_counters_that_are_sent_again_are_no_new_calls(tmp_path):
    """ccusage #1288 and #884: totals are sent again without a request, with other times."""
    wire = two_turns()
    for _ in range(5):
        wire.add("harness", wire.usage_frame(), 3.0)
    sessions = load(save(tmp_path / "c", wire.prompt().usage(prompt=50).idle().end()))
    assert tokens(sessions) == [160]
    assert sessions.usage(())["n_model_calls"].tolist() == [2]


def test_a_resumed_conversation_does_not_begin_with_its_past(tmp_path):
    """A session that goes on reports the tokens so far before it asks anything."""
    past = counts([1000, 0, 100, 0])
    wire = Wire().begin(
        cumulativeUsage=past, trajectoryUsage=[{"trajectoryId": ROOT.id, "usage": past}]
    )
    wire.totals[ROOT.id] = [1000, 0, 100, 0]
    wire.add("harness", wire.usage_frame())
    sessions = load(save(tmp_path / "c", wire.prompt().usage(prompt=7, answer=3).idle().end()))
    assert tokens(sessions) == [10]
    assert sessions.agents["baseline_total_tokens"].tolist() == [1100]


def test_text_and_tool_call_of_one_answer_are_one_request(tmp_path):
    """ccusage #389: one answer has two records, each with the tokens of the whole."""
    wire = Wire().begin().prompt().step(1, text="Let me see.")
    call = {"toolCall": {"id": "call-1", "name": "add", "argumentsJson": "{}"}}
    wire.step(2, state="ACTIVE", target="ENVIRONMENT", customTool=call)
    wire.usage(prompt=100, answer=10).tool("call-1").step(3, text="Two.").usage(prompt=120)
    sessions = load(save(tmp_path / "c", wire.idle().end()))
    assert sessions.usage(())[["n_model_calls", "total_tokens"]].to_numpy().tolist() == [[2, 230]]


def test_tokens_of_a_subagent_are_not_in_those_of_its_agent_too(tmp_path):
    """phoenix #12768 and #15793, ccusage #950: wrappers repeat the tokens of what they hold."""
    wire = Wire().begin().prompt().usage(prompt=100, answer=10)
    wire.step(0, where=CHILD, source="SYSTEM", target="MODEL", text="content=go")
    wire.usage(CHILD, prompt=1000, answer=50).usage(CHILD, prompt=1100, answer=60)
    sessions = load(save(tmp_path / "c", wire.usage(prompt=200, answer=5).idle().end()))
    whole = 110 + 1050 + 1160 + 205
    for by in ("session", "agent", "turn", "day", ()):
        assert tokens(sessions, by) == [whole]
    threads = sessions.usage("trajectory").sort_values("depth")
    assert threads["total_tokens"].tolist() == [315, 2210]
    assert sessions.turns["n_model_calls"].tolist() == [4]


# -- parts that are not added --------------------------------------------------------------------


def test_thoughts_are_a_part_of_the_output(tmp_path):
    """ccusage #1499: 100 in, 50 out, 20 of these thoughts are 150 tokens, and not 170."""
    wire = Wire().begin().prompt().usage(prompt=100, answer=30, thoughts=20).idle().end()
    [row] = load(save(tmp_path / "c", wire)).usage(()).to_dict("records")
    figures = ("input_tokens", "output_tokens", "reasoning_tokens", "total_tokens")
    assert [row[name] for name in figures] == [100, 50, 20, 150]
    assert row["cost_usd"] == pytest.approx(100 * 0.3e-6 + 50 * 2.5e-6)


def test_cached_tokens_are_paid_once_at_their_own_price():
    """litellm #14849: `gemini-2.5-pro` with a long prompt from the cache, charged four times."""
    usage = TokenUsage(input_tokens=262_960, cache_read_tokens=257_955, output_tokens=1744)
    found = Prices().of("gemini-2.5-pro", usage)
    long = 2.5e-6, 0.25e-6, 15e-6  # the prices of prompts of more than 200,000 tokens
    assert found.total == pytest.approx(5005 * long[0] + 257_955 * long[1] + 1744 * long[2])
    assert found.cache_saved == pytest.approx(257_955 * (long[0] - long[1]))


def test_an_implicit_cache_reports_no_modalities():
    """litellm #19775: `cachedContentTokenCount` comes without `cacheTokensDetails`."""
    text = (ModalityTokens(modality="text", tokens=1000),)
    usage = TokenUsage(
        input_tokens=1000, cache_read_tokens=900, output_tokens=0, input_details=text
    )
    assert Prices().of("gemini-2.5-flash", usage).total == pytest.approx(
        100 * 0.3e-6 + 900 * 0.03e-6
    )


def test_images_of_a_model_are_no_text():
    """litellm #17554: a picture of 1,120 tokens, priced as text, costs a tenth."""
    image = (ModalityTokens(modality="image", tokens=1120),)
    usage = TokenUsage(input_tokens=0, output_tokens=1120, output_details=image)
    assert Prices().of("gemini-3-pro-image-preview", usage).total == pytest.approx(0.1344)


# -- groups --------------------------------------------------------------------------------------


def test_a_row_per_model_shows_what_drives_the_cost(tmp_path):
    """ccusage #1056: two models in one sum say little."""
    for name, size in (("gemini-2.5-flash", 1_000_000), ("gemini-2.5-pro", 100_000)):
        wire = Wire().begin(name).prompt().usage(prompt=size).idle().end()
        save(tmp_path / name, wire)
    usage = load(tmp_path).usage(["model", "month"]).set_index("model")
    assert usage["cost_usd"].round(6).tolist() == [0.3, 0.125]
    assert usage["input_tokens"].tolist() == [1_000_000, 100_000]


@pytest.mark.slow
def test_an_evening_is_on_the_users_own_day(tmp_path):
    """ccusage #349, #413 and #1195: 20:08 in Los Angeles is the next day in UTC."""
    evening = pd.Timestamp("2026-01-24 20:08", tz="America/Los_Angeles").timestamp()
    wire = Wire(start=evening).begin().prompt().usage(prompt=5).idle().end()
    sessions = load(save(tmp_path / "c", wire))
    for zone, day in (("America/Los_Angeles", 24), ("UTC", 25), ("Asia/Tokyo", 25)):
        for ask in (sessions.usage, sessions.summary, sessions.latency):
            assert ask("day", tz=zone)["day"].dt.day.tolist() == [day]
        chosen = sessions.usage((), since=f"2026-01-{day}", until=f"2026-01-{day}", tz=zone)
        assert chosen["total_tokens"].tolist() == [5]


def test_a_model_without_a_price_is_not_free(tmp_path):
    """Tools that show $0.00 for a model that they do not know."""
    wire = Wire(start=START).begin("brand-new-model").prompt().usage(prompt=5).idle().end()
    [row] = load(save(tmp_path / "c", wire)).usage(()).to_dict("records")
    assert pd.isna(row["cost_usd"])
    assert row["cost_is_lower_bound"]
    assert row["n_unpriced_calls"] == 1


def test_a_fork_adds_only_its_own_tokens(tmp_path):
    """ccusage #897: 100 in the parent, and a fork that ends at 150, are 150 and not 250."""
    parent = Wire().begin().prompt("One").usage(prompt=90, answer=10).idle().end()
    save(tmp_path / "parent", parent)
    past = counts([90, 0, 10, 0])
    other = "c" * 32
    fork = Wire(start=START + 7200).begin(
        cascadeId=other,
        cumulativeUsage=past,
        trajectoryUsage=[{"trajectoryId": other, "usage": past}],
    )
    mine = Trajectory(id=other)
    fork.totals[other] = [90, 0, 10, 0]
    fork.prompt("Two, in the fork").usage(mine, prompt=45, answer=5).idle(mine)
    save(tmp_path / "fork", fork.end())
    assert tokens(load(tmp_path)) == [150]
    assert tokens(load(tmp_path), "session") == [50, 100]


def test_tokens_of_the_models_own_tools_are_in_the_total(tmp_path):
    """tokscale #531: a prompt of 10 and 7 tokens of tool results were shown as 10."""
    wire = Wire().begin().prompt()
    details = {"toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}]}
    usage = counts([10, 0, 3, 0]) | details | {"totalTokenCount": "20"}
    frame = {"usageUpdate": {"agents": [{"trajectoryId": ROOT.id, "usage": usage}], "total": usage}}
    sessions = load(save(tmp_path / "c", wire.add("harness", frame).idle().end()))
    [row] = sessions.usage(()).to_dict("records")
    assert (row["input_tokens"], row["tool_use_tokens"], row["total_tokens"]) == (10, 7, 20)
    assert row["cost_usd"] == pytest.approx(17 * 0.3e-6 + 3 * 2.5e-6)


def test_audio_and_images_of_a_prompt_are_paid():
    """litellm #9535 and #14285: audio was priced as text, and images of a prompt not at all."""
    for modality, price in (("audio", 1.0e-6), ("image", 0.3e-6)):
        parts = (
            ModalityTokens(modality="text", tokens=4),
            ModalityTokens(modality=modality, tokens=258),
        )
        usage = TokenUsage(input_tokens=262, output_tokens=0, input_details=parts)
        found = Prices().of("gemini-2.5-flash", usage)
        assert found.total == pytest.approx(4 * 0.3e-6 + 258 * price)


def test_a_session_that_changes_its_model_pays_each_models_price(tmp_path):
    """TokenTracker #558: all tokens went to the model that was chosen last."""
    first = Wire().begin("gemini-2.5-flash").prompt("One").usage(prompt=1000).idle().end()
    past = counts([1000, 0, 0, 0])
    later = Wire(session=1, start=START + 60).begin(
        "gemini-2.5-pro",
        cumulativeUsage=past,
        trajectoryUsage=[{"trajectoryId": ROOT.id, "usage": past}],
    )
    later.totals[ROOT.id] = [1000, 0, 0, 0]
    later.prompt("Two").usage(prompt=2000).idle().end()
    usage = load(save(tmp_path / "c", first, later)).usage("model").set_index("model")
    assert usage["total_tokens"].to_dict() == {"gemini-2.5-flash": 1000, "gemini-2.5-pro": 2000}
    assert usage["cost_usd"].tolist() == [pytest.approx(0.0003), pytest.approx(0.0025)]


def test_new_prices_count_for_sessions_that_were_read_before(tmp_path):
    """cc-switch #2390: a price that is added later left the cost of older sessions at zero."""
    wire = Wire().begin("new-model").prompt().usage(prompt=1_000_000, answer=100_000).idle().end()
    save(tmp_path / "runs" / "c", wire)
    sessions = load(tmp_path / "runs", cache=tmp_path / "cache")
    assert sessions.usage(())["cost_usd"].isna().all()
    own = Prices(own={"new-model": (5.0, 0.5, 30.0)})
    assert sessions.with_prices(own).usage(())["cost_usd"].tolist() == [pytest.approx(8.0)]
    again = load(tmp_path / "runs", cache=tmp_path / "cache", prices=own)
    assert again.usage(())["cost_usd"].tolist() == [pytest.approx(8.0)]


def test_limits_in_time_are_those_of_the_users_clock(tmp_path):
    """phoenix #3024: a limit was read in one zone, and rows were filtered in another."""
    for hour in (22, 23, 0, 1):  # UTC; midnight in Vienna is 22:00 in summer
        day = 20 if hour > 12 else 21
        start = pd.Timestamp(f"2026-07-{day} {hour:02}:30", tz="UTC").timestamp()
        wire = Wire(start=start).begin().prompt().usage(prompt=10 ** (hour % 10)).idle().end()
        folder = tmp_path / f"h{hour}"
        save(folder, text=wire.text())
        (folder / "wire.jsonl").write_text(wire.text())
    sessions = load(tmp_path, cache=False)
    vienna = {"since": "2026-07-21", "tz": "Europe/Vienna"}
    assert tokens(sessions.filter(**vienna)) == [100 + 1000 + 1 + 10]
    assert tokens(sessions.filter(since="2026-07-21", tz="UTC")) == [1 + 10]
    moment = pd.Timestamp("2026-07-21 01:00", tz="Europe/Vienna").to_pydatetime()
    assert tokens(sessions.filter(since=moment)) == [1000 + 1 + 10]


def test_tool_tokens_of_an_http_answer_need_no_modalities(tmp_path):
    """tokscale #531, as Gemini's HTTP has it: a count of the tokens of tools, without details."""
    shipped = Path(__file__).parents[3] / "cassettes" / "plain_chat"
    shutil.copytree(shipped, tmp_path / "c")
    file = tmp_path / "c" / "model.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    for each in data["interactions"]:
        body = each["response"]["body"]
        more = '"usageMetadata": {"toolUsePromptTokenCount": 50, '
        body["string"] = body["string"].replace('"usageMetadata": {', more)
        body["string"] = body["string"].replace('Count": 107', 'Count": 157')
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    [row] = load(tmp_path / "c", cache=False).usage(()).to_dict("records")
    assert (row["input_tokens"], row["tool_use_tokens"], row["total_tokens"]) == (200, 100, 314)
    before = load(shipped, cache=False).usage(())["cost_usd"].iloc[0]
    assert row["cost_usd"] == pytest.approx(before + 100 * 0.3e-6)
