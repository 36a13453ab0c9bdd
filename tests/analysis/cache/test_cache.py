"""Tables from the cache are those of the recordings."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import agy_nb as agy
from agy_nb.analysis.cache import parts, store
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError
from tests.analysis.conftest import Wire, save, two_calls

SHIPPED = Path(__file__).parents[3] / "cassettes"
LONG_AGO = 1_700_000_000


@pytest.fixture(autouse=True)
def _every_load_is_worth_a_cache(monkeypatch):
    monkeypatch.setattr(store, "WORTH_RECORDINGS", 1)


@pytest.fixture
def read(monkeypatch):
    """The names of the recordings that were read."""
    names = []
    real = parts.read_file

    def read_file(path, *, name, **more):
        names.append(name)
        return real(path, name=name, **more)

    monkeypatch.setattr(parts, "read_file", read_file)
    return names


def settle(folder, when=LONG_AGO):
    """Give all files an old time: a file that was just written is not kept."""
    for place in folder.rglob("*"):
        os.utime(place, (when, when))
    return folder


def record_runs(runs):
    """Save recordings that are whole, copied, damaged, open, and in folders below."""
    for number in range(3):
        save(runs / f"c{number}", two_calls())
    shutil.copytree(runs / "c1", runs / "below" / "copy")
    late = Wire(start=1_790_000_000.0 + 86_400).begin(model="other").prompt()
    save(runs / "late", late.usage(prompt=7, answer=3).tool("call-9", name="look").idle().end())
    save(runs / "open", Wire().begin().prompt().usage(prompt=50).prompt(), complete=False)
    (save(runs / "bad", two_calls()) / "wire.jsonl").write_bytes(b"\x00garbage\n")
    return settle(runs)


@pytest.fixture
def folder(tmp_path):
    return record_runs(tmp_path / "runs")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def files_of(cache):
    return [place for place in cache.rglob("*.parquet") if place.is_file()]


def assert_same(found, expected):
    for name in TABLES:
        pd.testing.assert_frame_equal(found.frame(name), expected.frame(name))


# -- the same tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("duplicates", ["drop", "keep"])
@pytest.mark.parametrize("options", [{}, {"chunks": True, "text": True}, {"model_requests": False}])
@pytest.mark.slow
def test_every_table_is_that_of_the_recordings(folder, cache, read, duplicates, options):
    options = options | {"duplicates": duplicates}
    expected = agy.load(folder, cache=False, **options)
    assert_same(agy.load(folder, cache=cache, **options), expected)
    read.clear()
    assert_same(agy.load(folder, cache=cache, **options), expected)
    assert read == []


@pytest.mark.slow
def test_shipped_cassettes_come_from_the_cache_as_they_are(cache, read, tmp_path):
    runs = settle(Path(shutil.copytree(SHIPPED, tmp_path / "shipped")))
    expected = agy.load(runs, cache=False)
    expected.usage()
    agy.load(runs, cache=cache).usage()
    read.clear()
    again = agy.load(runs, cache=cache)
    assert_same(again, expected)
    assert read == []
    pd.testing.assert_frame_equal(again.usage("model"), expected.usage("model"))


@pytest.mark.slow
def test_another_spelling_of_the_folder_uses_the_cache_and_shows_its_own_paths(
    folder, cache, read, monkeypatch
):
    agy.load(folder, cache=cache).usage()
    read.clear()
    monkeypatch.chdir(folder.parent)
    again = agy.load("runs", cache=cache)
    assert_same(again, agy.load("runs", cache=False))
    assert not set(again.sessions["path"]) & set(agy.load(folder, cache=cache).sessions["path"])


@pytest.mark.slow
def test_a_part_of_the_folder_and_another_order_use_the_cache(folder, cache, read):
    agy.load(folder, cache=cache).usage()
    read.clear()
    some = [folder / "open", folder / "c1", folder / "bad"]
    assert_same(agy.load(some, cache=cache), agy.load(some, cache=False))
    assert read[:0] == []
    assert sorted(read) == ["bad", "c1", "open"]  # once, for the comparison


@pytest.mark.slow
def test_options_have_tables_of_their_own(folder, cache):
    agy.load(folder, cache=cache).usage()
    texts = agy.load(folder, cache=cache, text=True).messages["text"]
    assert texts.notna().any()
    assert agy.load(folder, cache=cache).messages["text"].isna().all()


# -- changes are read again --------------------------------------------------------------


@pytest.mark.slow
def test_only_new_and_changed_recordings_are_read(folder, cache, read):
    agy.load(folder, cache=cache).usage()
    shutil.rmtree(folder / "late")
    save(folder / "new", two_calls())
    with (folder / "c0" / "wire.jsonl").open("a") as file:
        file.write(Wire().begin().prompt().usage(prompt=1).text())
    settle(folder / "new")
    settle(folder / "c0", LONG_AGO + 1)
    read.clear()
    again = agy.load(folder, cache=cache)
    again.usage()
    assert read == ["c0", "new"]
    assert_same(again, agy.load(folder, cache=False))


@pytest.mark.slow
def test_another_file_of_the_same_size_is_noticed_by_its_time(folder, cache):
    agy.load(folder, cache=cache).usage()
    wire = folder / "c0" / "wire.jsonl"
    wire.write_text(wire.read_text().replace('"100"', '"900"'))
    settle(folder / "c0", LONG_AGO + 1)
    assert_same(agy.load(folder, cache=cache), agy.load(folder, cache=False))


@pytest.mark.slow
def test_a_recording_that_was_just_written_is_not_kept(folder, cache, read):
    save(folder / "now", two_calls())
    for _ in range(2):
        read.clear()
        agy.load(folder, cache=cache).usage()
    assert read == ["now"]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "change", "remove", "copy", "load", "load some"]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.slow
@pytest.mark.timeout(180)
@given(operations=OPERATIONS)
@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_after_any_changes_the_tables_are_the_same(operations, tmp_path_factory):
    top = tmp_path_factory.mktemp("any")
    runs, cache = top / "runs", top / "cache"
    save(runs / "first", two_calls())
    for moment, (what, number) in enumerate([*operations, ("load", 0)]):
        place = runs / f"c{number}"
        if what == "load":
            assert_same(agy.load(runs, cache=cache), agy.load(runs, cache=False))
        elif what == "load some":
            some = [runs / "first", *sorted(runs.glob("c[024]"))]
            assert_same(agy.load(some, cache=cache), agy.load(some, cache=False))
        elif what == "remove":
            shutil.rmtree(place, ignore_errors=True)
        elif what == "copy":
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(runs / "first", place)
        else:
            save(place, two_calls() if what == "add" else Wire().begin().prompt().usage(prompt=5))
            settle(place, LONG_AGO + moment)
    shutil.rmtree(top)


@pytest.mark.slow
def test_many_small_segments_become_one(folder, cache, read):
    for number in range(12):
        settle(save(folder / f"more{number}", two_calls()))
        agy.load(folder, cache=cache).usage()
    assert 1 <= len(list(cache.rglob("index.parquet"))) <= 9
    read.clear()
    again = agy.load(folder, cache=cache)
    again.usage()
    assert read == []
    assert_same(again, agy.load(folder, cache=False))


# -- damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Recordings that no test changes, their tables, and a cache of them to copy."""
    top = tmp_path_factory.mktemp("filled")
    runs = record_runs(top / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "WORTH_RECORDINGS", 1)
        agy.load(runs, cache=top / "cache").usage()
    return runs, agy.load(runs, cache=False), top / "cache"


