"""Whatever lies in a cassette's place is explained in words; nothing in it ever runs."""

import builtins
import io
import json
import os
from pathlib import Path

import pytest

from agy_nb.cassette.errors import (
    CassetteInvalidError,
    CassetteNotFoundError,
    CassetteNotWrittenError,
)
from agy_nb.cassette.http.tool_http import ToolHttp
from agy_nb.cassette.inspect.verify import VerifyProblem, problems
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import (
    EPISODES,
    HEADER,
    MODEL,
    TOOLS,
    WIRE,
    Header,
    cassette_path,
    read_header,
    safe_name,
)
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.cassette.storage.ownership import unfinished_of
from agy_nb.cassette.storage.writer import CassetteWriter

GOOD = {"format": "agy-cassette", "version": 1, "complete": True}
RUNS_CODE = "interactions: [!!python/object/apply:os.system ['echo gotcha > gotcha']]"


@pytest.fixture
def forbidden(monkeypatch):
    """Refuse a file as the system does; root, whom nothing is refused, may run these tests."""

    def forbid(path):
        real_open = io.open

        def refuse(name):
            if isinstance(name, str | os.PathLike) and Path(name) == path:
                raise PermissionError(13, "Permission denied", str(path))

        def guarded_open(file, *arguments, **options):
            refuse(file)
            return real_open(file, *arguments, **options)

        monkeypatch.setattr(io, "open", guarded_open)
        monkeypatch.setattr(builtins, "open", guarded_open)

    return forbid


@pytest.mark.parametrize("name", [HEADER, WIRE])
def test_file_that_may_not_be_read_is_named(cassette, hello, forbidden, name):
    folder = cassette(hello)
    forbidden(folder / name)
    with pytest.raises(CassetteInvalidError, match="cannot be read: Permission denied"):
        load(folder)


def test_model_that_may_not_be_read_is_named(cassette, hello, forbidden):
    folder = cassette(hello)
    (folder / MODEL).write_text("interactions: []")
    forbidden(folder / MODEL)
    with pytest.raises(CassetteInvalidError, match=r"model\.yaml cannot be read"):
        read_model(folder)


def test_list_goes_on_after_a_folder_that_may_not_be_read(cassette, hello, forbidden):
    folder = cassette(hello)
    forbidden(folder / HEADER)
    assert "Permission denied" in catalog.entry(folder).problem


def test_folder_that_may_not_be_written_is_explained(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CassetteNotWrittenError, match="could not be recorded: Permission denied"):
        CassetteWriter(tmp_path / "c", Header())


EMPTY_HEADER = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    "wire",
    [
        b"\n",
        b"[]\n",
        b"\x00\xff\xfe\n",
        b"\x89PNG\r\n\x1a\n" * 4,
        b'{"s":0,"d":"client","dt":0,"f":"text"}\n',
        b'{"s":true,"d":"client","dt":0,"f":{}}\n{"s":0}\n',
        b'{"s":0,"d":"client","dt":1e999,"f":{}}\n',
        b"[" * 200_000 + b"\n",
    ],
)
def test_wire_that_is_none_is_named_by_line(raw_cassette, wire):
    with pytest.raises(CassetteInvalidError, match=r"wire\.jsonl, line \d"):
        load(raw_cassette(EMPTY_HEADER, wire))


def test_empty_wire_is_an_empty_cassette(raw_cassette):
    assert load(raw_cassette(EMPTY_HEADER, b"")).sessions == ()


@pytest.mark.parametrize(
    ("name", "read"), [(HEADER, load), (WIRE, load), (MODEL, read_model), (EPISODES, read_model)]
)
def test_folder_in_place_of_a_file_is_explained(raw_cassette, name, read):
    folder = raw_cassette(EMPTY_HEADER)
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(CassetteInvalidError, match="cannot be read"):
        read(folder)


def test_link_that_leads_nowhere_is_explained(tmp_path):
    (tmp_path / "c").symlink_to(tmp_path / "gone")
    with pytest.raises(CassetteNotFoundError):
        load(tmp_path / "c")


@pytest.mark.parametrize(
    "text",
    [
        RUNS_CODE.encode(),
        b"interactions: [!!python/name:os.system ]",
        b"interactions: [5]",
        b"interactions: {}",
        b"a: &a [*a]",
        b"\xff\xfe\x00",
        b"- request: {}\n  response: {}\n",
        b"\x00",
        b"[" * 5_000,
    ],
)
def test_model_that_is_no_vcr_cassette_is_explained_and_never_run(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / MODEL).write_bytes(text)
    with pytest.raises(CassetteInvalidError, match=r"model\.yaml"):
        read_model(tmp_path)
    assert not (tmp_path / "gotcha").exists()


@pytest.mark.parametrize("line", [b"{}\n", b"null\n", b'{"request":{},"response":[]}\n', b"\xff\n",
    b'{"request":{"body":{"$base64":"%"}},"response":{}}\n'])  # fmt: skip
def test_journal_of_the_model_that_is_none_is_named_by_line(tmp_path, line):
    (tmp_path / EPISODES).write_bytes(line)
    with pytest.raises(CassetteInvalidError, match=r"model\.jsonl, line 1"):
        read_model(tmp_path)


def test_tools_file_with_object_tags_is_explained_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / TOOLS).write_text(RUNS_CODE)
    with pytest.raises(CassetteInvalidError, match=r"tools\.yaml"):
        ToolHttp(tmp_path, Redactor(environ={}), mode="none").open()
    assert not (tmp_path / "gotcha").exists()


@pytest.mark.parametrize("wrong", [5, "", [], {"x": "!!python/name:os.system"}, "\x00", "é" * 10])
def test_verify_survives_any_value_in_a_header(raw_cassette, wrong):
    for name in ("sessions", "redactions", "sdk", "frames", "model", "complete"):
        folder = raw_cassette(GOOD | {name: wrong}, name=f"c-{name}")
        for problem in problems(folder):
            assert isinstance(problem, VerifyProblem)
        assert isinstance(catalog.entry(folder), catalog.CatalogEntry)


def test_cassette_of_another_sdk_is_played_and_said_to_be_old(cassette, hello):
    folder = cassette(hello, sdk="0.0.1")
    assert load(folder).sessions
    assert any("recorded with google-antigravity 0.0.1" in str(each) for each in problems(folder))


def test_names_with_stray_bytes_are_names(tmp_path):
    path = cassette_path(os.fsdecode(bytes(tmp_path) + b"/stray\xff"))
    CassetteWriter(path, Header()).finish()
    crashed = CassetteWriter(path, Header())
    crashed.leave_partial()
    assert unfinished_of(path) == [crashed.folder]
    assert read_header(path).complete
    assert safe_name("test[\udcff]") != safe_name("test[\ud83d]")


def test_name_that_no_file_system_holds_is_refused():
    with pytest.raises(CassetteInvalidError, match="cannot hold the character"):
        cassette_path("cassettes/half \ud83d")
