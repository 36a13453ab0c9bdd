"""Read folders as they were in a revision of git."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tarfile
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

from agy_nb.cassette.errors import CassetteNotFoundError
from agy_nb.errors import InvalidInputError

_TIMEOUT_S = 60.0


def is_revision(text: str) -> bool:
    """Return whether a text names a revision of the repository of the current folder."""
    if not text or text.startswith("-"):
        return False
    done = _git(
        Path.cwd(), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}"
    )
    return done is not None and done.returncode == 0


@contextlib.contextmanager
def checked_out(revision: str, path: Path) -> Generator[Path, None, None]:
    """Yield a temporary folder with the content of a folder in a revision.

    The content is missing if the revision does not have the folder.

    Args:
        revision: The revision.
        path: The folder; it need not exist now.

    Raises:
        CassetteNotFoundError: The folder is not in a git repository.
        InvalidInputError: git does not know the revision, or is not installed.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links, as git does
    base = next(each for each in (place, *place.parents) if each.is_dir())
    done = _git(base, "rev-parse", "--show-toplevel")
    if done is None:
        raise InvalidInputError("git is not installed; pass two folders instead", field="path")
    if done.returncode:
        raise CassetteNotFoundError(
            f"{path} is not in a git repository, so it has no revision {revision!r}; "
            "pass two folders instead",
            path=str(path),
        )
    top = Path(os.fsdecode(done.stdout).rstrip("\n"))
    inside = Path(os.path.realpath(base) + str(place)[len(str(base)) :]).relative_to(
        os.path.realpath(top)
    )
    with TemporaryDirectory(prefix="agy-") as folder:
        archive = _git(
            top,
            "archive",
            "--format=tar",
            f"{revision}^{{commit}}",
            "--",
            f":(literal){inside.as_posix()}",
        )
        if archive is not None and archive.returncode == 0:
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(folder, filter="data")
        yield Path(folder) / inside


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(  # noqa: S603 - the words are checked, and there is no shell
            ["git", *words],  # noqa: S607 - the git of the user
            cwd=folder, capture_output=True, check=False, timeout=_TIMEOUT_S,
        )  # fmt: skip
    except FileNotFoundError:
        return None
