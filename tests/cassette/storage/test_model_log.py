"""The model's side while it is recorded: added to, killed, cut off, and whole in the end."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from google.antigravity import Agent

from agy_nb.cassette import use_cassette
from agy_nb.cassette.errors import CassetteBusyError, CassetteInvalidError, CassetteMismatchError
from agy_nb.cassette.inspect.verify import problems
from agy_nb.cassette.redaction.leaks import redact
from agy_nb.cassette.storage.format import EPISODES, HEADER, MODEL, WIRE, Header, read_header
from agy_nb.cassette.storage.model_log import ModelLog, read_model
from agy_nb.cassette.storage.ownership import unfinished_of
from agy_nb.cassette.storage.shared.vcr_file import read_vcr
from agy_nb.cassette.storage.writer import CassetteWriter
from agy_nb.testing import ScriptedModel, say
from tests.cassette.replay.test_sessions import forgotten_pipes
from tests.cassette.scenarios import NO_MODEL, Setting

# The SDK itself blocks the loop while it stops the harness, and leaves its pipes open.
live = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def real(test):
    for mark in live:
        test = mark(test)
    return test


async def talk(at, *prompts, **settings):
    with forgotten_pipes():
        async with Agent(at.config(**settings)) as agent:
            return [await (await agent.chat(prompt)).text() for prompt in prompts]


@pytest.fixture
async def recorded(tmp_path):
    """A cassette of one agent and two turns."""
    path = tmp_path / "c"
    async with ScriptedModel([say("One."), say("Two.")]) as model, use_cassette(path):
        await talk(Setting(model.base_url, tmp_path / "then"), "First?", "Second?")
    return path


def files(folder):
    return {item.name: item.read_bytes() for item in folder.iterdir()}


@real
async def test_new_request_goes_to_the_model_and_is_added(recorded, tmp_path):
    prompts, wire = ["First?", "Second?", "Third?"], (recorded / WIRE).read_bytes()
    async with ScriptedModel([say("Three.")]) as model:
        async with use_cassette(recorded, "new_episodes", seam="model") as cassette:
            here = Setting(model.base_url, tmp_path / "new")
            assert await talk(here, *prompts) == ["One.", "Two.", "Three."]
            assert cassette.recording
        assert [request.user_text for request in model.requests] == ["Third?"]
    assert (recorded / WIRE).read_bytes() == wire
    assert set(files(recorded)) == {HEADER, WIRE, MODEL}
    async with use_cassette(recorded, "none", seam="model"):
        again = await talk(Setting(NO_MODEL, tmp_path / "now"), *prompts)
    assert again == ["One.", "Two.", "Three."]


@real
async def test_nothing_new_leaves_the_cassette_alone(recorded, tmp_path):
    before = files(recorded)
    async with use_cassette(recorded, "new_episodes", seam="model"):
        # One request less than was recorded is no error: other blocks may make it.
        assert await talk(Setting(NO_MODEL, tmp_path / "now"), "First?") == ["One."]
    assert files(recorded) == before
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


@real
async def test_cassette_that_is_not_there_is_recorded(tmp_path):
    async with (
        ScriptedModel([say("One.")]) as model,
        use_cassette(tmp_path / "c", "new_episodes", seam="model"),
    ):
        await talk(Setting(model.base_url, tmp_path / "then"), "First?")
    for seam in ("wire", "model"):
        async with use_cassette(tmp_path / "c", "none", seam=seam):
            assert await talk(Setting(NO_MODEL, tmp_path / seam), "First?") == ["One."]


@real
async def test_new_agent_at_the_wire_adds_to_both_sides(recorded, tmp_path):
    brief = {"system_instructions": "Be brief."}
    async with (
        ScriptedModel([say("Yes.")]) as model,
        use_cassette(recorded, "new_episodes"),
    ):
        await talk(Setting(NO_MODEL, tmp_path / "old"), "First?", "Second?")
        await talk(Setting(model.base_url, tmp_path / "new"), "Ready?", **brief)
    for seam in ("wire", "model"):
        at = Setting(NO_MODEL, tmp_path / seam)
        async with use_cassette(recorded, "none", seam=seam):
            assert await talk(at, "First?", "Second?") == ["One.", "Two."]
            assert await talk(at, "Ready?", **brief) == ["Yes."]


@real
async def test_somebody_elses_recording_is_told_and_not_harmed(recorded, tmp_path):
    other = CassetteWriter(recorded, Header())
    before = files(recorded)
    with pytest.raises(CassetteBusyError, match="another recording writes to"):
        async with use_cassette(recorded, "new_episodes", seam="model"):
            await talk(Setting(NO_MODEL, tmp_path / "new"), "Something else?")
    assert files(recorded) == before
    other.abandon()


KEY = "AIza" + "Sy7" * 12


@real
async def test_key_that_a_model_streams_in_pieces_is_in_no_file(tmp_path):
    pieces = ["Your key is ", KEY[:3], KEY[3:17], KEY[17:], ", keep it."]
    async with ScriptedModel([say(pieces), say("I will.")]) as model, use_cassette(tmp_path / "c"):
        here = Setting(model.base_url, tmp_path / "then")
        said = await talk(here, "Which key?", "Keep it.")
    assert said[0] == f"Your key is {KEY}, keep it."
    everything = b"".join(files(tmp_path / "c").values()).decode()
    for part in (KEY[:17], KEY[3:17], KEY[17:], KEY[:8]):
        assert part not in everything
    for seam in ("wire", "model"):
        async with use_cassette(tmp_path / "c", "none", seam=seam):
            again = await talk(Setting(NO_MODEL, tmp_path / seam), "Which key?", "Keep it.")
        assert again == ["Your key is {{agy:secret}}, keep it.", "I will."]


RECORDER = """
import asyncio, sys
from pathlib import Path
from google.antigravity import Agent
from agy_nb.cassette import use_cassette
from agy_nb.testing import ScriptedModel, hang, say
from tests.cassette.scenarios import Setting

