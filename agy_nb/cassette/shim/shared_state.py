"""Share state between the stand-ins that one program starts.

An SDK starts one harness per agent, so a program with several agents starts several stand-ins. They
record into one cassette, and agents alike replay its sessions in turn. What they must know of each
other is in a small file in the temporary folder: one file per recorded cassette, and one per
replayed cassette and program.

Rule 1: the file is read and written under a lock of the operating system, in one go.
Rule 2: it is only a hint. If it is damaged or missing, or belongs to a program that has
ended, the state begins empty.
Rule 3: a program can have several processes. A process that was forked, or that `multiprocessing`
started, belongs to the program of its parent. A process of the same process group belongs to a
program of which a process still runs, such as the workers of a server.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

SharedFields = dict[str, Any]
"""The state.

`client` is its owner, `joined` are further processes of the same program, `group` is its process
group, and `at_work` has the processes that are recording.
"""
_Process = tuple[int, str, str]
"""A process's parent, the time when it began, and its command line."""
_MULTIPROCESSING = "from multiprocessing."
"""In the command line of processes that Python's multiprocessing spawns, and of its fork server."""


class SharedState:
    """The state of one cassette that one client uses.

    Args:
        cassette: The cassette's folder.
        use: What for; recording and replaying have nothing to do with each other.
        client: Whose stand-ins share it; the program that started this one by default.
        group: The process group of the program; that of the process that started this one by
            default.
        folder: Where the files are kept.
    """

    def __init__(
        self,
        cassette: Path,
        use: Literal["record", "replay"],
        *,
        client: str | None = None,
        group: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.client: str = client_name() if client is None else client
        self._group = _parents_group() if group is None else group
        what = f"{use} {os.path.realpath(cassette)}"
        if use == "replay":  # any number of clients may, at the same time
            what += f" {self.client}"
        name = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        self._folder = _folder() if folder is None else folder
        self._path = self._folder / f"{name}.json"

    def tidy(self) -> None:
        """Remove what clients that have ended left behind."""
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not any(map(is_running, _concerned(_read(file.read())))):
                    path.unlink()
                    shutil.rmtree(_old_cassette(path), ignore_errors=True)

    @property
    def old_cassette(self) -> Path:
        """Where a copy of the cassette that is recorded again may be kept."""
        return _old_cassette(self._path)

    @contextlib.contextmanager
    def open(self) -> Iterator[SharedFields]:
        """Open the state for reading and changing. Other processes wait. Blocks."""
        with self._locked() as file:
            file.seek(0)
            state = _read(file.read())
            if self.client not in _clients(state):
                if self._is_of_the_same_program(state):
                    state["joined"] = [*_clients(state)[1:], self.client]
                # A program may end while its stand-ins still save, and they need the state until
                # then.
                elif not any(map(is_running, _at_work(state))):
                    state = {}
            yield state
            file.seek(0)
            file.truncate()
            owner = {"client": self.client, "group": self._group}
            file.write(json.dumps(owner | state).encode())

    def _is_of_the_same_program(self, state: SharedFields) -> bool:
        return state.get("group") == self._group and any(map(_still_runs, _clients(state)))

    def _locked(self) -> BinaryIO:
        while True:
            file = self._path.open("a+b")
            fcntl.flock(file, fcntl.LOCK_EX)
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            file.close()  # somebody removed it between our two calls


def _old_cassette(state: Path) -> Path:
    return state.with_suffix(".old")


def others_at_work(state: SharedFields) -> list[int]:
    """Return the other processes that record at this moment."""
    return [pid for pid in _at_work(state) if pid != os.getpid() and is_running(pid)]


def _at_work(state: SharedFields) -> list[int]:
    found = state.get("at_work")
    return [pid for pid in found if isinstance(pid, int)] if isinstance(found, list) else []


def _concerned(state: SharedFields) -> list[int]:
    """Return the processes that may still use the state."""
    return [*_at_work(state), *(pid for pid, _ in map(_pid_of, _clients(state)) if pid)]


def is_member(state: SharedFields, client: str) -> bool:
    """Return whether the state belongs to the program of this client, or to none yet."""
    return "client" not in state or client in _clients(state)


def _clients(state: SharedFields) -> list[str]:
    joined = state.get("joined")
    first = [state["client"]] if isinstance(state.get("client"), str) else []
    return [*first, *(joined if first and isinstance(joined, list) else ())]


def _pid_of(client: str) -> tuple[int, str]:
    pid, _, began = str(client).partition("-")
    return (int(pid) if pid.isdigit() else 0), began


def _still_runs(client: str) -> bool:
    pid, began = _pid_of(client)
    return bool(pid) and is_running(pid) and _process(pid)[1] == began


def client_name() -> str:
    """Return a name of the program that started this one; no later program has it."""
    pid = os.getppid()
    process = _process(pid)
    while process[0] > 1 and _belongs_to(process, parent := _process(process[0])):
        pid, process = process[0], parent
    return f"{pid}-{process[1]}"


def _belongs_to(process: _Process, parent: _Process) -> bool:
    """Return whether a process is a worker of its parent: forked or of multiprocessing."""
    return process[2] == parent[2] or _MULTIPROCESSING in process[2]


def _parents_group() -> int:
    try:
        return os.getpgid(os.getppid())
    except OSError:  # it has ended
        return 0


def is_running(pid: int) -> bool:
    """Return whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # there is, of another user
    return True


def _process(pid: int) -> _Process:
    """Return what the system knows of a process; a number may be given to another one later."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
        fields = stat.rpartition(")")[2].split()
        return int(fields[1]), fields[19], command
    except (OSError, IndexError):
        pass
    with contextlib.suppress(OSError, ValueError):  # where there is no /proc
        asked = ["ps", "-o", "ppid=", "-o", "lstart=", "-o", "command=", "-p", str(pid)]
        shown = subprocess.run(asked, capture_output=True, check=False, text=True)  # noqa: S603
        parent, *words = shown.stdout.split()
        return int(parent), " ".join(words[:5]), " ".join(words[5:])
    return 0, "", ""


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
