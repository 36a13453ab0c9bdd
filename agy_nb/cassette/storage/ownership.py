"""Own the name of a cassette while it is recorded, and the folders of its recordings.

A recording of `weather` is written to `weather.partial-ID` beside it. Where folders cannot be
exchanged atomically, the old cassette is `weather.replaced-ID` for a moment. ID is random, and a
mark inside names the folder that a recorder created. So a folder of the user is never taken for one
of ours, even if it has such a name. A crash leaves these folders; `agy-nb cassette prune` removes
them.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from agy_nb.cassette.errors import CassetteBusyError, CassetteNotWrittenError
from agy_nb.cassette.storage.atomic_replace import write_file
from agy_nb.cassette.storage.file_lock import LOCK, FileLock, real_place
from agy_nb.cassette.storage.format import OWNER_MARK
from agy_nb.cassette.storage.safe_files import read_bytes
from agy_nb.cassette.storage.safe_json import parse_json

_PARTIAL = "partial"
_REPLACED = "replaced"
_NAME = re.compile(rf"(.+)\.({_PARTIAL}|{_REPLACED})-([0-9a-f]{{8}})", re.DOTALL)
_LARGEST_MARK = 4096


def new_folder(place: Path) -> Path:
    """Create the folder of a new recording, with a name that no other folder has.

    Args:
        place: The path of the finished cassette.

    Raises:
        OSError: The folder cannot be created; nothing is left of it.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    while True:
        folder = place.with_name(f"{place.name}.{_PARTIAL}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    try:
        mark_as_ours(folder, folder.name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def mark_as_ours(folder: Path, name: str) -> None:
    """Write the mark of a recorder into a folder.

    Args:
        folder: Where the mark is.
        name: Name of the folder that the recorder created.

    Raises:
        OSError: The mark cannot be written.
    """
    write_file(folder / OWNER_MARK, json.dumps({"folder": name}).encode())


def place_of_old(folder: Path) -> Path:
    """Return where the old cassette stays while the recording in a folder replaces it."""
    head, _, identifier = folder.name.rpartition(f".{_PARTIAL}-")
    return folder.with_name(f"{head}.{_REPLACED}-{identifier}")


def is_unfinished(folder: Path) -> bool:
    """Return whether a recorder created this folder, and did not finish. Reads the disk."""
    return bool(_NAME.fullmatch(folder.name)) and folder.is_dir() and _is_marked(folder)


def unfinished_of(place: Path) -> list[Path]:
    """List the folders that unfinished recordings of a cassette left beside it, sorted."""
    place = real_place(place)
    try:
        beside = sorted(place.parent.iterdir())
    except OSError:
        return []
    return [path for path in beside if _cassette_of(path) == place and is_unfinished(path)]


def where_unfinished(place: Path) -> str:
    """Describe what unfinished recordings left beside a cassette; empty if there is nothing."""
    found = unfinished_of(place)
    if not found:
        return ""
    if len(found) == 1:
        what, it = f"An unfinished recording is at {found[0]}", "it"
    else:
        what, it = f"Unfinished recordings are at {', '.join(map(str, found))}", "them"
    return f"{what}; you can use {it} by that name. {how_to_discard(*found)} discards {it}"


def how_to_discard(*folders: Path) -> str:
    """Return the command that removes folders of unfinished recordings."""
    return f"`agy-nb cassette prune --yes {shlex.join(map(str, folders))}`"


def leftovers(root: Path) -> Iterator[Path]:
    """Find the folders and lock files of unfinished recordings in and below a folder."""
    if is_unfinished(root):
        yield root
    for path in sorted(root.rglob("*")):
        if is_unfinished(path) or _is_empty(path) or _is_lock(path):
            yield path


def cassette_of(leftover: Path) -> Path:
    """Return the path of the cassette whose recording left a folder or a lock file."""
    if leftover.name.endswith(LOCK):
        return leftover.with_name(leftover.name.removeprefix(".").removesuffix(LOCK))
    return _cassette_of(leftover) or leftover


def recover(place: Path) -> None:
    """Undo or finish a replacement that a crash interrupted.

    Between its two renames, the old cassette is renamed back. After the replacement, the rest of
    the old one is removed. Call it before a recording only, with the lock held: a reader changes
    nothing. The folder of a recording that a crash left before its mark is empty, and is removed.
    """
    for folder in place.parent.glob(f"{glob.escape(place.name)}.{_PARTIAL}-*"):
        if _is_empty(folder):
            shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(place):
        _remove_replaced(place)
        return
    for path in unfinished_of(place):
        # A `partial` folder is never put in place: its recording has not ended, and the user
        # decides.
        if f".{_REPLACED}-" in path.name:
            with contextlib.suppress(OSError):
                path.rename(place)
            return


def _remove_replaced(place: Path) -> None:
    """Remove the cassette that this one has replaced, if the mark shows that it did."""
    name = _marked_for(place)
    folder = place.with_name(name) if _NAME.fullmatch(name) else place
    if name == place.name or _cassette_of(folder) != place:
        return
    for old in (folder, place_of_old(folder)):
        if is_unfinished(old):
            shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(OSError):
        (place / OWNER_MARK).unlink()


def recover_unless_busy(place: Path) -> None:
    """Do the same as `recover`, unless another recording of the cassette runs."""
    place = real_place(place)
    if os.path.lexists(place) or not unfinished_of(place):
        return
    with contextlib.suppress(CassetteBusyError):
        lock = RecordingLock(place)
        try:
            recover(place)
        finally:
            lock.release()


def _cassette_of(path: Path) -> Path | None:
    found = _NAME.fullmatch(path.name)
    return path.with_name(found[1]) if found else None


def _is_empty(folder: Path) -> bool:
    """Return whether a crash left the folder of a recording before its mark was whole."""
    if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    try:
        return {path.name for path in folder.iterdir()} <= {f".{OWNER_MARK}"}
    except OSError:
        return False


def _is_marked(folder: Path) -> bool:
    """Return whether the mark of this folder's recording is in it, or where it moved.

    The mark is in the folder while it is written. The exchange moves it into the cassette, and it
    is removed from there after the old cassette, which now has this folder's name.
    """
    found = _NAME.fullmatch(folder.name)
    if found is None:
        return False
    partial = folder.with_name(f"{found[1]}.{_PARTIAL}-{found[3]}")
    places = (folder, folder.with_name(found[1]), partial)
    return any(_marked_for(place) == partial.name for place in places)


def _marked_for(folder: Path) -> str:
    try:
        mark = parse_json(read_bytes(folder / OWNER_MARK, _LARGEST_MARK))
    except (OSError, ValueError):
        return ""
    return str(mark.get("folder", "")) if isinstance(mark, dict) else ""


def _is_lock(path: Path) -> bool:
    """Return whether a path is a lock file of ours, which is always empty."""
    if not (path.name.startswith(".") and path.name.endswith(LOCK)) or path.is_symlink():
        return False
    try:
        return path.is_file() and path.stat().st_size == 0
    except OSError:
        return False


class RecordingLock(FileLock):
    """Lock of a cassette's name, for one recording at a time on this machine.

    Args:
        path: Folder of the cassette.

    Raises:
        CassetteBusyError: Another recording writes to the cassette.
        CassetteNotWrittenError: The lock file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        try:
            super().__init__(path)
        except BlockingIOError as error:
            raise CassetteBusyError(
                f"another recording writes to {path}; wait for its end, or choose another name",
                path=str(path),
            ) from error
        except OSError as error:
            raise not_written(path, error) from error

    @staticmethod
    def check_not_written(path: Path) -> None:
        """Check that a folder is not the one that a recording writes to now.

        Raises:
            CassetteBusyError: It is.
        """
        place = cassette_of(path)
        if place != path and is_unfinished(path) and RecordingLock.is_held(place):
            raise CassetteBusyError(
                f"{path} is being recorded, as {place}; wait for the end of the recording",
                path=str(path),
            )


def not_written(path: Path, error: OSError, kept: Path | None = None) -> CassetteNotWrittenError:
    """Create the error for a recording that the disk refused.

    Args:
        path: Folder of the cassette.
        error: The error of the operating system.
        kept: Where the partial recording is, if there is one.
    """
    partial = where_kept(kept) if kept is not None else ""
    advice = "Free some space, or choose another folder"
    if isinstance(error, TimeoutError):
        advice = "Record again when that process has ended"
    return CassetteNotWrittenError(
        f"{path} could not be recorded: {error.strerror or error}.{partial} "
        f"An older cassette is unchanged. {advice}",
        path=str(path),
    )


def where_kept(folder: Path) -> str:
    """Return a sentence, after a space, on the partial recording; empty if there is none."""
    if not folder.is_dir():
        return ""
    return f" The partial recording is at {folder}; {how_to_discard(folder)} discards it."
