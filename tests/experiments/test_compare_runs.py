"""`agy.compare_runs` on the real SDK with a scripted model."""

import asyncio
from dataclasses import replace

import pytest

import agy_nb as agy
from agy_nb.errors import InvalidConfigError, InvalidInputError, InvalidPromptError
from agy_nb.testing import ScriptedModel, ScriptUsage, call, each, fail, hang, say
from agy_nb.testing.script.script_router import in_system

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]

PRICED = "gemini-2.5-flash"


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def metered(turn, prompt, answer):
    return replace(turn, usage=ScriptUsage(prompt=prompt, candidates=answer))


def answer(request):
    """Answer with the model, the prompt, and the sum of what was offered."""
    style = "short" if "Be brief" in request.system_text else "long"
    return metered(
        say(f"{style} answer to {request.user_text}"), 1000, 100 if style == "long" else 10
    )


@pytest.fixture
async def runtime():
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all")) as made:
        yield made


STYLES = {"long": {}, "short": {"system_instructions": "Be brief"}}


async def compare(model, prompts, variants, runtime, **options):
    if "base" not in options:
        options["base"] = model.config(model=PRICED)
    return await agy.compare_runs(prompts, variants, runtime=runtime, **options)


async def test_a_run_per_variant_prompt_and_repeat(runtime):
    async with ScriptedModel(answer) as model:
        found = await compare(model, ["one", "two"], STYLES, runtime, repeat=2)
    table = found.table
    assert list(zip(table["variant"], table["repeat"], table["prompt"], strict=True)) == [
        (variant, repeat, prompt)
        for repeat in (1, 2)
        for prompt in ("one", "two")
        for variant in ("long", "short")
    ]
    assert table["answer"].tolist()[:2] == ["long answer to one", "short answer to one"]
    assert table["status"].eq("ok").all()
    assert table["tokens"].tolist() == [1100, 1010] * 4
    assert table["cost_usd"].tolist()[:2] == pytest.approx(
        [1000 * 0.3e-6 + 100 * 2.5e-6, 1000 * 0.3e-6 + 10 * 2.5e-6]
    )
    assert not table["cost_is_lower_bound"].any()
    assert table["duration"].notna().all()
    assert (table["ttft"] <= table["duration"]).all()
    assert table["error"].isna().all()
    assert runtime.agent_ids == ()
    assert repr(found) == "<Comparison: runs 8/8, variants 2, prompts 2>"


async def test_the_summary_has_means_with_intervals(runtime):
    lengths = iter([100, 300])

    def growing(request):
        return metered(say("x"), 1000, next(lengths))

    async with ScriptedModel(growing) as model:
        found = await compare(model, "go", {"a": {}}, runtime, repeat=2, concurrency=1)
    row = found.summary().iloc[0]
    assert (row["n_runs"], row["n_ok"], row["n_errors"], row["n_not_run"]) == (2, 2, 0, 0)
    assert row["tokens_mean"] == 1200
    assert row["tokens_high"] - row["tokens_mean"] == pytest.approx(12.706 * 100, rel=1e-4)
    assert row["cost_usd"] == pytest.approx(2000 * 0.3e-6 + 400 * 2.5e-6)


async def test_settings_of_a_variant_replace_those_of_the_base(runtime):
    def which(request):
        return say(f"{request.model} {'get_weather' in request.tool_names}")

    async with ScriptedModel(which) as model:
        variants = {
            "base": {},
            "model": {"model": "gemini-2.5-pro"},
            "no tools": {"tools": []},
            "object": model.config(model="gemini-x"),
        }
        base = model.config(model=PRICED, tools=[get_weather])
        found = await compare(model, ["go"], variants, runtime, base=base)
    assert found.table["answer"].tolist() == [
        f"{PRICED} True",
        "gemini-2.5-pro True",
        f"{PRICED} False",
        "gemini-x False",
    ]


async def test_tool_calls_are_in_the_table_and_for_expect(runtime):
    script = each([call("get_weather", city="Paris"), say("Sunny.")])
    async with ScriptedModel({"": script}) as model:
        variants = {
            "a": {"tools": [get_weather]},
            "b": {"tools": [get_weather], "ask_user": lambda request: True},
        }
        found = await compare(model, ["Paris?"], variants, runtime)
    assert found.table["tool_calls"].tolist() == ["get_weather(city='Paris')"] * 2
    assert found.table["n_tool_calls"].tolist() == [1, 1]
    for response in found.responses:
        agy.expect(response).called("get_weather", city="Paris").says("Sunny")
    assert len(found.responses) == 2


async def test_runs_have_labels_in_the_tables_of_the_runtime(runtime):
    async with ScriptedModel(say("x")) as model:
        await compare(model, ["go"], {"a": {}, "b": {"labels": {"team": "x"}}}, runtime)
    agents = runtime.tables.agents
    assert sorted(agents["variant"]) == ["a", "b"]


