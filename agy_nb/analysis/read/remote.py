"""Recordings behind URLs, such as `s3://bucket/runs`, read with fsspec.

A recording is copied to this machine while it is read, so that there is one reader of recordings.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.read.discovery import Found, RecordingPath, SearchProblem
from agy_nb.errors import InvalidInputError

_WIRE, _HEADER, _MODEL = "wire.jsonl", "header.json", "model.yaml"
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created", "ETag", "etag")
"""Where file systems say which version of a file there is."""
_SHARED = "_shared"


def search_urls(urls: Sequence[str]) -> Found:
    """Find the recordings behind URLs, which may be patterns.

    Raises:
        InvalidInputError: There is nothing behind a URL, or it cannot be listed.
        MissingExtraError: fsspec is not installed.
    """
    recordings: dict[str, RecordingPath] = {}
    problems: list[SearchProblem] = []
    for url in urls:
        system, path = _open(url)
        try:
            found = list(_below(system, path))
        except InvalidInputError:
            raise
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"[:300]
            raise InvalidInputError(f"cannot list {url!r}: {detail}", field="path") from error
        for recording in found:
            recordings.setdefault(recording.url, recording)
        if not found:
            is_pattern = any(mark in path for mark in "*?[")
            detail = "nothing matches this pattern" if is_pattern else "there is no recording"
            problems.append(SearchProblem(url, "nothing_found", detail))
    return Found(tuple(recordings.values()), tuple(problems))


def _open(url: str) -> tuple[Any, str]:
    try:
        from fsspec import core
    except ImportError:
        raise MissingExtraError(f"{url!r} needs fsspec", "dask") from None
    try:
        open_url: Any = core.url_to_fs
        system, path = open_url(url)
    except ImportError as error:
        raise InvalidInputError(f"cannot open {url!r}: {error}", field="path") from error
    except ValueError as error:
        raise InvalidInputError(
            f"{url!r} has an unknown protocol: {error}", field="path"
        ) from error
    return system, str(path)


def _below(system: Any, path: str) -> Iterator[RecordingPath]:
    is_pattern = any(mark in path for mark in "*?[")
    roots = sorted(system.glob(path)) if is_pattern else [path]
    if not is_pattern and not system.exists(path):
        raise InvalidInputError(
            f"there is nothing at {system.unstrip_protocol(path)!r}; name a folder", field="path"
        )
    for found in roots:
        root = str(found).rstrip("/")
        if PurePosixPath(root).name in (_WIRE, _HEADER, _MODEL):
            root = str(PurePosixPath(root).parent)
        folders: defaultdict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
        for file, about in system.find(root, detail=True).items():
            place = PurePosixPath(file)
            folders[str(place.parent)][place.name] = about
        for folder in sorted(folders):
            files = folders[folder]
            if _WIRE in files or _HEADER in files:
                name = PurePosixPath(folder).name if folder == root else folder[len(root) + 1 :]
                url = system.unstrip_protocol(folder)
                yield RecordingPath(Path(folder), name, url, _stamp(files))


def _stamp(files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what changes with the files; empty if the file system gives no times."""
    found = []
    for name, about in sorted(files.items()):
        times = [f"{key}={about[key]}" for key in _TIMES if about.get(key) is not None]
        if not times:
            return ""
        found.append(f"{name}:{about.get('size')}:{times}")
    return blake2b("/".join(found).encode(), digest_size=12).hexdigest()


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """Copy a recording to this machine while it is read; a file that cannot be read is missing."""
    system, path = _open(url)
    with tempfile.TemporaryDirectory(prefix="agy-remote-") as temporary:
        folder = Path(temporary) / PurePosixPath(path).name
        folder.mkdir()
        try:
            _copy(system, path, folder)
            model = folder / _MODEL
            if model.is_file() and b"$shared" in model.read_bytes():
                shared = folder.parent / _SHARED
                shared.mkdir()
                _copy(system, f"{PurePosixPath(path).parent}/{_SHARED}", shared)
        except OSError:
            pass  # the reader notes the missing parts in `problems`
        yield folder


def _copy(system: Any, path: str, folder: Path) -> None:
    for about in system.ls(path, detail=True):
        if about["type"] == "file":
            system.get_file(about["name"], str(folder / PurePosixPath(about["name"]).name))
