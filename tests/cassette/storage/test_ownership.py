"""Folders of the user keep their names and contents, whatever a recorder or reader does."""

import shutil

import pytest

from agy_nb.cassette import CassetteNotFoundError, use_cassette
from agy_nb.cassette.errors import CassetteBusyError
from agy_nb.cassette.storage import atomic_replace, catalog
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import HEADER, OWNER_MARK
from agy_nb.cassette.storage.ownership import (
    RecordingLock,
    is_unfinished,
    new_folder,
    place_of_old,
    recover,
    unfinished_of,
)
from agy_nb.cli import main
from tests.cassette.storage.recordings import prompts_of, record


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    """Both ways to replace a folder."""
    if request.param == "two renames":
        monkeypatch.setattr(atomic_replace, "_exchange", lambda one, other: False)


@pytest.fixture
def crash_after_first_rename(tmp_path):
    """A cassette `c` whose replacement was interrupted between its two renames."""
    record(tmp_path / "c", "old").finish()
    new = record(tmp_path / "c", "new")
    new.leave_partial()
    (tmp_path / "c").rename(place_of_old(new.folder))
    return place_of_old(new.folder)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["c.old", "c.partial", "c.replaced", "c.partial-0123abcd"])
def test_folders_of_the_user_are_never_touched(tmp_path, name):
    record(tmp_path / name, "mine").finish()
    (tmp_path / name / "notes.txt").write_text("keep me")
    for text in ("one", "two"):
        record(tmp_path / "c", text).finish()
        record(tmp_path / "c", "thrown away").abandon()
    assert prompts_of(tmp_path / name) == ["mine"]
    assert prompts_of(tmp_path / "c") == ["two"]
    assert names(tmp_path) == ["c", name]
    assert list(catalog.leftovers(tmp_path)) == []


@pytest.mark.parametrize("name", ["c.old", "c.partial", "c.replaced-0123abcd"])
def test_reading_moves_nothing(tmp_path, name):
    record(tmp_path / "c", "old").finish()
    (tmp_path / "c").rename(tmp_path / name)
    with pytest.raises(CassetteNotFoundError):
        load(tmp_path / "c")
    with pytest.raises(CassetteNotFoundError), use_cassette(tmp_path / "c", "none"):
        pass
    assert names(tmp_path) == [name]
    assert prompts_of(tmp_path / name) == ["old"]


def test_recording_that_the_user_renamed_belongs_to_the_user(tmp_path):
    crashed = record(tmp_path / "c", "rescued")
    crashed.leave_partial()
    crashed.folder.rename(tmp_path / "c.partial-01234567")
    assert not is_unfinished(tmp_path / "c.partial-01234567")
    assert list(catalog.leftovers(tmp_path)) == []


def test_every_recording_of_a_crash_is_kept_until_it_is_discarded(tmp_path, caplog):
    for text in ("first", "second"):
        record(tmp_path / "c", text).leave_partial()
    left = unfinished_of(tmp_path / "c")
    assert sorted(text for path in left for text in prompts_of(path)) == ["first", "second"]
    caplog.clear()
    record(tmp_path / "c", "third").finish()
    assert all(str(path) in caplog.text for path in left)
    assert "agy-nb cassette prune --yes" in caplog.text
    assert unfinished_of(tmp_path / "c") == left
    for path in left:
        assert catalog.remove(path) == "removed"
    assert names(tmp_path) == ["c"]


def test_missing_cassette_says_where_its_unfinished_recording_is(tmp_path):
    crashed = record(tmp_path / "c", "rescued")
    crashed.leave_partial()
    with pytest.raises(CassetteNotFoundError) as caught:
        load(tmp_path / "c")
    assert f"An unfinished recording is at {crashed.folder}" in str(caught.value)
    assert f"agy-nb cassette prune --yes {crashed.folder}" in str(caught.value)
    assert prompts_of(crashed.folder) == ["rescued"]


def test_crash_between_two_renames_is_undone_by_the_next_recording(
    tmp_path, crash_after_first_rename
):
    with pytest.raises(CassetteNotFoundError, match="Unfinished recordings are at"):
        load(tmp_path / "c")
    assert crash_after_first_rename.is_dir()
    with use_cassette(tmp_path / "c", "once", allow_unplayed=True) as used:
        pass
    assert used.recording is False, "the old cassette is replayed, not replaced"
    assert prompts_of(tmp_path / "c") == ["old"]