async def main(folder):
    script = [say("One."), say("Two."), hang("Thr")]
    async with ScriptedModel(script) as model, use_cassette(folder / "c"):
        async with Agent(Setting(model.base_url, folder / "then").config()) as agent:
            for prompt in ("First?", "Second?", "Third?"):
                await (await agent.chat(prompt)).text()

asyncio.run(main(Path(sys.argv[1])))
"""


@real
@pytest.mark.slow
async def test_killed_recorder_leaves_what_the_model_has_answered(tmp_path):
    root = Path(__file__).parents[3]
    recorder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECORDER, str(tmp_path), cwd=root, start_new_session=True
    )

    def answered():
        both = [tmp_path.glob(f"c.partial-*/{name}") for name in (WIRE, EPISODES)]
        both = [file for files in both for file in files]
        if len(both) < 2:
            return False
        if not all(file.exists() for file in both):
            return False
        wire, model = (file.read_bytes() for file in both)
        return b"Third?" in wire and model.count(b"\n") == 2

    try:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(answered):
                assert recorder.returncode is None, "the recorder ended by itself"
                await asyncio.sleep(0.02)  # leaves the processor to the recorder
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(recorder.pid, signal.SIGKILL)
        await recorder.wait()
    assert not (tmp_path / "c").exists()
    (partial,) = unfinished_of(tmp_path / "c")
    assert not read_header(partial).complete
    with (partial / EPISODES).open("ab") as file:
        file.write(b'{"request":{"method":"POST","uri":"http')
    async with use_cassette(partial, "none", seam="model"):
        at = Setting(NO_MODEL, tmp_path / "now")
        assert await talk(at, "First?", "Second?") == ["One.", "Two."]
    with pytest.raises(CassetteMismatchError, match="more often than was recorded"):
        async with use_cassette(partial, "none", seam="model"):
            await talk(Setting(NO_MODEL, tmp_path / "again"), "First?", "Second?", "Third?")


def exchange(number, answer=b"answer"):
    return {
        "request": {"method": "POST", "uri": "http://m/", "body": str(number), "headers": {}},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Content-Type": ["text/plain"]},
            "body": {"string": answer},
        },
    }


BODIES = ["plain", "é \u2028 \n", b"\xff\xfe\x00", ""]


def journal_of(folder, *bodies):
    journal = ModelLog(folder)
    for number, body in enumerate(bodies):
        journal.put(lambda number=number, body=body: exchange(number, body))
    return journal


def test_unfinished_one_is_read_as_the_finished_one(tmp_path):
    journal = journal_of(tmp_path, *BODIES)
    journal.close()
    made = [exchange(number, body) for number, body in enumerate(BODIES)]
    assert read_model(tmp_path) == made
    assert not (tmp_path / MODEL).exists()
    ModelLog(tmp_path).finish()
    assert read_model(tmp_path) == made
    assert sorted(item.name for item in tmp_path.iterdir()) == [MODEL]


def test_every_truncation_keeps_every_whole_exchange(tmp_path):
    journal_of(tmp_path, *BODIES).close()
    whole = (tmp_path / EPISODES).read_bytes()
    for size in range(len(whole)):
        (tmp_path / EPISODES).write_bytes(whole[:size])
        assert len(read_model(tmp_path)) == whole[:size].count(b"\n")


def test_damaged_exchange_is_named_by_number(tmp_path):
    journal_of(tmp_path, "one").close()
    with (tmp_path / EPISODES).open("ab") as file:
        file.write(b'{"request": 5}\n')
    with pytest.raises(CassetteInvalidError, match="line 2: no request"):
        read_model(tmp_path)


def test_unfinished_one_is_redacted_and_finished(cassette, hello):
    folder = cassette(hello)
    journal_of(folder, "for ACME-42", "and no more").close()
    redact(folder, [re.compile(r"ACME-\d+")])
    bodies = [item["response"]["body"]["string"] for item in read_model(folder)]
    assert bodies == ["for {{agy:rule}}", "and no more"]
    assert not (folder / EPISODES).exists()


def test_verify_looks_at_an_unfinished_one(cassette, hello):
    folder = cassette(hello)
    (folder / EPISODES).write_bytes(b"{}\n")
    assert any("model.jsonl, line 1" in str(each) for each in problems(folder))


def test_what_was_there_comes_first(tmp_path):
    journal_of(tmp_path, "old").finish()
    journal_of(tmp_path, "new").finish()
    bodies = [item["response"]["body"]["string"] for item in read_vcr(tmp_path / MODEL)]
    assert bodies == ["old", "new"]


def test_crash_between_file_and_journal_keeps_both_readable(tmp_path, monkeypatch):
    """Killed in the moment that the file is written: the journal still has everything."""
    journal = journal_of(tmp_path, "one")

    def refuse(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        journal.finish()
    assert len(read_model(tmp_path)) == 1


def test_exchange_that_cannot_be_made_is_told_at_the_end(tmp_path):
    journal = ModelLog(tmp_path)
    journal.put(lambda: {}["oops"])
    journal.put(lambda: exchange(1))
    with pytest.raises(KeyError, match="oops"):
        journal.finish()
    assert list(tmp_path.iterdir()) == []
