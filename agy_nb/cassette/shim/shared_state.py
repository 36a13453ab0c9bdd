"""What the stand-ins that one client starts know of each other.

An SDK starts one harness an agent, so a program with several agents starts several stand-ins. They
record into one cassette, and agents alike play its sessions in turn. What they must know of each
other is in a small file in the temporary folder: one a cassette that is recorded, one a
cassette and client where it is replayed.

Rule 1: the file is read and written under a lock of the operating system, in one go.
Rule 2: it is only a hint. If it is damaged or missing, or belongs to a client that has
ended, the state begins empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

SharedFields = dict[str, Any]
"""The state. `client` is its owner, `at_work` the processes that are recording."""


class SharedState:
    """The state of one cassette that one client uses.

    Args:
        cassette: The cassette's folder.
        use: What for; recording and replaying have nothing to do with each other.
        client: Whose stand-ins share it; the process that started this one by default.
        folder: Where ledgers are kept.
    """

    def __init__(
        self,
        cassette: Path,
        use: Literal["record", "replay"],
        *,
        client: str | None = None,
        folder: Path | None = None,
    ) -> None:
        self.client = client_name() if client is None else client
        what = f"{use} {os.path.realpath(cassette)}"
        if use == "replay":  # any number of clients may, at the same time
            what += f" {self.client}"
        name = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        self._folder = _folder() if folder is None else folder
        self._path = self._folder / f"{name}.json"

    def tidy(self) -> None:
        """Remove what clients that are no more have left."""
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not any(map(is_running, _concerned(_read(file.read())))):
                    path.unlink()

    @contextlib.contextmanager
    def open(self) -> Iterator[SharedFields]:
        """The state, for reading and changing. Others wait meanwhile. Blocks."""
        with self._locked() as file:
            file.seek(0)
            state = _read(file.read())
            if state.get("client") != self.client and not any(map(is_running, _at_work(state))):
                state = {}
            yield state
            file.seek(0)
            file.truncate()
            file.write(json.dumps({"client": self.client} | state).encode())

    def _locked(self) -> BinaryIO:
        while True:
            file = self._path.open("a+b")
            fcntl.flock(file, fcntl.LOCK_EX)
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            file.close()  # somebody removed it between our two calls


def others_at_work(state: SharedFields) -> list[int]:
    """The processes but this one that record at this moment."""
    return [pid for pid in _at_work(state) if pid != os.getpid() and is_running(pid)]


def _at_work(state: SharedFields) -> list[int]:
    found = state.get("at_work")
    return [pid for pid in found if isinstance(pid, int)] if isinstance(found, list) else []


def _concerned(state: SharedFields) -> list[int]:
    """The processes that may still ask for it."""
    client = str(state.get("client", "")).partition("-")[0]
    return [*_at_work(state), *([int(client)] if client.isdigit() else [])]


def client_name() -> str:
    """A name for the process that started this one, which no later process will have."""
    pid = os.getppid()
    return f"{pid}-{_began(pid)}"


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # there is, of another user
    return True


def _began(pid: int) -> str:
    """When a process began, in the system's words; a number may be given to another one later."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    with contextlib.suppress(OSError):
        asked = ["ps", "-o", "lstart=", "-p", str(pid)]  # where there is no /proc
        shown = subprocess.run(asked, capture_output=True, check=False, text=True)  # noqa: S603
        return shown.stdout.strip()
    return ""


def _read(raw: bytes) -> SharedFields:
    try:
        state = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"agy-nb-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # somebody else made it: have nothing to do with it
        folder = Path(tempfile.mkdtemp(prefix="agy-nb-"))
    return folder
