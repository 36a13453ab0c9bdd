"""Lines that hold only the changes of a frame: the whole frame is restored exactly, or refused."""

import json

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.format import WIRE, WireRecord, decode_line, encode_line, read_lines
from agy_nb.wire.stored import frame_changes
from agy_nb.wire.stored.frame_changes import FrameCompactor, FrameRestorer

MOMENT = 1_795_795_511_000_000
WORDS = st.sampled_from(
    ["", "a", "bc", " é", "{{agy:secret}}", "{{agy:^secret}}", "\ud83d", "x" * 40]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.just(1.0) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
BODIES = st.dictionaries(
    st.sampled_from(["stepIndex", "trajectoryId", "text", "textDelta", "thinking", "customTool"]),
    WORDS | VALUES,
)
ENVELOPES = st.sampled_from([("7", "1000"), ("8", "1001"), ("9", "999"), (9, 1000), ("x", ""), ()])


def step(number, text, delta, **fields):
    """A frame of a streamed answer."""
    body = {
        "trajectoryId": "main", "stepIndex": 1, "thinking": "", "textDelta": delta,
        "thinkingDelta": "", "text": text,
    } | fields  # fmt: skip
    moment = str(MOMENT + 1_500 * number)
    return {"stepUpdate": body, "seqNum": str(number), "timestampMicros": moment}


def written(frames, direction="harness"):
    """The lines of frames."""
    compactor = FrameCompactor()
    return [encode_line(WireRecord(0, direction, 0.01, frame), compactor) for frame in frames]


def read(lines):
    """The frames of lines."""
    restorer = FrameRestorer()
    return [decode_line(raw, restorer=restorer).frame for raw in lines]


def streamed(pieces, first=1, **fields):
    """The frames of an answer in pieces."""
    return [
        step(number, "".join(pieces[: number - first + 1]), pieces[number - first], **fields)
        for number in range(first, first + len(pieces))
    ]


@st.composite
def streams(draw):
    """Frames of several steps and trajectories, most of them regular."""
    texts, frames = {}, []
    for number in range(1, draw(st.integers(1, 12))):
        where = draw(st.sampled_from(["main", "sub"])), draw(st.integers(0, 1))
        more = draw(WORDS)
        text = texts[where] = draw(st.sampled_from([texts.get(where, "") + more] * 4 + ["other"]))
        extra = draw(st.sampled_from([{}, {}, {"customTool": {"id": "1", "args": [1]}}]))
        frames.append(step(number, text, more, trajectoryId=where[0], stepIndex=where[1], **extra))
    return frames


@given(streams())
def test_streamed_frames_come_back_exactly(frames):
    lines = written(frames)
    assert [json.dumps(frame) for frame in read(lines)] == [json.dumps(frame) for frame in frames]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(["harness", "harness", "harness", "client", "host", "end"]),
            st.sampled_from(["stepUpdate", "usageUpdate", "text"]),
            BODIES | VALUES,
            ENVELOPES,
        ),
        max_size=8,
    )
)
def test_any_frames_come_back_exactly(drawn):
    compactor, restorer = FrameCompactor(), FrameRestorer()
    for session, direction, kind, body, envelope in drawn:
        frame = {kind: body} | dict(zip(("seqNum", "timestampMicros"), envelope, strict=False))
        line = WireRecord(session, direction, 0.25, frame)
        raw = encode_line(line, compactor)
        assert raw.count(b"\n") == 1
        found = decode_line(raw, restorer=restorer)
        in_full = decode_line(encode_line(line))
        assert (found, json.dumps(found.frame)) == (in_full, json.dumps(in_full.frame))


def test_streamed_answer_is_stored_by_its_pieces():
    first, *rest = written(streamed([f"word{number} " for number in range(200)]))
    assert json.loads(first)["f"]["stepUpdate"]["text"] == "word0 "
    assert json.loads(rest[7])["c"] == {"stepUpdate": {"textDelta": "word8 "}}
    assert json.loads(rest[7])["t"] == 1_500
    assert sum(map(len, rest)) < 120 * len(rest), "the text so far is not repeated"


