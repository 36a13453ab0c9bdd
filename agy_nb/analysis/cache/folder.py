"""Where the cache is, who may read it, and which versions of the package share it.

The cache is in the user's cache folder, not beside the recordings. A folder of recordings may come
from another person, and a cache in it could show other numbers than the recordings. It may also be
read-only, or belong to a git repository.

Rows hold arguments of tools and, with `text=True`, texts. So the folder has mode 0700, and a folder
that others can write to is not used.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the files of the cache."""

_NAME = "agy-tables"
_DAYS = 60
"""Days after which an unused folder is removed."""
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by agy_nb; see https://bford.info/cachedir/\n"
_READING = ("analysis", "cassette", "protocol", "wire")
"""Packages whose code decides what a recording's rows are."""


def cache_folder(place: Path | None, options: Mapping[str, Any]) -> Path | None:
    """Return the folder of this version and these options, created if needed.

    Args:
        place: A folder for the cache; None for the user's cache folder.
        options: The options of `agy.load` on which rows depend.

    Returns:
        The folder; None where none can be used, e.g. because the disk is read-only, or pyarrow is
        not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return None
    try:
        return _usable(_default() if place is None else place, options)
    except (ImportError, OSError):
        return None


def _default() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("agy-nb", appauthor=False))


def _usable(place: Path, options: Mapping[str, Any]) -> Path | None:
    place.mkdir(parents=True, exist_ok=True)
    top = place.absolute() / _NAME
    top.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(top):
        return None
    for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _TAG)):
        if not (top / name).exists():
            (top / name).write_text(text, encoding="utf-8")
    words = "".join(f"-{name}" for name, on in sorted(options.items()) if on)
    found = top / f"{_version()}{words}"
    found.mkdir(mode=0o700, exist_ok=True)
    _mark_used(found)
    return found if os.access(found, os.W_OK | os.X_OK) else None


def _is_private(folder: Path) -> bool:
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        return False
    if sys.platform == "win32":
        return True  # the folders of a user are private there
    return about.st_uid == os.getuid() and not about.st_mode & 0o077


@cache
def _version() -> str:
    """Return a name that changes with the tables and with the code that reads recordings."""
    from agy_nb.analysis.schema import TABLES

    found = blake2b(repr(TABLES).encode(), digest_size=8)
    package = Path(__file__).parents[2]
    for name in _READING:
        for file in sorted((package / name).rglob("*.py")):
            found.update(file.read_bytes())
    return f"v{FORMAT}-{found.hexdigest()}"


def _mark_used(folder: Path) -> None:
    """Note that a folder was used; once a day, remove old ones."""
    now = datetime.now(UTC).timestamp()
    if now - folder.stat().st_mtime < 86_400 and any(folder.iterdir()):  # noqa: PLR2004 - a day
        return
    os.utime(folder)
    for version in folder.parent.iterdir():
        for old in (version, *(version.iterdir() if version.is_dir() else ())):
            if old.is_dir() and old != folder and now - old.stat().st_mtime > _DAYS * 86_400:
                shutil.rmtree(old, ignore_errors=True)
