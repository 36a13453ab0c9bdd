"""Damaged cassettes and clients in another order: a clear error, or what was recorded."""

import json
import shutil
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.replay.machine import SessionMachine
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import HEADER, WIRE
from agy_nb.wire.frames import key_of
from tests.cassette.replay.test_machine import released
from tests.properties.conftest import PROFILE

SHIPPED = Path(__file__).parents[2] / "cassettes"
SMALL = sorted(path.name for path in SHIPPED.iterdir() if (path / WIRE).stat().st_size < 400_000)


@cache
def shipped(name):
    return load(SHIPPED / name)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


def damaged(raw: bytes, data) -> bytes:
    where = data.draw(st.integers(0, len(raw) - 1), label="at")
    match data.draw(st.sampled_from(["flip", "cut", "insert", "cut off", "twice"]), label="how"):
        case "flip":
            bit = 1 << data.draw(st.integers(0, 7), label="bit")
            return raw[:where] + bytes([raw[where] ^ bit]) + raw[where + 1 :]
        case "cut":
            return raw[:where] + raw[where + data.draw(st.integers(1, 200), label="long") :]
        case "insert":
            extra = data.draw(st.binary(min_size=1, max_size=8), label="bytes")
            return raw[:where] + extra + raw[where:]
        case "cut off":
            return raw[:where]
    return raw[:where] + raw


def play(recording, clients):
    """Play each session against a client that does what was recorded; gives what it was told."""
    matcher = SessionMatcher(
        recording, PlaySettings(redactor=Redactor(environ={}, places={}), places={})
    )
    told = []
    for frames in clients:
        machine = matcher.acquire(frames[0])
        for frame in frames[1:]:
            told += released(machine)
            machine.receive(frame)
        told += released(machine)
        machine.unplayed_error()
    return told


def client_frames(name):
    return [
        [line.frame for line in session.lines if line.direction == "client"]
        for session in shipped(name).sessions
    ]


@cache
def told_when_sound(name):
    return play(shipped(name), client_frames(name))


def outcome(folder, name):
    """The recording and what it tells, or the error; anything but an error of ours is a failure."""
    try:
        recording = load(folder)
        return recording, play(recording, client_frames(name))
    except CassetteError as error:
        return None, error


@PROFILE
@given(data=st.data(), name=st.sampled_from(SMALL), file=st.sampled_from([WIRE, WIRE, HEADER]))
def test_a_damaged_cassette_is_an_error_of_ours_or_differs_where_it_is_damaged(
    room, data, name, file
):
    folder = room / "c"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for each in (HEADER, WIRE):
        shutil.copy(SHIPPED / name / each, folder / each)
    (folder / file).write_bytes(damaged((folder / file).read_bytes(), data))
    recording, told = outcome(folder, name)
    if isinstance(told, CassetteError):
        assert str(folder) in str(told)
        return
    sound = told_when_sound(name)
    if recording.partial:
        return  # and whoever plays it is told that it is
    assert len(told) == len(sound)
    differ = [(one, other) for one, other in zip(told, sound, strict=True) if one != other]
    assert len(differ) <= 1, "one place was damaged"
    if file == HEADER:
        assert not differ


@PROFILE
@given(data=st.data(), name=st.sampled_from(SMALL))
def test_any_permitted_order_of_the_client_replays_to_the_same_frames(data, name):
    for session in shipped(name).sessions:
        machine = SessionMachine(session)
        told = []
        left = [
            (i, line.frame) for i, line in enumerate(session.lines) if line.direction == "client"
        ]
        harness = [line.frame for line in session.lines if line.direction == "harness"]
        while left:
            permitted = [item for item in left if is_permitted(machine, item, left)]
            waits = machine.release() if not permitted or data.draw(st.booleans()) else None
            if waits is not None:
                told.append(json.loads(waits.message))
                continue
            assert permitted, f"nothing may go on; left: {[key_of(frame) for _, frame in left]}"
            item = data.draw(st.sampled_from(permitted))
            left.remove(item)
            machine.receive(item[1])
        told += released(machine)
        assert told == harness
        assert machine.unplayed_error() is None
        assert machine.exhausted


def is_permitted(machine, item, left):
    """An answer once it was asked for; what starts something when all before it has happened."""
    index, frame = item
    if key_of(frame).request_id:
        return key_of(frame) in machine._asked
    return machine._position >= index or (
        item is left[0] and all(i in machine._done for i in range(machine._position, index))
    )
