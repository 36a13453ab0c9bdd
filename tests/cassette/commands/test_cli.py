"""`agy-nb cassette`: what it prints and which exit code it gives."""

import argparse
import contextlib
import gzip
import json
import os
import pty
import subprocess
import sys

import pytest

from agy_nb.cassette import cli
from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.inspect.session_digests import digest_of
from agy_nb.cassette.redaction import SECRET
from agy_nb.cassette.storage import migration
from agy_nb.cassette.storage.cassette_reader import by_session, load
from agy_nb.cassette.storage.format import (
    HEADER,
    WIRE,
    Header,
    WireRecord,
    encode_line,
    header as format_,
    read_lines,
)
from agy_nb.cassette.storage.ownership import new_folder
from agy_nb.cassette.storage.shared.vcr_file import write_vcr
from agy_nb.cassette.storage.writer import CassetteWriter
from tests.support.wire_lines import whole_lines


def test_list_shows_what_the_header_knows(run, cassette, hello):
    folder = cassette(hello, sdk="0.1.22")
    (folder / WIRE).write_bytes(b"not read")
    code, out = run("list", folder.parent)
    assert code == 0
    row = out.splitlines()[1].split()
    assert row[:5] == [str(folder), "1", "1", "105", "add"]
    assert row[-2:] == ["0.1.22", "partial"]


def test_list_goes_on_after_a_bad_one(run, cassette, raw_cassette, hello):
    folder = cassette(hello)
    raw_cassette(b"rubbish")
    code, out = run("list", folder.parent, "--json")
    assert code == 1
    assert [bool(item["problem"]) for item in json.loads(out)] == [False, True]


def test_show_is_a_transcript(run, cassette, hello):
    code, out = run("show", cassette(hello))
    assert code == 0
    for text in ("Prompt     hello", "Call       add(a=1, b=2)", "Result     add: 3"):
        assert text in out


def test_show_as_json_is_what_it_adds_up_to(run, cassette, hello):
    code, out = run("show", cassette(hello), "--json")
    assert code == 0
    assert json.loads(out)["sessions"][0]["turns"][0]["calls"][0]["name"] == "add"


def test_diff_says_nothing_of_equal_sessions(run, cassette, hello):
    other = [*hello[:6], *reversed(hello[6:8]), hello[8]]
    assert run("diff", cassette(hello, name="a"), cassette(other, name="b")) == (0, "")


def test_diff_shows_what_differs_by_turn(run, cassette, hello, frames):
    other = [*hello[:5], frames.result("call-1", 4), *hello[6:]]
    code, out = run("diff", cassette(hello, name="a"), cassette(other, name="b"))
    assert code == 1
    assert "session 0, turn 1: calls differ" in out


def test_verify_passes_a_sound_one(run, cassette, hello):
    code, out = run("verify", cassette(hello))
    assert (code, out[:2]) == (0, "ok")


def test_verify_remarks_that_frames_were_edited_and_they_play(run, cassette, hello):
    folder = cassette(hello)
    raw = (folder / WIRE).read_bytes()
    (folder / WIRE).write_bytes(raw.replace(b"3 it is", b"4 it is"))
    code, out = run("verify", folder)
    assert code == 0
    assert "frames were edited after the recording" in out
    assert "4 it is" in str(load(folder).sessions[0].lines[-3].frame)


def test_redact_leaves_a_cassette_without_secrets_as_it_is(run, cassette, hello):
    folder = cassette(hello)
    write_vcr(folder / "model.yaml", [EXCHANGE])
    (folder / WIRE).write_bytes((folder / WIRE).read_bytes().replace(b'{"s":0', b'{ "s":0'))
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}
    assert run("redact", "--regex", "no such text", folder)[0] == 0
    assert "matched nothing" in run.complaint
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}
    assert after == before


def test_redact_copies_the_files_that_hold_no_secret(run, cassette, hello):
    folder = cassette(hello)
    write_vcr(folder / "model.yaml", [EXCHANGE])
    write_vcr(folder / "tools.yaml", [exchange(TOKEN)])
    raw = (folder / "model.yaml").read_bytes() + b"# a comment of mine\n"
    (folder / "model.yaml").write_bytes(raw)
    assert run("redact", folder)[0] == 0
    assert (folder / "model.yaml").read_bytes() == raw
    assert TOKEN not in (folder / "tools.yaml").read_text()


