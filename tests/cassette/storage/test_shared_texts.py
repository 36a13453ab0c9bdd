"""Texts that the requests of many cassettes repeat are stored once, beside the cassettes."""

import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from agy_nb import Runtime, use_cassette
from agy_nb.cassette.errors import CassetteInvalidError, CassetteNotWrittenError
from agy_nb.cassette.inspect.verify import problems
from agy_nb.cassette.redaction.leaks import redact
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.file_lock import FileLock
from agy_nb.cassette.storage.format import MODEL
from agy_nb.cassette.storage.migration import migrate
from agy_nb.cassette.storage.model_log import ModelLog, read_model
from agy_nb.cassette.storage.ownership import unfinished_of
from agy_nb.cassette.storage.shared import shared_texts
from agy_nb.cassette.storage.shared.compact_bodies import _STYLES as STYLES
from agy_nb.cassette.storage.shared.shared_texts import FOLDER, unused_in
from agy_nb.cassette.storage.shared.vcr_file import write_vcr
from agy_nb.testing import ScriptedModel, say
from tests.cassette.storage.recordings import record

INSTRUCTIONS = "".join(
    f"<section>\nRule {n}: {'be brief and exact, and name your sources. ' * 20}\n\n</section>\n"
    for n in range(10)
)


def body(prompt, *, instructions=INSTRUCTIONS, tool="weather", write=json.dumps):
    return write(
        {
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "systemInstruction": {
                "parts": [
                    {"text": f"{instructions}Conversation ID: {hash(prompt) % 16**32:032x}\n"}
                ]
            },
            "tools": [{"functionDeclarations": [{"name": tool, "description": "Looks. " * 200}]}],
        }
    )


def exchange(text):
    return {
        "request": {
            "method": "POST",
            "uri": "http://127.0.0.1/v1beta/models/m:streamGenerateContent",
            "body": text,
            "headers": {"Content-Type": ["application/json"]},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {},
            "body": {"string": "data: {}\r\n\r\n"},
        },
    }


def recorded(path, *bodies, share=True):
    writer = record(path, "Hello")
    log = ModelLog(writer.folder, share=share)
    for text in bodies:
        log.put(lambda text=text: exchange(text))
    log.finish()
    writer.finish()
    return path


def bodies_of(path):
    return [made["request"]["body"] for made in read_model(path)]


def shared(folder):
    return {file.name for file in (folder / FOLDER).iterdir()}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("end", ["", "\n"])
def test_bodies_are_read_as_they_were_sent(tmp_path, style, end):
    text = body("A <b>bold</b> & \u00e9\U0001f600\u2028 line\nanother", write=STYLES[style]) + end
    assert bodies_of(recorded(tmp_path / "a", text)) == [text]
    assert shared(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[1, 2]",
        '{"a": 1.0, "a": 2}',
        '{"a" : 1}',
        '{"half": "\\ud83d"}',
        '{"$shared": "x-0123456789abcdef.txt"}',
        '{"a": {"$text": ["b"]}}',
        '{"lines": "\\n  indented \\n\\ttab \\n"}',
        '{"returns": "' + "a\\r\\n" * 300 + '"}',
        '{"number": 12345678901234567890, "small": 1e-07}',
    ],
)
def test_bodies_of_any_kind_are_read_as_they_were_sent(tmp_path, text):
    assert bodies_of(recorded(tmp_path / "a", text)) == [text]


def test_further_cassette_holds_only_what_is_its_own(tmp_path):
    recorded(tmp_path / "a", body("One"), body("One, again"))
    before = shared(tmp_path)
    recorded(tmp_path / "b", body("Two"), body("Two, again"))
    assert shared(tmp_path) == before
    assert (tmp_path / "b" / MODEL).stat().st_size < 4_000 < len(body("Two"))
    assert "Be brief" not in (tmp_path / "b" / MODEL).read_text()


def test_text_of_a_conversation_stays_in_its_cassette(tmp_path):
    recorded(tmp_path / "a", body("A long story. " * 500))
    text = (tmp_path / "a" / MODEL).read_text()
    assert "A long story" in text
    assert not any("A long story" in file.read_text() for file in (tmp_path / FOLDER).iterdir())


