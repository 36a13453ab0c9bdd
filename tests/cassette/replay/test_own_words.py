"""Words of the user, a tool or a model that look like words of the harness or of a recording."""

import ast
import asyncio
import re

import pytest
from google.antigravity import types

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cli import main
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting, talk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]
ONE, TWO = "1" * 32, "2" * 32
INFORMATION = (
    "\n<user_information>\nThe USER's OS version is {0}.\nConversation ID: {0}\n</user_information>"
)


def looks_like_the_harness(run):
    return (
        f'Conversation ID: {run}\nagent (name: "x", id: "{run}")\n'
        f"The USER's OS version is {run}.\ntask id: {run}/task-4{INFORMATION.format(run)}"
    )


def instructions(kind, text):
    if kind == "custom":
        return types.CustomSystemInstructions(text=text)
    if kind == "identity":
        return types.TemplatedSystemInstructions(identity=text, sections=[])
    return text


@pytest.mark.parametrize("kind", ["section", "custom", "identity", "tool"])
async def test_words_of_the_user_are_compared_exactly(tmp_path, kind):
    async def play(base_url, run):
        def lookup(order: str) -> str:
            """Look up an order."""
            return looks_like_the_harness(run if kind == "tool" else ONE)

        words = looks_like_the_harness(ONE if kind == "tool" else run)
        at = Setting(base_url, tmp_path / "at")
        config = at.config(system_instructions=instructions(kind, words), tools=[lookup])
        return await talk(config, "Look it up")

    script = [call("lookup", order="1"), say("Done.")]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        await play(model.base_url, ONE)
    async with use_cassette(tmp_path / "c", "none", seam="model"):
        (result,) = await play(NO_MODEL, ONE)
    assert "Done." in str(result)
    with pytest.raises(CassetteMismatchError, match="differs from the recording"):
        async with use_cassette(tmp_path / "c", "none", seam="model"):
            await play(NO_MODEL, TWO)


PLACES = ("prompt", "instructions", "tool")
JSON = '{"a": 1, "b": 2}'


async def talk_about_json(base_url, folder, **changed):
    """Talk with the same JSON at each place, or with other words at one of them."""
    said = dict.fromkeys(PLACES, JSON) | changed

    def lookup(order: str) -> str:
        """Look up an order."""
        return said["tool"]

    config = Setting(base_url, folder / "at").config(
        system_instructions=types.CustomSystemInstructions(text=said["instructions"]),
        tools=[lookup],
    )
    return await talk(config, said["prompt"])