def test_verify_knows_nothing_of_edits_where_nothing_was_noted(run, cassette, hello):
    folder = cassette(hello)
    header = json.loads((folder / HEADER).read_text())
    del header["digest"]
    (folder / HEADER).write_text(json.dumps(header))
    with (folder / WIRE).open("ab") as file:
        file.write(b'{"s":0,"d":"end","dt":0,"f":{"by":"client"}}\n')
    assert "edited" not in run("verify", folder)[1]


def test_verify_finds_what_is_wrong(run, cassette, hello, frames):
    leak = [*hello[:2], frames.prompt("my key is AIza" + "x" * 35), frames.idle()]
    cut = cassette(hello, name="cut")
    (cut / WIRE).write_bytes((cut / WIRE).read_bytes()[:-10])
    unasked = [frames.config(), frames.result("call-9", 1)]
    for folder, problem in [
        (cassette(leak, name="leak"), "a secret that is not redacted"),
        (cut, "partial"),
        (cassette(unasked, name="unasked"), "before it was asked"),
        (cassette(hello, name="stale", sdk="0.0.1"), "record it again"),
    ]:
        code, out = run("verify", folder)
        assert code == 1
        assert problem in out


def test_redact_applies_new_rules(run, cassette, hello, frames):
    folder = cassette([*hello[:2], frames.prompt("for ACME-42"), frames.idle()])
    assert run("redact", folder, "--regex", r"ACME-\d+")[0] == 0
    assert b"ACME" not in (folder / WIRE).read_bytes()
    assert run("verify", folder)[0] == 0


def test_redact_cleans_the_models_side_too(run, cassette, hello):
    import yaml

    folder = cassette(hello)
    interaction = {
        "request": {
            "uri": "http://x/?key=abcdef",
            "body": "for ACME-42",
            "method": "POST",
            "headers": {},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {},
            "body": {"string": "ACME-42!"},
            "x_agy_chunks": [[8, 0]],
        },
    }
    data = {"version": 1, "interactions": [interaction]}
    (folder / "model.yaml").write_text(yaml.safe_dump(data))
    run("redact", folder, "--regex", r"ACME-\d+")
    text = (folder / "model.yaml").read_text()
    assert "ACME" not in text
    assert "abcdef" not in text


@pytest.mark.slow
def test_fifty_megabytes_are_listed_and_shown_without_being_held(run, raw_cassette, frames):
    import tracemalloc

    header = {"format": "agy-cassette", "version": 1, "complete": True}
    step = encode_line(WireRecord(0, "harness", 0.0, frames.step("x" * 5_000)))
    big = raw_cassette(header, step * 10_000, name="big")
    small = raw_cassette(header, step * 500, name="small")  # adding up takes its time
    for command, folder in ((["list"], big), (["show"], big), (["show", "--json"], small)):
        tracemalloc.start()
        try:
            assert run(*command, folder)[0] == 0
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()


def test_redact_of_a_damaged_one_leaves_it(run, cassette, hello):
    folder = cassette(hello)
    (folder / "model.yaml").write_text("!!python/object/apply:os.system ['false']")
    before = (folder / WIRE).read_bytes()
    code, _ = run("redact", folder)
    assert code == 1
    assert "cannot be read" in run.complaint
    assert (folder / WIRE).read_bytes() == before


@pytest.mark.parametrize("damage", [HEADER, WIRE, "model.yaml", "tools.yaml"])
def test_redact_goes_on_after_a_damaged_one(run, cassette, frames, tmp_path, damage):
    words = [frames.config(), frames.prompt(f"The key is {TOKEN}")]
    for name in ("a", "b", "c"):
        cassette(words, name=name)
    (tmp_path / "b" / damage).write_bytes(b"[{\x00\n")
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    code, out = run("redact", tmp_path)
    assert code == 1
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        str(tmp_path / "a"), str(tmp_path / "c"),
    ]  # fmt: skip
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    for name in ("a", "c"):
        assert TOKEN not in (tmp_path / name / WIRE).read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("command", ["redact", "migrate"])
