"""Ids of sessions, duplicates, and places without a recording."""

import shutil
from datetime import UTC, datetime

import pytest

from agy_nb.analysis import load
from agy_nb.errors import InvalidInputError
from tests.analysis.conftest import ROOT, START, Wire, save, two_calls
from tests.analysis.read.test_harness_logs import answer, prompt, write


def ids(sessions):
    return sessions.sessions["session_id"].tolist()


def test_id_does_not_depend_on_how_a_recording_was_loaded(tmp_path):
    folder = save(tmp_path / "runs" / "monday" / "c", two_calls())
    ways = [tmp_path, tmp_path / "runs", folder, folder / "wire.jsonl", str(tmp_path / "*" / "*")]
    assert len({tuple(ids(load(way))) for way in ways}) == 1
    names = [load(way).sessions["session_name"].tolist() for way in ways[:3]]
    assert names == [["runs/monday/c"], ["monday/c"], ["c"]]
    before = ids(load(folder))
    assert ids(load(folder.rename(tmp_path / "moved"))) == before


def test_id_of_the_header_comes_first(tmp_path):
    assert ids(load(save(tmp_path / "c", two_calls(), id="0123456789abcdef"))) == [
        "0123456789abcdef"
    ]
    [derived] = ids(load(save(tmp_path / "d", two_calls(), id="../../etc")))
    assert len(derived) == 16


def test_copied_folder_counts_once(tmp_path):
    save(tmp_path / "c", two_calls())
    shutil.copytree(tmp_path / "c", tmp_path / "copy")
    sessions = load(tmp_path)
    assert sessions.usage("session")["total_tokens"].tolist() == [243]
    assert sessions.summary()["n_turns"].tolist() == [1]
    [problem] = sessions.problems.to_dict("records")
    assert problem["problem"] == "duplicate_session"
    assert problem["path"] == str(tmp_path / "copy")
    assert f"1 turn is also in {tmp_path / 'c'}" in problem["detail"]
    kept = load(tmp_path, duplicates="keep")
    assert kept.usage("session")["total_tokens"].tolist() == [243, 243]
    assert kept.sessions["session_id"].is_unique


def conversation(turns):
    wire = Wire().begin()
    for number in range(turns):
        wire.prompt(f"Part {number}").step(number, text="Hi").usage(prompt=100, answer=1).idle()
    return wire.text()


def test_cassettes_saved_after_each_turn_count_each_turn_once(tmp_path):
    for turns in (1, 2, 3):
        save(tmp_path / "x", text=conversation(turns)).rename(tmp_path / f"after-{turns}")
        # The helper gives each recording its hour; these are of one conversation.
        (tmp_path / f"after-{turns}" / "wire.jsonl").write_text(conversation(turns))
    sessions = load(tmp_path)
    assert len(sessions.turns) == 3
    assert sessions.usage("model")["total_tokens"].tolist() == [303]
    assert load(tmp_path, duplicates="keep").usage("model")["total_tokens"].tolist() == [606]


def test_branches_of_a_conversation_are_no_duplicates(tmp_path):
    for hour, name in enumerate(("main", "branch")):
        save(tmp_path / name / "c", two_calls(start=START + hour * 60))
    assert len(load([tmp_path / "main", tmp_path / "branch"]).turns) == 2


def test_places_without_a_recording_are_problems(tmp_path):
    (tmp_path / "empty").mkdir()
    pattern = str(tmp_path / "*.nothing")
    problems = load([tmp_path / "empty", pattern]).problems
    assert problems["problem"].tolist() == ["nothing_found", "nothing_found"]
    assert problems["path"].tolist() == [str(tmp_path / "empty"), pattern]


def test_link_to_a_cassette_is_a_problem_unless_the_cassette_is_read(tmp_path):
    elsewhere = save(tmp_path / "elsewhere" / "c", two_calls())
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(elsewhere, target_is_directory=True)
    problems = load(tmp_path / "runs").problems
    assert problems["problem"].tolist() == ["link_not_followed", "nothing_found"]
    assert not len(load(tmp_path).problems)


def test_duplicates_is_one_of_two_words(tmp_path):
    with pytest.raises(InvalidInputError, match="'drop' or 'keep'"):
        load(tmp_path, duplicates="yes")


def test_turn_of_a_cassette_and_of_its_harness_log_counts_once(tmp_path):
    """The log goes on after the cassette: its second turn is only there."""
    start = datetime(2026, 11, 21, 10, 0, 0, 400_000, tzinfo=UTC).timestamp()
    wire = Wire(start=start - 0.03).begin().prompt("Go").step(1, text="Hi")
    save(tmp_path / "cassettes" / "c", wire.usage(prompt=100, answer=7).idle().end())
    write(tmp_path / "data", prompt("Go"), answer("Hi"), prompt("And now?"), answer("Hi"))
    sessions = load([tmp_path / "cassettes", tmp_path / "data"])
    usage = sessions.usage("session").set_index("session_name")["total_tokens"]
    assert usage.to_dict() == {"c": 107, ROOT.id: 107}
    assert len(sessions.turns) == 2
    [problem] = sessions.problems.to_dict("records")
    assert problem["problem"] == "duplicate_session"
    assert len(load([tmp_path / "cassettes", tmp_path / "data"], duplicates="keep").turns) == 3