@pytest.fixture(scope="module")
def json_cassette(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")

    async def record():
        script = [call("lookup", order="1"), say("Done.")]
        async with ScriptedModel(script) as model, use_cassette(folder / "c"):
            await talk_about_json(model.base_url, folder)

    asyncio.run(record())
    return folder / "c"


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_json_of_the_user_may_come_again(json_cassette, tmp_path, seam):
    async with use_cassette(json_cassette, "none", seam=seam):
        assert "Done." in str(await talk_about_json(NO_MODEL, tmp_path))


@pytest.mark.parametrize("seam", ["wire", "model"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("other", ['{"b": 2, "a": 1}', '{"a":1,"b":2}', '{"a": 1.0, "b": 2}'])
async def test_json_of_the_user_is_compared_word_for_word(
    json_cassette, tmp_path, seam, place, other
):
    with pytest.raises(CassetteMismatchError, match="differs from the recording"):
        async with use_cassette(json_cassette, "none", seam=seam):
            await talk_about_json(NO_MODEL, tmp_path, **{place: other})


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_json_that_the_sdk_writes_is_compared_by_its_meaning(tmp_path, seam):
    async def play(base_url, result):
        def lookup(order: str) -> dict[str, int]:
            """Look up an order."""
            return result

        config = Setting(base_url, tmp_path / "at").config(tools=[lookup])
        return await talk(config, "Look it up")

    script = [call("lookup", order="1"), say("Done.")]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        await play(model.base_url, {"a": 1, "b": 2})
    async with use_cassette(tmp_path / "c", "none", seam=seam):
        assert "Done." in str(await play(NO_MODEL, {"b": 2, "a": 1}))
    with pytest.raises(CassetteMismatchError, match="differs from the recording"):
        async with use_cassette(tmp_path / "c", "none", seam=seam):
            await play(NO_MODEL, {"b": 2, "a": 3})


MARKS = "{{agy:secret}} {{agy:foo}} {{agy::home}} {{agy:home}}/x {{agy:}}"


def pieces(text):
    """Cut a text, also in the middle of marks."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def echo(text: str, more: dict[str, int]) -> str:
    """Repeat a text."""
    ECHOED.append(text)
    return f"{text} and {MARKS}"


ECHOED: list[str] = []


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_texts_that_look_like_marks_stay_as_they_are(tmp_path, seam):
    async def play(base_url, prompt):
        ECHOED.clear()
        config = Setting(base_url, tmp_path / "at").config(
            system_instructions=f"Say {MARKS}", tools=[echo]
        )
        result = await talk(config, prompt)
        return result, list(ECHOED)

    script = [
        call("echo", text=MARKS, more={"{{agy:home}} {{agy:x}}": 1}),
        say(pieces(f"It is {MARKS}.")),
    ]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        recorded = await play(model.base_url, MARKS)
    assert recorded[1] == [MARKS]
    assert f"It is {MARKS}." in str(recorded)
    async with use_cassette(tmp_path / "c", "none", seam=seam):
        assert await play(NO_MODEL, MARKS) == recorded
    for other in ("{{agy:other}} ", "secret {{agy:foo}} ", "{{agy:secret}} {{agy:bar}} "):
        with pytest.raises(CassetteMismatchError, match="differs from the recording"):
            async with use_cassette(tmp_path / "c", "none", seam=seam):
                await play(NO_MODEL, other + MARKS.partition("foo}} ")[2])


async def test_views_of_a_recording_show_texts_as_they_were(tmp_path, capsys):
    script = [say(pieces(f"It is {MARKS}."))]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        await talk(Setting(model.base_url, tmp_path / "at").config(), f"Ask {MARKS}")
    assert "{{agy:^foo}}" in (tmp_path / "c" / "wire.jsonl").read_text(encoding="utf-8")
    for command in ("show", "verify"):
        assert main(["cassette", command, str(tmp_path / "c")]) == 0
    shown = capsys.readouterr().out
    assert f"Ask {MARKS}" in shown
    assert f"It is {MARKS}." in shown
    tables = agy.load(tmp_path / "c")
    assert tables.turns.prompt_chars.to_list() == [len(f"Ask {MARKS}")]
    assert tables.turns.response_chars.to_list() == [len(f"It is {MARKS}.")]
    before = files(tmp_path / "c")
    assert main(["cassette", "redact", str(tmp_path / "c")]) == 0
    assert files(tmp_path / "c") == before


def files(folder):
    """What a cassette holds, apart from its header."""
    return {file.name: file.read_bytes() for file in folder.glob("*l")}


CITY = '{"city": "Paris"}'


def weather(city: str) -> dict[str, str]:
    """Report the weather."""
    return {"city": city, "lines": f"{CITY}\n{CITY}"}


@pytest.mark.parametrize("when", ["record", "redact"])
async def test_json_path_reaches_all_json_of_a_recording(tmp_path, when):
    async def play(base_url):
        config = Setting(base_url, tmp_path / "at").config(tools=[weather])
        return await talk(config, f"Look:\n{CITY}\n{CITY}")

    path, rules = tmp_path / "c", ["$..city"]
    script = [call("weather", city="Paris"), say(pieces(f"```json\n{CITY}\n```"))]
    async with (
        ScriptedModel(script) as model,
        use_cassette(path, redact=rules if when == "record" else []),
    ):
        await play(model.base_url)
    if when == "redact":
        assert main(["cassette", "verify", str(path), "--jsonpath", rules[0]]) == 1
        assert main(["cassette", "redact", str(path), "--jsonpath", rules[0]]) == 0
    assert main(["cassette", "verify", str(path), "--jsonpath", rules[0]]) == 0
    assert b"Paris" not in b"".join(files(path).values())
    async with use_cassette(path, "none", redact=rules):
        await play(NO_MODEL)


async def test_place_in_a_request_may_be_ignored(tmp_path):
    async def play(base_url, words):
        config = Setting(base_url, tmp_path / "at").config(system_instructions=words)
        return await talk(config, "Hello")

    async with ScriptedModel([say("Hi.")]) as model, use_cassette(tmp_path / "c"):
        await play(model.base_url, "Be brief.")
    with pytest.raises(CassetteMismatchError, match="ignore=\\['systemInstruction") as caught:
        async with use_cassette(tmp_path / "c", "none", seam="model"):
            await play(NO_MODEL, "Be kind.")
    ignored = ast.literal_eval(re.search("ignore=(\\[.*?'\\])", str(caught.value))[1])
    async with use_cassette(tmp_path / "c", "none", seam="model", ignore=ignored):
        assert "Hi." in str(await play(NO_MODEL, "Be kind."))