def test_messages_are_repeated_as_aliases(tmp_path):
    story = "A long story. " * 500
    recorded(tmp_path / "a", *[body(story, tool=f"t{n}") for n in range(3)])
    assert (tmp_path / "a" / MODEL).read_text().count(story) == 1
    assert bodies_of(tmp_path / "a") == [body(story, tool=f"t{n}") for n in range(3)]


def test_instructions_of_a_system_message_are_shared(tmp_path):
    text = json.dumps({"messages": [{"role": "system", "content": INSTRUCTIONS}]})
    assert bodies_of(recorded(tmp_path / "a", text)) == [text]
    assert "Rule 3" not in (tmp_path / "a" / MODEL).read_text()


def test_recordings_at_the_same_time_share_texts(tmp_path):
    names = [f"c{n}" for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):  # the later rounds replace the cassettes
            list(pool.map(lambda name: recorded(tmp_path / name, body(name)), names))
    assert [bodies_of(tmp_path / name) for name in names] == [[body(name)] for name in names]
    assert unused_in(tmp_path) == []
    assert {item.name for item in tmp_path.iterdir()} == {*names, FOLDER}


def test_copy_of_one_folder_names_what_it_lacks(tmp_path):
    recorded(tmp_path / "here" / "a", body("One"))
    copy = shutil.copytree(tmp_path / "here" / "a", tmp_path / "there" / "a")
    lacks = r"needs the shared text [\w-]+-[0-9a-f]{16}\.\w+, which is not in .*there.*_shared"
    with pytest.raises(CassetteInvalidError, match=lacks):
        read_model(copy)
    assert [problem.kind for problem in problems(copy)] == ["model"]
    shutil.copytree(tmp_path / "here" / FOLDER, tmp_path / "there" / FOLDER)
    assert bodies_of(copy) == [body("One")]


def test_self_contained_cassette_needs_no_folder(tmp_path):
    recorded(tmp_path / "here" / "a", body("One"), share=False)
    assert not (tmp_path / "here" / FOLDER).exists()
    copy = shutil.copytree(tmp_path / "here" / "a", tmp_path / "a")
    assert bodies_of(copy) == [body("One")]


def test_texts_that_only_the_old_recording_needs_are_removed(tmp_path):
    changed = INSTRUCTIONS.replace("Rule 4", "New rule 4")
    recorded(tmp_path / "a", body("One"))
    before = shared(tmp_path)
    recorded(tmp_path / "b", body("Two"))
    recorded(tmp_path / "a", body("One", instructions=changed))
    both = shared(tmp_path)
    assert before < both  # the other cassette needs them all
    recorded(tmp_path / "b", body("Two", instructions=changed))
    after = shared(tmp_path)
    assert len(after) == len(before)
    assert len(after - before) == 1  # one section
    assert bodies_of(tmp_path / "a") == [body("One", instructions=changed)]


def test_redaction_reaches_shared_texts(tmp_path):
    secret = INSTRUCTIONS.replace("Rule 4", "Project Bluebird")
    for name in "ab":
        recorded(tmp_path / name, body(name, instructions=secret))
    rules = [re.compile("Bluebird")]
    for name in "ab":
        assert {p.kind for p in problems(tmp_path / name, rules=rules)} == {"secret"}
        redact(tmp_path / name, rules)
        assert not list(problems(tmp_path / name, rules=rules))
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not any("Bluebird" in file.read_text() for file in files)
    assert unused_in(tmp_path) == []


def test_reference_can_be_replaced_by_a_text_of_ones_own(tmp_path):
    path = recorded(tmp_path / "a", body("One"))
    first = re.compile(r"- \$shared: (section[\w-]+\.txt)\n").search
    text = (path / MODEL).read_text()
    found = first(text)
    (path / MODEL).write_text(text.replace(found[0], "- My own words.\n"))
    content = (tmp_path / FOLDER / found[1]).read_text()
    instructions = INSTRUCTIONS.replace(content, "My own words.")
    assert bodies_of(path) == [body("One", instructions=instructions)]


def test_line_ends_of_git_on_windows_do_not_matter(tmp_path):
    path = recorded(tmp_path / "a", body("One\nand two"))
    for file in [path / MODEL, *(tmp_path / FOLDER).iterdir()]:
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert bodies_of(path) == [body("One\nand two")]
    recorded(tmp_path / "b", body("One\nand two"))
    assert bodies_of(tmp_path / "b") == [body("One\nand two")]


