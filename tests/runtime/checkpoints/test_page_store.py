"""Pages are kept once, privately, and a damaged or missing file is noticed."""

import errno
import os
import stat
from pathlib import Path

import pytest

from agy_nb.errors import CheckpointError
from agy_nb.runtime.checkpoints import page_store
from agy_nb.runtime.checkpoints.page_store import PageStore

A, B, C = (os.urandom(1_000) for _ in range(3))


@pytest.fixture
def store():
    made = PageStore()
    yield made
    made.remove()


def folder_of(store) -> Path:
    return store._folder


def test_pages_come_back_in_order(store):
    digests = store.add([A, B, A])
    assert store.read(digests) == [A, B, A]


def test_known_pages_take_no_space(store):
    store.add([A, B])
    before = store.size
    store.add([B, A])
    assert store.size == before
    store.add([A, C])
    assert before < store.size < before + 1_200


def test_only_the_user_can_read_the_files(store):
    store.add([A])
    assert stat.S_IMODE(folder_of(store).stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder_of(store).iterdir()} == {0o600}


def test_nothing_stays_at_the_end():
    store = PageStore()
    store.add([A])
    store.remove()
    assert not folder_of(store).exists()


def test_forgotten_pages_free_their_space(store):
    a, b = store.add([A, B])
    (c,) = store.add([C])
    store.keep_only({a})
    assert store.read([a]) == [A]
    assert store.size < 1_200
    assert sum(file.stat().st_size for file in folder_of(store).iterdir()) == store.size
    for gone in (b, c):
        with pytest.raises(CheckpointError, match="no longer kept"):
            store.read([gone])


@pytest.mark.parametrize("damage", [b"", b"other", None], ids=["cut", "overwritten", "removed"])
def test_damage_is_noticed(store, damage):
    digests = store.add([A])
    (file,) = folder_of(store).iterdir()
    file.unlink() if damage is None else file.write_bytes(damage)
    with pytest.raises(CheckpointError, match="damaged or gone"):
        store.read(digests)


def test_another_content_is_noticed(store):
    digests = store.add([b"x" * 100])
    other = PageStore()
    other.add([b"y" * 100])
    (file,), (foreign,) = folder_of(store).iterdir(), folder_of(other).iterdir()
    file.write_bytes(foreign.read_bytes())
    other.remove()
    with pytest.raises(CheckpointError, match="has changed"):
        store.read(digests)


def test_a_full_disk_leaves_nothing_behind(store, monkeypatch):
    kept = store.add([A])

    def full(_self, _target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(page_store.Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            store.add([B])
    assert len(list(folder_of(store).iterdir())) == 1
    assert store.read(kept) == [A]
    assert store.read(store.add([B])) == [B]