def test_cassette_that_is_being_recorded_is_not_touched(run, tmp_path, frames, command):
    journal = CassetteWriter(tmp_path / "c", Header())
    try:
        journal.put(0, "client", 0.0, frames.prompt(f"The key is {TOKEN}"))
        before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
        code, _ = run(command, tmp_path)
        if command == "redact":
            assert code == 1
            assert f"{journal.folder} is being recorded" in run.complaint
        assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before
    finally:
        journal.finish()
    assert load(tmp_path / "c").sessions


def test_redacted_rest_of_a_crash_can_still_be_discarded(run, tmp_path, frames):
    journal = CassetteWriter(tmp_path / "c", Header())
    journal.put(0, "client", 0.0, frames.prompt(f"The key is {TOKEN}"))
    journal.leave_partial()
    assert run("redact", tmp_path)[0] == 0
    assert list(tmp_path.iterdir()) == [journal.folder]
    assert TOKEN not in (journal.folder / WIRE).read_text()
    assert load(journal.folder).partial
    assert run("prune", tmp_path) == (0, f"would remove {journal.folder}\n")


def test_redact_says_if_there_is_no_cassette(run, tmp_path):
    assert run("redact", tmp_path)[0] == 1
    assert "no cassette found" in run.complaint
    assert run("redact", tmp_path / "none")[0] == 1
    assert "there is no cassette at" in run.complaint


def test_prune_shows_first_and_removes_on_request(run, cassette, hello, tmp_path):
    folder = cassette(hello)
    dead = new_folder(tmp_path / "dead")
    assert run("prune", tmp_path) == (0, f"would remove {dead}\n")
    assert dead.exists()
    assert run("prune", tmp_path, "--yes") == (0, f"removed {dead}\n")
    assert not dead.exists()
    assert folder.exists()


def test_prune_removes_one_recording_by_its_name(run, tmp_path):
    one, other = new_folder(tmp_path / "c"), new_folder(tmp_path / "c")
    assert run("prune", "--yes", one) == (0, f"removed {one}\n")
    assert list(tmp_path.iterdir()) == [other]


def test_prune_says_where_there_is_nothing(run, cassette, hello, tmp_path):
    cassette(hello)
    assert run("prune", tmp_path) == (0, "no leftovers of unfinished recordings\n")
    assert run("prune", tmp_path / "none") == (1, f"folder not found: {tmp_path / 'none'}\n")


def test_bad_expression_is_a_wrong_argument(run, tmp_path):
    with pytest.raises(SystemExit):
        run("redact", tmp_path, "--regex", "(")


def test_list_is_a_table_in_a_terminal(cassette, hello, monkeypatch):
    folder = cassette(hello, sdk="0.1.22")
    cut = cassette(hello, name="cut")
    (cut / WIRE).write_bytes(b"")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "300")
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "agy_nb.cli", "cassette", "list", str(folder.parent)]
    subprocess.run(command, stdout=terminal, check=True)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while chunk := os.read(controller, 65536):
            shown += chunk
    os.close(controller)
    assert b"\x1b[1mcassette" in shown
    assert b"\x1b[32mcomplete" in shown
    assert b"\x1b[33mpartial" in shown
    assert str(folder).encode() in shown


# Two versions that never were: the header said `frame_count`, and lines had long names.
def older(folder):
    """Turn a cassette into one of a made-up older version."""
    header = json.loads((folder / HEADER).read_text())
    header["frame_count"] = header.pop("frames")
    header["version"] = 1
    (folder / HEADER).write_text(json.dumps(header))
    lines = whole_lines(folder)
    names = {"s": "session", "d": "from", "dt": "seconds", "f": "frame"}
    (folder / WIRE).write_text(
        "".join(json.dumps({names[k]: v for k, v in line.items()}) + "\n" for line in lines)
    )