def test_answers_that_stream_side_by_side_are_stored_by_their_pieces():
    frames = []
    for number in range(0, 80, 2):
        pieces = [f"word{at} " for at in range(number // 2 + 1)]
        for offset, trajectory in enumerate(["main", "sub"]):
            frames.append(
                step(number + offset, "".join(pieces), pieces[-1], trajectoryId=trajectory)
            )
    lines = written(frames)
    assert read(lines) == frames
    change = json.loads(lines[60])["c"]["stepUpdate"]
    assert change == {"textDelta": "word30 ", "trajectoryId": "main"}


def test_next_step_leaves_out_its_first_text():
    lines = written([step(1, "abc", "c"), step(2, "new", "new", stepIndex=2)])
    assert json.loads(lines[1])["c"] == {"stepUpdate": {"stepIndex": 2, "textDelta": "new"}}


def test_removed_field_is_null():
    lines = written([step(1, "a", "a", customTool={"id": "1"}), step(2, "a", "")])
    assert json.loads(lines[1])["c"] == {"stepUpdate": {"customTool": None, "textDelta": ""}}


@pytest.mark.parametrize(
    "frame",
    [
        step(3, "ab", "b"),  # a number is missing
        step(2, "ab", "b") | {"extra": 1},
        step(2, "ab", "b", usage=None),
        step(2, None, None),
        step(2, "a{{agy:^x}}", "{{agy:^x}}"),
        {"seqNum": "2", "stepUpdate": {}, "timestampMicros": str(MOMENT)},
        {"stepUpdate": [], "seqNum": "2", "timestampMicros": str(MOMENT)},
        {},
    ],
)
def test_frame_that_is_not_certain_is_stored_in_full(frame):
    lines = written([step(1, "a", "a"), frame])
    assert json.loads(lines[1])["f"] == frame
    assert read(lines)[1] == frame


@pytest.mark.parametrize("direction", ["client", "host", "end"])
def test_other_senders_are_stored_in_full(direction):
    assert all("f" in json.loads(raw) for raw in written(streamed(["a", "b"]), direction))


def line(**fields):
    """A line with changes."""
    return json.dumps({"s": 0, "d": "harness", "dt": 0, "t": 1} | fields).encode() + b"\n"


@pytest.mark.parametrize(
    "damaged",
    [
        line(c={"usageUpdate": {}}),
        line(c={"stepUpdate": {}, "usageUpdate": {}}),
        line(c={}),
        line(c=None),
        line(c=[]),
        line(c={"stepUpdate": None}),
        line(c={"stepUpdate": 1}),
        line(c={"stepUpdate": []}),
        line(c={"stepUpdate": "trajectoryId"}),
        line(c={"stepUpdate": {"textDelta": 5}}),
        line(c={"stepUpdate": {"textDelta": None}}),
        line(c={"stepUpdate": {"trajectoryId": []}}),
        line(c={"stepUpdate": {"text": None, "thinking": None}}, t="1"),
        line(c={"stepUpdate": {}}, t=0.5),
        line(c={"stepUpdate": {}}, t=None),
        line(c={"stepUpdate": {}}, s=1),
        b'{"s":0,"d":"harness","dt":0,"c":{"stepUpdate":{}}}\n',
    ],
)
def test_damaged_changes_name_file_and_line(tmp_path, damaged):
    (tmp_path / WIRE).write_bytes(b"".join([*written([step(1, "a", "a")]), damaged]))
    with pytest.raises(CassetteInvalidError, match=r"wire\.jsonl, line 2: `[cft]") as raised:
        list(read_lines(tmp_path))
    assert "Restore the cassette, or record it again" in str(raised.value)
    assert len(list(read_lines(tmp_path, strict=False))) == 1


def test_file_that_expands_too_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_changes, "MOST_RESTORED", 2**20)
    bomb = [*written([step(1, "a" * 10_000, "a")]), *[line(c={"stepUpdate": {}})] * 200]
    (tmp_path / WIRE).write_bytes(b"".join(bomb))
    with pytest.raises(
        CassetteInvalidError, match=r"line \d+: the frames expand to more than 1 MB"
    ):
        list(read_lines(tmp_path))


def test_writer_stores_frames_in_full_before_a_reader_would_refuse_them(monkeypatch):
    monkeypatch.setattr(frame_changes, "MOST_RESTORED", 2**16)
    frames = streamed(["word "] * 400)
    lines = written(frames)
    assert read(lines) == frames
    assert b'"c":' in lines[10]
    assert b'"c":' not in lines[-1]
