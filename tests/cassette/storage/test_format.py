"""The files of a cassette: what is written is read again, and what is damaged says so."""

import json
import os
from codecs import BOM_UTF8

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.errors import CassetteInvalidError, CassetteNotFoundError
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import (
    HEADER,
    WIRE,
    WireRecord,
    cassette_path,
    decode_line,
    encode_line,
    frame_message,
    parse_frame,
    read_header,
    read_lines,
    safe_name,
)
from agy_nb.errors import InvalidInputError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    st.integers(0, 10**6 - 1),
    st.sampled_from(["client", "harness", "host", "end"]),
    st.dictionaries(st.text(), JSON),
)
def test_line_survives_the_disk(session, direction, frame):
    raw = encode_line(WireRecord(session, direction, 0.25, frame))
    assert raw.count(b"\n") == 1
    assert decode_line(raw) == WireRecord(session, direction, 0.25, frame)


def test_number_of_any_size_is_written_again_as_it_was(tmp_path):
    raw = b'{"s":0,"d":"host","dt":0.0,"f":{"n":%d}}\n' % 10**30
    (tmp_path / WIRE).write_bytes(raw)
    assert [encode_line(line) for line in read_lines(tmp_path)] == [raw]


def test_byte_order_mark_means_nothing():
    raw = b'{"s":0,"d":"client","dt":0.0,"f":{"halt":{}}}\n'
    assert decode_line(BOM_UTF8 + raw) == decode_line(raw)


def test_half_a_surrogate_pair_survives_the_disk():
    line = WireRecord(0, "client", 0.0, {"text": "\ud83d"})
    assert decode_line(encode_line(line)) == line


@pytest.mark.parametrize(
    "message", ["no json", "[1, 2]", b"\xff\x00binary", '{"cut": ', "\ud83d", "[" * 100_000]
)
def test_frame_that_is_no_object_survives(message):
    frame = json.loads(json.dumps(parse_frame(message)))
    assert frame_message(frame) == message


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"[]",
        b'{"s": -1, "d": "client", "f": {}}',
        b'{"s": 0, "d": "nobody", "f": {}}',
        b'{"s": 0, "d": "client", "f": []}',
        b'{"s": 0, "d": "client", "dt": -1, "f": {}}',
        b'{"s": 0, "d": "client", "dt": "soon", "f": {}}',
    ],
)
def test_line_that_is_none_is_refused(raw):
    with pytest.raises(ValueError, match=r"\w"):
        decode_line(raw)


@pytest.mark.slow
def test_every_truncation_keeps_every_whole_line(cassette, hello):
    folder = cassette(hello)
    whole = (folder / WIRE).read_bytes()
    for size in range(len(whole)):
        (folder / WIRE).write_bytes(whole[:size])
        recording = load(folder)
        assert recording.partial
        ends = sum(session.end is not None for session in recording.sessions)
        kept = sum(len(session.lines) for session in recording.sessions) + ends
        assert kept == whole[:size].count(b"\n")


def test_whole_cassette_is_not_partial(cassette, hello):
    assert not load(cassette(hello)).partial


def test_missing_cassette_is_named(tmp_path):
    with pytest.raises(CassetteNotFoundError, match="nothing-here"):
        load(tmp_path / "nothing-here")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "not a cassette"),
        (b"\xff\xfe", "not a cassette"),
        (b"[" * 100_000, "not a cassette"),
        (b"{}", "not a cassette"),
        ([], "not a cassette"),
        ({"format": "something else", "version": 1}, "not a cassette"),
        ({"format": "agy-cassette"}, 'the field "version"'),
        ({"format": "agy-cassette", "version": "1"}, 'the field "version"'),
        ({"format": "agy-cassette", "version": 99}, "format 99"),
        ({"format": "agy-cassette", "version": 1, "sessions": 5}, "damaged"),
        ({"format": "agy-cassette", "version": 1, "sessions": [5]}, "damaged"),
    ],
)
def test_header_that_is_none_is_explained(raw_cassette, header, message):
    with pytest.raises(CassetteInvalidError, match=message):
        load(raw_cassette(header))


def test_hand_edited_line_is_named_by_number(raw_cassette):
    wire = b'{"s":0,"d":"client","dt":0,"f":{}}\n{oops\n{"s":0,"d":"client","dt":0,"f":{}}\n'
    folder = raw_cassette({"format": "agy-cassette", "version": 1}, wire)
    with pytest.raises(CassetteInvalidError, match="line 2"):
        load(folder)
    assert len(list(read_lines(folder, strict=False))) == 1


CONFLICT = b"<<<<<<< ours\n%s=======\n%s>>>>>>> theirs\n"


@pytest.mark.parametrize("name", [HEADER, WIRE])
def test_conflict_that_git_left_is_called_that(cassette, hello, name):
    folder = cassette(hello)
    first, *rest = (folder / name).read_bytes().splitlines(keepends=True)
    (folder / name).write_bytes(first + CONFLICT % (rest[0], rest[0]) + b"".join(rest[1:]))
    with pytest.raises(CassetteInvalidError, match=r"the file holds a git conflict.*--ours"):
        load(folder)


def test_line_ends_of_windows_mean_nothing(cassette, hello):
    folder = cassette(hello)
    then = load(folder)
    for name in (HEADER, WIRE):
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"\n", b"\r\n"))
    assert load(folder) == then


def test_words_that_were_edited_into_shorter_ones_are_not_missing(cassette, hello):
    folder = cassette(hello)
    (folder / WIRE).write_bytes((folder / WIRE).read_bytes().replace(b"3 it is", b"3"))
    assert not load(folder).partial


def test_unknown_fields_of_the_header_are_no_error(raw_cassette):
    folder = raw_cassette({"format": "agy-cassette", "version": 1, "mood": "good"})
    assert read_header(folder).version == 1


def test_file_in_place_of_the_folder_is_explained(tmp_path):
    (tmp_path / "c").write_text("I am a file")
    with pytest.raises(CassetteInvalidError, match="is a file"):
        load(tmp_path / "c")


def test_folder_without_header_is_explained(tmp_path):
    (tmp_path / "c").mkdir()
    with pytest.raises(CassetteInvalidError, match=r"no header\.json"):
        load(tmp_path / "c")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_without_permission_is_explained(cassette, hello):
    folder = cassette(hello)
    (folder / WIRE).chmod(0)
    with pytest.raises(CassetteInvalidError, match="Permission"):
        load(folder)


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/..", "nul\0byte", "x" * 300])
def test_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(CassetteInvalidError):
        cassette_path(name)


@pytest.mark.parametrize("name", [None, 1, b"weather", ["weather"]])
def test_name_that_is_not_a_path_is_refused(name):
    with pytest.raises(InvalidInputError, match="must be a text or a path") as found:
        cassette_path(name)
    assert found.value.field == "path"


@given(st.text(min_size=1), st.text(min_size=1))
def test_safe_names_are_names_and_differ(one, other):
    for text in (one, other):
        name = safe_name(text)
        assert cassette_path(name).name == name
        assert not set(name) & set('/\\:*?"<>|\0')
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_lines_are_read_in_constant_memory(raw_cassette):
    import tracemalloc

    line = encode_line(WireRecord(0, "harness", 0.0, {"stepUpdate": {"text": "x" * 5_000}}))
    folder = raw_cassette({"format": "agy-cassette", "version": 1}, line * 10_000)  # 50 MB
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_lines(folder)) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