@pytest.fixture
def third_version(monkeypatch):
    """Be of version 3 of the format, with steps that lead there from 1."""

    def count(header):
        return {k: v for k, v in header.items() if k != "frame_count"} | {
            "frames": header["frame_count"]
        }

    def shorten(line):
        return {"s": line["session"], "d": line["from"], "dt": line["seconds"], "f": line["frame"]}

    steps = {1: migration.MigrationStep(header=count), 2: migration.MigrationStep(line=shorten)}
    monkeypatch.setattr(format_, "VERSION", 3)
    monkeypatch.setattr(format_, "READABLE", (3,))
    monkeypatch.setattr(migration, "STEPS", steps)
    return steps


def test_migrate_leads_over_every_version(run, cassette, hello, third_version):
    before = cassette(hello, sdk="0.1.22")
    (before / "model.yaml").write_text("interactions: [1]")
    recorded = [digest_of(session) for session in by_session(read_lines(before))]
    older(before)
    with pytest.raises(CassetteError, match=r"has format 1; .* Run `agy-nb cassette migrate"):
        load(before)
    assert run("migrate", before) == (0, f"{before}: converted from format 1 to 3\n")
    assert [digest_of(session) for session in load(before).sessions] == recorded
    header = load(before).header
    assert (header.version, header.sdk, header.complete) == (3, "0.1.22", True)
    assert header.sessions[0].tokens == 105
    assert (before / "model.yaml").read_text() == "interactions: [1]"
    assert run("migrate", before) == (0, f"{before}: already in format 3\n")