def test_cassette_of_the_name_of_the_folder_is_not_touched(tmp_path):
    recorded(tmp_path / FOLDER, body("One"))
    recorded(tmp_path / "b", body("Two"))
    assert bodies_of(tmp_path / FOLDER) == [body("One")]
    assert bodies_of(tmp_path / "b") == [body("Two")]
    assert not [file for file in (tmp_path / FOLDER).iterdir() if file.suffix == ".txt"]


@pytest.mark.parametrize(
    "name", ["../a/header-0123456789abcdef.json", "/etc/passwd", "x-0123456789abcdef.py", ""]
)
def test_reference_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    path = recorded(tmp_path / "a", body("One"))
    made = f"body:\n      json:\n        text:\n          $shared: {json.dumps(name)}\n    headers:"
    text = re.sub(
        r"body:\n      json:.*?\n    headers:",
        lambda _: made,
        (path / MODEL).read_text(),
        flags=re.DOTALL,
    )
    (path / MODEL).write_text(text)
    with pytest.raises(CassetteInvalidError, match="not the name of a file"):
        read_model(path)


def test_references_that_repeat_without_an_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("agy_nb.cassette.storage.shared.model_yaml.LARGEST_FILE", 2_000_000)
    path = recorded(tmp_path / "a", body("One"))
    text = (path / MODEL).read_text()
    name = re.search(r"weather-[0-9a-f]+\.json", text)[0]
    (path / MODEL).write_text(
        text.replace(
            "json:\n", f"json:\n        x: [{', '.join([f'{{$shared: {name}}}'] * 3000)}]\n"
        )
    )
    with pytest.raises(CassetteInvalidError, match="expand to more than"):
        read_model(path)


def test_migration_shares_the_texts_of_an_older_cassette(tmp_path):
    path = recorded(tmp_path / "a", share=True)
    bodies = [body("One"), body("One, again")]
    write_vcr(path / MODEL, [exchange(text) for text in bodies])
    header = path / "header.json"
    header.write_text(header.read_text().replace('"version": 4', '"version": 2'))
    assert bodies_of(path) == bodies
    before = (path / MODEL).stat().st_size
    migrate(path)
    assert bodies_of(path) == bodies
    assert (path / MODEL).stat().st_size < before / 4


@contextmanager
def no_lock_file(folder, monkeypatch):
    """Let the lock of the shared texts fail as on a full disk: its file cannot be created."""
    lock = folder / "._shared.texts.agy-lock"
    lock.mkdir()
    yield "Is a directory"
    lock.rmdir()


@contextmanager
def held_lock(folder, monkeypatch):
    """Let another process use the shared texts for longer than a recording waits."""
    monkeypatch.setattr(shared_texts, "_LONGEST_TURN_S", 0.0)
    lock = FileLock(folder / "_shared.texts")
    yield "another process has used"
    lock.release()


async def chat_into(path):
    async with (
        ScriptedModel([say("Hello.")]) as model,
        use_cassette(path, "once"),
        Runtime() as runtime,
    ):
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("Hi")


@pytest.mark.skipif(sys.platform == "win32", reason="opening a folder fails in another way")
@pytest.mark.real
@pytest.mark.blocking_allowed
@pytest.mark.parametrize("fault", [no_lock_file, held_lock])
async def test_recording_whose_texts_cannot_be_shared_is_kept(tmp_path, monkeypatch, fault):
    path = tmp_path / "c"
    with fault(tmp_path, monkeypatch) as reason:
        with pytest.raises(CassetteNotWrittenError, match=reason) as caught:
            await chat_into(path)
        (partial,) = unfinished_of(path)
        assert f"The partial recording is at {partial}" in str(caught.value)
    assert len(load(partial).sessions) == 1
    assert "Hello." in read_model(partial)[0]["response"]["body"]["string"]


@pytest.mark.skipif(sys.platform == "win32", reason="opening a folder fails in another way")
@pytest.mark.parametrize("fault", [no_lock_file, held_lock])
def test_replacement_that_waits_for_texts_in_vain_keeps_both(tmp_path, monkeypatch, fault):
    path = recorded(tmp_path / "c", body("old"))
    writer = record(path, "new")
    with fault(tmp_path, monkeypatch) as reason:
        with pytest.raises(CassetteNotWrittenError, match=reason) as caught:
            writer.finish()
        assert f"The partial recording is at {writer.folder}" in str(caught.value)
    assert bodies_of(path) == [body("old")]
    assert load(writer.folder).partial is False