def test_discarding_restores_the_only_copy_of_a_cassette(tmp_path, crash_after_first_rename):
    assert catalog.remove(crash_after_first_rename) == "restored"
    assert prompts_of(tmp_path / "c") == ["old"]


def test_recovery_never_touches_a_cassette_that_is_there(tmp_path, crash_after_first_rename):
    shutil.copytree(crash_after_first_rename, tmp_path / "c")
    recover(tmp_path / "c")
    assert crash_after_first_rename.is_dir()


def test_crash_before_the_old_one_is_removed_leaves_a_marked_folder(tmp_path, monkeypatch):
    record(tmp_path / "c", "old").finish()
    new = record(tmp_path / "c", "new")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # as a crash
    new.finish()
    monkeypatch.undo()
    (tmp_path / "c" / OWNER_MARK).write_text(f'{{"folder": "{new.folder.name}"}}')  # removed last
    assert prompts_of(tmp_path / "c") == ["new"]
    assert prompts_of(new.folder) == ["old"]
    assert list(catalog.leftovers(tmp_path)) == [new.folder]
    assert catalog.remove(new.folder) == "removed"
    record(tmp_path / "c", "newer").finish()
    assert names(tmp_path) == ["c"]
    assert OWNER_MARK not in names(tmp_path / "c")


@pytest.mark.parametrize("mark", [b"", b"[]", b"{}", b"\xff", b"[" * 10_000, b"x" * 10_000])
def test_damaged_mark_is_no_mark(tmp_path, mark):
    folder = new_folder(tmp_path / "c")
    (folder / OWNER_MARK).write_bytes(mark)
    assert not is_unfinished(folder)


def test_lock_of_another_program_is_not_removed(tmp_path):
    (tmp_path / ".c.lock").write_text("")
    (tmp_path / ".c.agy-lock").write_text("of a program that we do not know")
    assert list(catalog.leftovers(tmp_path)) == []
    (tmp_path / ".c.agy-lock").write_text("")
    assert list(catalog.leftovers(tmp_path)) == [tmp_path / ".c.agy-lock"]


def test_folder_that_cannot_be_marked_is_not_left(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agy_nb.cassette.storage.ownership.write_file", full)
    with pytest.raises(OSError, match="No space"):
        new_folder(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
    RecordingLock(tmp_path / "c").release()


def test_a_header_alone_is_enough_to_be_listed(tmp_path):
    crashed = record(tmp_path / "c")
    crashed.leave_partial()
    assert HEADER in names(crashed.folder)
    assert list(catalog.find([tmp_path])) == [crashed.folder]
    assert catalog.entry(crashed.folder).partial


@pytest.mark.parametrize("left", [(), (f".{OWNER_MARK}",)], ids=["nothing", "half a mark"])
def test_folder_of_a_crash_before_its_mark_is_removed(tmp_path, left, capsys):
    for place in ("c", "other"):
        folder = tmp_path / f"{place}.partial-0123abcd"
        folder.mkdir()
        for name in left:
            (folder / name).write_bytes(b"{")
    (tmp_path / "c.partial-mine").mkdir()
    record(tmp_path / "c", "new").finish()
    assert names(tmp_path) == ["c", "c.partial-mine", "other.partial-0123abcd"]
    assert main(["cassette", "prune", "--yes", str(tmp_path)]) == 0
    assert "restored" not in capsys.readouterr().out
    assert names(tmp_path) == ["c", "c.partial-mine"]


@pytest.mark.parametrize("target", ["there", "missing"])
def test_link_stays_and_its_target_is_recorded(tmp_path, way, target):
    (tmp_path / "store").mkdir()
    if target == "there":
        record(tmp_path / "store" / "real", "old").finish()
    link = tmp_path / "c"
    link.symlink_to(tmp_path / "store" / "real")
    record(link, "new").finish()
    assert link.is_symlink()
    assert prompts_of(link) == prompts_of(tmp_path / "store" / "real") == ["new"]
    assert names(tmp_path / "store") == ["real"]
    assert names(tmp_path) == ["c", "store"]


def test_link_and_target_have_one_lock(tmp_path):
    link = tmp_path / "c"
    link.symlink_to(tmp_path / "real")
    recording = record(tmp_path / "real", "one")
    with pytest.raises(CassetteBusyError):
        record(link, "two")
    recording.finish()