def test_migrated_partial_stays_partial(run, cassette, hello, third_version):
    folder = cassette(hello)
    older(folder)
    raw = (folder / WIRE).read_bytes()
    (folder / WIRE).write_bytes(raw[: len(raw) // 3])
    assert run("migrate", folder)[0] == 0
    assert load(folder).partial


def test_migrate_of_a_damaged_one_leaves_it(run, cassette, hello, third_version, capsys):
    folder = cassette(hello)
    older(folder)
    (folder / WIRE).write_bytes(b'{"session": 0}\n' + (folder / WIRE).read_bytes())
    before = (folder / WIRE).read_bytes()
    assert run("migrate", folder)[0] == 1
    assert (folder / WIRE).read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_migrate_refuses_what_is_newer_or_too_old(run, cassette, hello, third_version, capsys):
    folder = cassette(hello)
    older(folder)
    header = json.loads((folder / HEADER).read_text())
    del third_version[2]
    for version, message in [(9, "Install a newer agy_nb"), (1, "cannot be converted")]:
        (folder / HEADER).write_text(json.dumps(header | {"version": version}))
        parser = argparse.ArgumentParser()
        cli.add_parser(parser.add_subparsers())
        parsed = parser.parse_args(["cassette", "migrate", str(folder)])
        assert parsed.run(parsed) == 1
        assert message in capsys.readouterr().err


def test_redacted_partial_stays_partial(run, cassette, hello):
    folder = cassette(hello)
    (folder / WIRE).write_bytes((folder / WIRE).read_bytes()[:-10])
    run("redact", folder)
    assert load(folder).partial


# -- every file of a cassette ----------------------------------------------------------------------

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
EXCHANGE = {
    "request": {"method": "POST", "uri": "http://x/", "headers": {}, "body": "hello"},
    "response": {
        "status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "fine"},
    },
}  # fmt: skip


def exchange(text):
    return EXCHANGE | {"request": EXCHANGE["request"] | {"body": text}}


def spoil_header(folder):
    header = json.loads((folder / "header.json").read_text())
    header["harness"] = f"local {TOKEN}"
    (folder / "header.json").write_text(json.dumps(header))


def spoil_wire(change):
    def spoil(folder):
        lines = (folder / "wire.jsonl").read_text().splitlines(keepends=True)
        (folder / "wire.jsonl").write_text("".join(change(lines)))

    return spoil


SPOILERS = {
    "header.json": spoil_header,
    "wire.jsonl": spoil_wire(lambda lines: [lines[0], lines[1].replace("c0", TOKEN), *lines[2:]]),
    "a field that no recorder writes": spoil_wire(
        lambda lines: [lines[0][:-2] + f', "note": "{TOKEN}"}}\n', *lines[1:]]
    ),
    "the end that was cut off": spoil_wire(lambda lines: [*lines, f'{{"s":0,"d":"{TOKEN}']),
    "model.yaml": lambda folder: write_vcr(folder / "model.yaml", [exchange(TOKEN)]),
    "tools.yaml": lambda folder: write_vcr(folder / "tools.yaml", [exchange(TOKEN)]),
    "a comment": lambda folder: (folder / "tools.yaml").write_text(
        f"# {TOKEN}\ninteractions: []\nversion: 1\n"
    ),
    "model.jsonl": lambda folder: (folder / "model.jsonl").write_text(
        json.dumps(exchange(TOKEN)) + "\n"
    ),
    "a field of the header that no recorder writes": lambda folder: (
        folder / "header.json"
    ).write_text((folder / "header.json").read_text().replace("{", f'{{"{TOKEN}": 1, ', 1)),
    "a file of somebody's": lambda folder: (folder / "notes.txt").write_text(f"see\n{TOKEN}\n"),
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_verify_looks_at_every_file_and_redact_cleans_what_it_finds(run, cassette, hello, spoil):
    folder = cassette(hello)
    write_vcr(folder / "model.yaml", [EXCHANGE])
    assert run("verify", folder)[0] == 0
    spoil(folder)
    code, out = run("verify", "--json", folder)
    assert code == 1
    assert TOKEN not in out
    (verdict,) = json.loads(out)
    kinds = {problem["kind"] for problem in verdict["problems"]}
    assert "secret" in kinds
    assert not verdict["ok"]
    before = {file.name for file in folder.iterdir()}
    run("redact", folder)
    for file in folder.iterdir():
        assert TOKEN not in file.read_text()
    assert {file.name for file in folder.iterdir()} | {"model.jsonl"} >= before
    code, out = run("verify", "--json", folder)
    assert "secret" not in {problem["kind"] for problem in json.loads(out)[0]["problems"]}


def test_files_below_a_cassette_and_packed_ones_are_cleaned_and_kept(run, cassette, hello):
    folder = cassette(hello)
    (folder / "more/notes").mkdir(parents=True)
    (folder / "more/notes/a.txt").write_text(f"see\n{TOKEN}\n")
    (folder / "more/b.gz").write_bytes(gzip.compress(TOKEN.encode()))
    (folder / "c.txt").write_text(TOKEN, "utf-16")
    code, out = run("verify", "--json", folder)
    assert code == 1
    problems = json.loads(out)[0]["problems"]
    found = {(each["file"], each["line"]) for each in problems if each["file"]}
    assert found == {("more/notes/a.txt", 2), ("more/b.gz", 0), ("c.txt", 0)}
    run("redact", folder)
    assert (folder / "more/notes/a.txt").read_text() == f"see\n{SECRET}\n"
    assert gzip.decompress((folder / "more/b.gz").read_bytes()).decode() == SECRET
    assert (folder / "c.txt").read_text("utf-16") == SECRET
    assert run("verify", folder)[0] == 0


def test_verdict_names_file_and_line_and_no_secret(run, cassette, hello):
    folder = cassette(hello)
    spoil_header(folder)
    write_vcr(folder / "tools.yaml", [EXCHANGE, exchange(TOKEN)])
    _, out = run("verify", "--json", folder)
    problems = json.loads(out)[0]["problems"]
    assert [(each["file"], each["line"]) for each in problems if each["file"]] == [
        ("tools.yaml", 2), ("header.json", 0),
    ]  # fmt: skip
    assert run("verify", "--json", cassette(hello, name="ok"))[0] == 0


def test_prune_leaves_a_recording_that_goes_on(run, tmp_path, frames):
    journal = CassetteWriter(tmp_path / "c", Header())
    try:
        journal.put(0, "client", 0.0, frames.config())
        for options in ((), ("--yes",)):
            code, out = run("prune", *options, tmp_path)
            assert code == 0
            assert "removed" not in out
            assert "in use" in out
        assert journal.folder.is_dir()
    finally:
        journal.finish()
    assert load(tmp_path / "c").sessions
    new_folder(tmp_path / "gone")
    (tmp_path / ".gone.agy-lock").touch()
    run("prune", "--yes", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
