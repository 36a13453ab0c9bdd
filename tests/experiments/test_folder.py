"""Comparisons in a folder: another call runs only what is missing."""

import json
import os
import stat

import pytest
from google.antigravity import types

import agy_nb as agy
from agy_nb.errors import InvalidInputError
from agy_nb.testing import ScriptedModel, call, each, fail, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]

SECRET = "AIzaSyB1234567890abcdefghijklmnopqrstuvw"
PROMPTS = ["one", "two"]


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@pytest.fixture
async def runtime():
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as made:
        yield made


@pytest.fixture
async def model():
    script = each([call("get_weather", city="Rome"), say("Sunny.")])
    async with ScriptedModel({"weather": script, "": each([say("fine")])}) as made:
        yield made


@pytest.fixture
def compare(model, runtime, tmp_path):
    async def run(variants, prompts=PROMPTS, **options):
        before = len(model.requests)
        options = {"base": model.config(), "folder": tmp_path / "runs"} | options
        found = await agy.compare_runs(prompts, variants, runtime=runtime, **options)
        return found, len(model.requests) - before

    return run


def lines(folder):
    return (folder / "runs.jsonl").read_text().splitlines()


async def test_another_call_runs_nothing_and_has_the_same_table(compare, tmp_path):
    variants = {"a": {"tools": [get_weather]}, "b": {}}
    first, calls = await compare(variants, ["weather?"], repeat=2)
    assert calls == 8
    again, calls = await compare(variants, ["weather?"], repeat=2)
    assert calls == 0
    assert again.table.equals(first.table)
    assert again.table["tool_calls"][0] == "get_weather(city='Rome')"
    assert all(run.from_folder for run in again.runs)
    assert again.responses == []
    assert len(lines(tmp_path / "runs")) == 1 + 4


async def test_only_what_is_new_runs(compare):
    await compare({"a": {}, "b": {}})
    _, calls = await compare({"a": {}, "b": {}}, [*PROMPTS, "three"])
    assert calls == 2
    _, calls = await compare({"a": {}, "b": {}, "c": {}})
    assert calls == 2
    _, calls = await compare({"a": {}, "b": {}}, repeat=2)
    assert calls == 4
    _, calls = await compare({"a": {"system_instructions": "Be brief"}, "b": {}})
    assert calls == 2


async def test_prompts_in_another_order_do_not_run_again(compare):
    await compare({"a": {}})
    found, calls = await compare({"a": {}}, PROMPTS[::-1])
    assert calls == 0
    assert found.table["prompt"].tolist() == ["two", "one"]


async def test_pictures_in_another_order_do_not_run_again(compare):
    one, two = (types.Image(data=data, mime_type="image/png") for data in (b"one", b"two"))
    await compare({"a": {}}, [["Look", one], ["Look", two]])
    found, calls = await compare({"a": {}}, [["Look", two], ["Look", one]])
    assert calls == 0
    assert found.prompts == ("Look [image]", "Look [image]")


async def test_a_prompt_twice_is_two_runs(compare):
    _, calls = await compare({"a": {}}, ["one", "one"])
    assert calls == 2
    _, calls = await compare({"a": {}}, ["one", "one"])
    assert calls == 0


async def test_a_changed_tool_runs_again(compare):
    def tool(text):
        def look_up(word: str) -> str:
            """Look up a word."""
            return f"{text} {word}"

        return look_up

    await compare({"a": {"tools": [tool("x")]}})
    _, calls = await compare({"a": {"tools": [tool("x")]}})
    assert calls == 0
    _, calls = await compare({"a": {"tools": [tool("y")]}})
    assert calls == 2


async def test_a_failed_run_runs_again(runtime, tmp_path):
    answers = iter([fail(400, "no"), say("fine")])
    async with ScriptedModel(lambda _: next(answers)) as model:
        for status in ("error", "ok"):
            found = await agy.compare_runs(
                "one", {"a": {}}, base=model.config(), runtime=runtime, folder=tmp_path / "runs"
            )
            assert found.table["status"].tolist() == [status]


async def test_an_earlier_cost_counts(runtime, tmp_path):
    async with ScriptedModel(say("x")) as model:
        arguments = {
            "base": model.config(model="gemini-2.5-flash"),
            "runtime": runtime,
            "folder": tmp_path / "runs",
        }
        first = await agy.compare_runs(["one"], {"a": {}}, **arguments)
        both = await agy.compare_runs(
            ["one", "two"], {"a": {}}, max_cost_usd=first.cost.usd, **arguments
        )
    assert both.table["status"].tolist() == ["ok", "not run"]