async def test_a_variant_can_be_a_function_that_returns_an_agent(runtime):
    async with ScriptedModel(say("from my agent")) as model:
        base = model.config(model=PRICED)

        async def mine():
            return await runtime.create_agent(base)

        agent = await mine()
        found = await compare(
            model, ["go"], {"mine": mine, "plain": lambda: agent, "wrong": lambda: 3}, runtime
        )
    assert found.table["answer"].fillna("").tolist() == ["from my agent", "from my agent", ""]
    assert "must return an agent, got int" in found.runs[2].error
    assert runtime.agent_ids == ()


async def test_a_branch_point_can_be_a_variant(runtime):
    def count(request):
        return say(f"{len(request.user_texts)} {'brief' in request.system_text}")

    async with ScriptedModel(count) as model:
        agent = await runtime.create_agent(model.config(model=PRICED))
        for prompt in ("first", "second"):
            await (await agent.chat(prompt))
        variants = {
            "after 1": lambda: agent.fork(turn=1),
            "brief": lambda: agent.fork(turn=2, config={"system_instructions": "Be brief"}),
        }
        found = await compare(model, ["next"], variants, runtime)
        assert agent.is_started
    assert found.table["answer"].tolist() == ["2 False", "3 True"]


async def test_an_error_of_a_run_is_a_row(runtime):
    scripts = [(in_system("bad"), each([fail(400, "no such thing")])), ("", each([say("fine")]))]
    async with ScriptedModel(scripts) as model:
        variants = {
            "bad": {"system_instructions": "bad"},
            "good": {},
            "unstartable": {"save_dir": "/dev/null/x"},
        }
        found = await compare(model, ["one", "two"], variants, runtime)
    assert found.table["status"].tolist() == ["error", "ok", "error"] * 2
    assert "no such thing" in found.table["error"][0]
    assert "save_dir" in found.table["error"][2]
    summary = found.summary().set_index("variant")
    assert summary["n_errors"].to_dict() == {"bad": 2, "good": 0, "unstartable": 2}


async def test_an_unknown_cost_is_not_zero(runtime):
    async with ScriptedModel(say("x")) as model:
        base = model.config(model="my-model")
        found = await compare(model, ["one"], {"a": {}}, runtime, base=base)
    assert found.table["cost_usd"].isna().all()
    assert found.table["cost_is_lower_bound"].all()
    assert found.cost.usd is None
    assert found.cost.is_lower_bound
    assert found.summary()["cost_usd_mean"].isna().all()


async def test_no_run_starts_above_the_limit(runtime):
    async with ScriptedModel(answer) as model:  # a run costs 0.00055 US dollars
        found = await compare(
            model, ["1", "2", "3", "4"], {"a": {}}, runtime, max_cost_usd=0.001, concurrency=1
        )
    assert found.table["status"].tolist() == ["ok", "ok", "not run", "not run"]
    assert found.runs[2].error == (
        "the runs so far cost $0.0011, which reaches max_cost_usd=$0.001"
    )
    assert found.table["answer"].isna().tolist() == [False, False, True, True]


async def test_no_run_starts_after_one_of_unknown_cost(runtime):
    async with ScriptedModel(say("x")) as model:
        base = model.config(model="my-model")
        found = await compare(
            model, ["1", "2"], {"a": {}}, runtime, base=base, max_cost_usd=1, concurrency=1
        )
    assert found.table["status"].tolist() == ["ok", "not run"]
    assert "the cost of a run of 'a' is not known" in found.runs[1].error


async def test_at_most_so_many_runs_at_a_time(runtime):
    most, pair = 0, asyncio.Barrier(2)  # each run answers only while another one waits

    async def watch(request):
        nonlocal most
        await pair.wait()
        most = max(most, len(runtime.agent_ids))
        return say("x")

    async with ScriptedModel(watch) as model:
        found = await compare(model, list("abcdef"), {"a": {}}, runtime, concurrency=2)
    assert [run.error for run in found.runs] == [""] * 6
    assert most == 2


