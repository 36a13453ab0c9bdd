"""Copy the workspaces of an agent, so that a fork does not change the files of its parent.

All functions read and write the disk.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from agy_nb.errors import InvalidInputError

MOST_BYTES = 1_000_000_000
"""Most bytes of a workspace that is copied file by file."""

MOST_FILES = 100_000
"""Most files of a workspace that is copied file by file."""

_GIT_S = 60.0
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""The repository's own hooks do not run: an agent may have written them."""


def copy_workspaces(folders: Iterable[str]) -> list[str]:
    """Copy workspaces into a new private folder.

    A workspace that is the root of a clean git repository becomes a worktree of it, without the
    files that git ignores. Any other workspace is copied file by file.

    Args:
        folders: The workspaces.

    Returns:
        The copies, in the same order.

    Raises:
        InvalidInputError: A workspace does not exist or is too large, or the disk is full.
    """
    sources = [Path(folder) for folder in folders]
    plans = [(source, _is_clean_repository(source)) for source in sources]
    for source, clean in plans:
        if not clean:
            _check_size(source)
    target = Path(tempfile.mkdtemp(prefix="agy-nb-workspaces-"))
    copies = [target / f"{number}-{source.name}" for number, source in enumerate(sources)]
    try:
        for (source, clean), copy in zip(plans, copies, strict=True):
            if not (clean and _add_worktree(source, copy)):
                shutil.copytree(source, copy, symlinks=True, ignore=_special_files)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise InvalidInputError(
            f"the workspace cannot be copied: {error}. Use workspace='share'", field="workspace"
        ) from error
    return [str(copy) for copy in copies]


def remove_copies(copies: Iterable[str]) -> None:
    """Remove copies of a fork that did not start."""
    for parent in {Path(copy).parent for copy in copies}:
        shutil.rmtree(parent, ignore_errors=True)


def _is_clean_repository(folder: Path) -> bool:
    if not (folder / ".git").exists():
        return False
    status = _git(folder, "status", "--porcelain", "--untracked-files=all")
    head = _git(folder, "rev-parse", "--verify", "HEAD")
    return status == "" and head is not None


def _add_worktree(source: Path, copy: Path) -> bool:
    return _git(source, "worktree", "add", "--detach", str(copy), "HEAD") is not None


def _git(folder: Path, *arguments: str) -> str | None:
    """Run git, and return its output; None if it fails or is not installed."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            [*_GIT, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _check_size(folder: Path) -> None:
    if not folder.is_dir():
        msg = f"the workspace {str(folder)!r} is not a folder, so it cannot be copied"
        raise InvalidInputError(msg, field="workspace")
    size = files = 0
    for where, _, names in os.walk(folder):
        for name in names:
            size += os.lstat(Path(where, name)).st_size
            files += 1
        if size > MOST_BYTES or files > MOST_FILES:
            raise InvalidInputError(
                f"the workspace {str(folder)!r} is too large to copy: it has more than "
                f"{MOST_BYTES / 1e9:g} GB or {MOST_FILES:,} files. Use workspace='share', or "
                "commit its files to git: a clean repository is copied as a worktree",
                field="workspace",
            )


def _special_files(where: str, names: list[str]) -> list[str]:
    """Return pipes, sockets and devices, which cannot be copied."""
    modes = ((name, os.lstat(Path(where, name)).st_mode) for name in names)
    usual = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return [name for name, mode in modes if not any(kind(mode) for kind in usual)]