async def test_the_file_has_no_secrets_and_is_private(runtime, tmp_path):
    async with ScriptedModel(say(f"The key is {SECRET}, the other is my-own-pass-4711.")) as model:
        endpoint = model.endpoint(api_key="my-own-pass-4711")
        config = model.config()
        models = [each.model_copy(update={"endpoint": endpoint}) for each in config.models]
        await agy.compare_runs(
            [f"Use {SECRET}"],
            {"a": {"models": models}},
            runtime=runtime,
            folder=tmp_path / "runs",
        )
    text = (tmp_path / "runs" / "runs.jsonl").read_text()
    assert "The key is" in text
    assert SECRET not in text
    assert "my-own-pass-4711" not in text
    assert stat.S_IMODE((tmp_path / "runs" / "runs.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage",
    [
        b"{not json\n",
        b'{"variant": "a"}\n',
        b"\xff\xfe\n",
        b"[]\n",
        b'{"variant": 3, "repeat": -1}\n',
        b"[" * 100_000 + b"\n",
        b'{"cost_usd": NaN}\n',
        b'{"format": 1}\n',
        b"cut at the en",
    ],
)
async def test_a_damaged_line_is_reported_and_the_rest_is_used(compare, tmp_path, damage):
    await compare({"a": {}})
    with (tmp_path / "runs" / "runs.jsonl").open("ab") as file:
        file.write(damage)
    with pytest.warns(UserWarning, match="cannot read line 4; these runs run again"):
        found, calls = await compare({"a": {}}, [*PROMPTS, "three"])
    assert calls == 1
    assert found.table["status"].eq("ok").all()
    assert len(found.problems) == 1
    with pytest.warns(UserWarning, match="line 4"):  # the new line is whole
        assert (await compare({"a": {}}, [*PROMPTS, "three"]))[1] == 0


async def test_a_cut_line_is_closed_where_the_system_has_no_pread(compare, tmp_path, monkeypatch):
    """As on Windows."""
    await compare({"a": {}})
    with (tmp_path / "runs" / "runs.jsonl").open("ab") as file:
        file.write(b"cut at the en")
    monkeypatch.delattr(os, "pread", raising=False)
    with pytest.warns(UserWarning, match="line 4"):
        await compare({"a": {}}, [*PROMPTS, "three"])
    with pytest.warns(UserWarning, match="line 4"):
        assert (await compare({"a": {}}, [*PROMPTS, "three"]))[1] == 0


async def test_a_run_whose_line_is_damaged_runs_again(compare, tmp_path):
    await compare({"a": {}})
    file = tmp_path / "runs" / "runs.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.warns(UserWarning, match="line 3"):
        assert (await compare({"a": {}}))[1] == 1


async def test_a_result_is_kept_when_it_cannot_be_written(compare, tmp_path, monkeypatch):
    await compare({"a": {}})
    file = tmp_path / "runs" / "runs.jsonl"
    real = os.write

    def full(fd, data):
        if os.fstat(fd).st_ino == file.stat().st_ino:
            return real(fd, data[:5])
        return real(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.warns(UserWarning, match="cannot write a run of 'a'.*the disk is full"):
        found, _ = await compare({"a": {}}, [*PROMPTS, "three"])
    assert found.table["answer"].tolist() == ["fine"] * 3


async def test_a_folder_that_cannot_be_used(compare, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "runs.jsonl").write_text("hello\n")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "runs.jsonl").symlink_to("/dev/zero")
    (tmp_path / "new").mkdir()
    header = {"format": "agy_nb comparison", "version": 99}
    (tmp_path / "new" / "runs.jsonl").write_text(json.dumps(header) + "\n")
    expected = {
        "file": "cannot use the folder",
        "other": "has other files and no runs.jsonl",
        "foreign": "is not a file of comparisons",
        "link": "cannot read .* symbolic links",
        "new": "has version '99' of the format",
    }
    for name, message in expected.items():
        with pytest.raises(InvalidInputError, match=message) as error:
            await compare({"a": {}}, folder=tmp_path / name)
        assert error.value.field == "folder"
    for bad in (3, " "):
        with pytest.raises(InvalidInputError, match="folder must be a path"):
            await compare({"a": {}}, folder=bad)


async def test_the_folder_of_another_comparison(compare):
    await compare({"a": {}})
    with pytest.raises(InvalidInputError, match="another comparison, with the variants 'a'"):
        await compare({"x": {}}, ["something else"])