async def test_a_cancelled_comparison_keeps_its_results_and_goes_on(runtime):
    def some(request):
        return hang() if request.user_text == "slow" and waits else say("x")

    waits = True
    async with ScriptedModel(some) as model:
        comparison = agy.compare_runs(
            ["quick", "slow", "third"],
            {"a": {}},
            base=model.config(model=PRICED),
            runtime=runtime,
            concurrency=1,
        )
        assert set(comparison.table["status"]) == {"not run"}
        task = asyncio.ensure_future(comparison)
        await model.requested(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert comparison.table["status"].tolist() == ["ok", "not run", "not run"]
        assert "interrupted" in comparison.runs[1].error
        assert runtime.agent_ids == ()
        waits = False
        assert await comparison is comparison
        assert comparison.table["status"].tolist() == ["ok", "ok", "ok"]
        calls = len(model.requests)
        await comparison  # nothing is left to run
        assert len(model.requests) == calls


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_comparison_is_recorded_and_replayed(tmp_path, concurrency):
    def tell(request):
        return answer(request)

    async def once(model, mode):
        async with (
            agy.use_cassette(tmp_path / "c", mode),
            agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
        ):
            return await compare(
                model, ["one", "two"], STYLES, runtime, repeat=2, concurrency=concurrency
            )

    async with ScriptedModel(tell) as model:
        recorded = await once(model, "once")
        calls = len(model.requests)
        replayed = await once(model, "none")
        assert len(model.requests) == calls
    same = ["variant", "repeat", "prompt", "answer", "tokens", "cost_usd", "status"]
    assert recorded.table["status"].eq("ok").all()
    assert replayed.table[same].equals(recorded.table[same])


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_runs_from_a_branch_point_are_recorded_and_replayed(tmp_path, concurrency):
    def count(request):
        style = "brief" if "Be brief" in request.system_text else "long"
        return say(f"{len(request.user_texts)} {style}")

    async def once(model, mode, checkpoints):
        async with (
            agy.use_cassette(tmp_path / "c", mode),
            agy.Runtime(agy.RuntimeConfig(chat_pause=0, checkpoints=checkpoints)) as runtime,
        ):
            agent = await runtime.create_agent(model.config())
            for prompt in ("first", "second"):
                await agent.chat_text(prompt)
            variants = {
                "after 1": lambda: agent.fork(turn=1),
                "brief": lambda: agent.fork(turn=2, config={"system_instructions": "Be brief"}),
                "same": lambda: agent.fork(turn=2),
            }
            options = {"repeat": 2, "concurrency": concurrency}
            found = await compare(model, ["next", "other"], variants, runtime, **options)
            return found, await agent.chat_text("third")

    async with ScriptedModel(count) as model:
        recorded, last = await once(model, "once", "all")
        calls = len(model.requests)
        replayed, again = await once(model, "none", "off")
        assert len(model.requests) == calls
    assert again == last == "3 long"
    assert recorded.table["answer"].tolist() == ["2 long", "3 brief", "3 long"] * 4
    same = ["variant", "repeat", "prompt", "answer", "tokens", "status"]
    assert replayed.table[same].equals(recorded.table[same])


BAD = {
    "no prompts": ({"prompts": []}, "prompts is empty"),
    "prompts is a number": ({"prompts": 3}, "prompts must be a list of prompts, got int"),
    "blank prompt": ({"prompts": ["one", " "]}, r"prompts\[1\]: the prompt is empty"),
    "no variants": ({"variants": {}}, "variants is empty"),
    "variants is a text": ({"variants": "fast"}, "variants must be a mapping"),
    "one name twice": ({"variants": [("a", {}), ("a", {})]}, "two variants have the name 'a'"),
    "blank name": ({"variants": {" ": {}}}, "the name of a variant must be"),
    "variant is a number": ({"variants": {"a": 3}}, "variant 'a' must be a mapping of settings"),
    "unknown setting": ({"variants": {"a": {"modle": "x"}}}, "did you mean 'model'"),
    "no such setting": ({"variants": {"a": {"temperature": 0}}}, "unknown setting 'temperature'"),
    "a conversation": ({"variants": {"a": {"conversation_id": "x"}}}, "conversation of its own"),
    "repeat": ({"repeat": 0}, "repeat must be a whole number >= 1, got 0"),
    "repeat is a share": ({"repeat": 1.5}, "repeat must be a whole number >= 1, got 1.5"),
    "concurrency": ({"concurrency": 0}, "concurrency must be a whole number >= 1, got 0"),
    "limit": ({"max_cost_usd": -1}, "max_cost_usd must be a number of US dollars >= 0"),
    "limit is a text": ({"max_cost_usd": "1"}, "max_cost_usd must be a number"),
    "limit is NaN": ({"max_cost_usd": float("nan")}, "max_cost_usd must be a number"),
    "base": ({"base": 3}, "base must be a mapping of settings"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD)
async def test_bad_input(given, message, runtime):
    arguments = {"prompts": ["one"], "variants": {"a": {}}, "runtime": runtime} | given
    with pytest.raises(InvalidInputError, match=message) as error:
        await agy.compare_runs(**arguments)
    assert error.value.field in {*given, "temperature", "modle", "conversation_id"}


async def test_a_setting_that_the_sdk_rejects(runtime):
    async with ScriptedModel(say("x")) as model:
        with pytest.raises(InvalidConfigError, match="workspaces"):
            await compare(model, ["one"], {"a": {"workspaces": 3}}, runtime)


def test_bad_prompts_keep_their_class():
    with pytest.raises(InvalidPromptError):
        agy.compare_runs([3], {"a": {}})