HARMS = ["cut", "garbage", "bit", "gone", "another table"]
DAMAGED = [
    *(("index", harm) for harm in HARMS),
    *(("model_calls", harm) for harm in HARMS),
    ("turns", "bit"),  # which the search for copies reads first
    ("problems", "gone"),  # whose rows are not those of recordings alone
]


@pytest.mark.parametrize(("name", "harm"), DAMAGED)
@pytest.mark.slow
def test_damaged_files_are_written_again_without_a_word(filled, cache, read, name, harm, recwarn):
    folder, expected, whole = filled
    shutil.copytree(whole, cache)
    [file] = cache.rglob(f"{name}.parquet")
    data = file.read_bytes()
    if harm == "gone":
        file.unlink()
    elif harm == "another table":
        shutil.copy(file.parent / "steps.parquet", file)
    else:
        middle = len(data) // 3
        bit = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        file.write_bytes({"cut": data[: len(data) // 2], "garbage": b"\x00" * 99, "bit": bit}[harm])
    assert_same(agy.load(folder, cache=cache), expected)
    read.clear()
    assert_same(agy.load(folder, cache=cache), expected)
    assert read == []
    assert [str(each.message) for each in recwarn] == []


@pytest.mark.slow
def test_a_cache_that_is_removed_between_two_questions_does_no_harm(folder, cache):
    agy.load(folder, cache=cache).usage()
    sessions = agy.load(folder, cache=cache)
    sessions.usage()
    shutil.rmtree(cache)
    assert_same(sessions, agy.load(folder, cache=False))


LOAD = """
import sys
import agy_nb as agy
from agy_nb.analysis.cache import store
store.WORTH_RECORDINGS = 1
sys.stdin.read()
print(agy.load(sys.argv[1], cache=sys.argv[2]).usage("model").to_csv(index=False).strip())
"""


@pytest.mark.slow
def test_two_processes_can_fill_the_cache_at_once(folder, cache, read):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", LOAD, folder, cache],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        for process in started:
            process.stdin.close()
        said = [process.stdout.read().strip() for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()
    expected = agy.load(folder, cache=False)
    assert said == [expected.usage("model").to_csv(index=False).strip()] * 2
    read.clear()
    assert_same(agy.load(folder, cache=cache), expected)
    assert read == []
    assert not list(cache.rglob(".new-*"))


# -- where it is, and who can read it ------------------------------------------------------------


def test_without_a_cache_nothing_is_written(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    agy.load(folder, cache=False).usage()
    assert not (tmp_path / "home").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_the_cache_is_in_the_users_cache_folder_and_only_the_user_can_read_it(
    folder, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    before = sorted(folder.rglob("*"))
    agy.load(folder).usage()
    top = tmp_path / "home" / "agy-nb" / "agy-tables"
    assert files_of(top)
    assert (top / ".gitignore").read_text() == "*\n"
    for place in (top, *top.rglob("*")):
        if place.suffix == ".parquet" or place.is_dir():
            assert not stat.S_IMODE(place.stat().st_mode) & 0o077
    assert sorted(folder.rglob("*")) == before


def test_few_short_recordings_are_read_without_a_cache(folder, cache, monkeypatch):
    monkeypatch.setattr(store, "WORTH_RECORDINGS", 50)
    agy.load(folder, cache=cache).usage()
    assert not cache.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
def test_a_folder_that_others_can_write_to_is_not_used(folder, cache):
    (cache / "agy-tables").mkdir(parents=True)
    (cache / "agy-tables").chmod(0o777)
    assert len(agy.load(folder, cache=cache).turns)
    assert files_of(cache) == []


@pytest.mark.slow
def test_a_place_that_is_no_folder_gives_no_cache(folder, cache):
    cache.write_text("a file")
    assert_same(agy.load(folder, cache=cache), agy.load(folder, cache=False))


def test_a_full_disk_gives_no_cache(folder, cache, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    assert_same(agy.load(folder, cache=cache), agy.load(folder, cache=False))
    assert not list(cache.rglob(".new-*"))


def test_without_pyarrow_there_is_no_cache(folder, cache, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert len(agy.load(folder, cache=cache).turns)
    assert files_of(cache) == []


@pytest.mark.slow
def test_a_secret_that_is_known_now_is_not_shown_from_the_cache(folder, cache, monkeypatch):
    secret = "s3cr3tT0kenZq8Lx7Vb2Nm4Kw9P"
    wire = Wire().begin().prompt()
    wire.add(
        "harness", {"toolCall": {"id": "1", "name": "add", "argumentsJson": f'{{"x": "{secret}"}}'}}
    )
    settle(save(folder / "leak", wire.usage(prompt=1).idle().end()))
    agy.load(folder, cache=cache).usage()
    monkeypatch.setenv("MY_API_KEY", secret)
    found = agy.load(folder, cache=cache)
    assert_same(found, agy.load(folder, cache=False))
    assert not found.tool_calls["args_json"].str.contains(secret).any()


@pytest.mark.parametrize("cache", [None, 3, ""])
def test_another_kind_of_cache_is_refused(folder, cache):
    with pytest.raises(InvalidInputError, match="cache must be True, False or a folder"):
        agy.load(folder, cache=cache)
