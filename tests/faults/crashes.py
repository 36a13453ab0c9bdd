"""Recordings on a disk that fails: kill the process, or fill the disk, at each write in turn.

`python -m tests.faults.crashes NAME STRIDE FOLDER` prints one line of JSON per fault and write.
Each write fails in a child of its own, which is forked after the imports.
"""

import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agy_nb.cassette.cassette_options import CassetteOptions
from agy_nb.cassette.cassette_session import CassetteSession
from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.record.frame_buffer import FrameBuffer
from agy_nb.cassette.redaction.leaks import redact
from agy_nb.cassette.storage import atomic_replace, catalog
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import HEADER, OWNER_MARK, VERSION, read_header
from agy_nb.cassette.storage.migration import migrate
from agy_nb.cassette.storage.model_log import ModelLog, read_model
from agy_nb.cassette.storage.ownership import RecordingLock, recover_unless_busy, unfinished_of
from tests.cassette.storage.recordings import EXCHANGE
from tests.faults.failing_disk import FULL, KILLED, FailingDisk

NONE, OLD, NEW = "no cassette", "the old one", "the new one"
KEY = "AIza" + "Sy7" * 12


@dataclass(frozen=True)
class Crash:
    """Something that writes a cassette.

    Attributes:
        name: For the table.
        write: Writes it.
        prompts: The prompts of the new cassette.
        has_old: Whether there is a cassette before.
        killed: What may be there after the process was killed.
        full: What may be there after the disk was full.
    """

    name: str
    write: Callable[[Path], object]
    prompts: tuple[str, ...]
    has_old: bool = True
    killed: tuple[str, ...] = (OLD, NEW)
    full: tuple[str, ...] = (OLD, NEW)


def _record(path: Path, mode: str, prompt: str = "new") -> None:
    session = CassetteSession(CassetteOptions(path=path, record_mode=mode, record_model=False))
    with session.intercepting():
        session.prepare()
        session._files.open_writer()
        log = ModelLog(session._files.writer.folder)
        try:
            recorder = session._files.recorder
            number = recorder.begin()
            recorder.put(number, "client", {"config": {}})
            recorder.put(number, "client", {"userInput": {"parts": [{"text": prompt}]}})
            recorder.put(number, "harness", {"stepUpdate": {"text": "x" * 5000}})
            recorder.put(number, "end", {"by": "client"})
            log.put(lambda: EXCHANGE)
            with contextlib.suppress(OSError):
                log.finish()
        finally:
            log.close()
    session.release()
    session.finish(None)


def _without_exchange(path: Path) -> None:
    atomic_replace._exchange = lambda one, other: False
    _record(path, "all")


def _save(path: Path) -> None:
    buffer = FrameBuffer()
    for frame in ({"config": {}}, {"userInput": {"parts": [{"text": "new"}]}}):
        buffer.put(0, "client", 0.0, frame)
    buffer.so_far().write(path)


CRASHES = (
    Crash(
        "first recording", lambda path: _record(path, "once"), ("new",),
        has_old=False, killed=(NONE, NEW), full=(NONE, NEW),
    ),
    Crash('`record_mode="all"`', lambda path: _record(path, "all"), ("new",)),
    Crash("the same, without an atomic exchange of folders", _without_exchange, ("new",)),
    Crash(
        '`record_mode="new_episodes"`', lambda path: _record(path, "new_episodes"),
        ("old {{agy:secret}}", "new"),
    ),
    Crash("`agent.save_cassette`", _save, ("new",)),
    Crash("`agy-nb cassette redact`", lambda path: redact(path, ()), ("old {{agy:secret}}",)),
    Crash("`agy-nb cassette migrate`", migrate, ("old {{agy:secret}}",)),
)  # fmt: skip


def _prepare(crash: Crash, path: Path) -> None:
    """Write the old cassette, with a file of the user in it."""
    if not crash.has_old:
        return
    _record(path, "all", f"old {KEY}")
    (path / "README.md").write_text(f"mine, with {KEY}" if crash.write is not migrate else "mine")
    if crash.write is migrate:
        header = json.loads((path / HEADER).read_text()) | {"version": 1}
        (path / HEADER).write_text(json.dumps(header))


def _files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != OWNER_MARK}


def _prompts(path: Path) -> tuple[str, ...]:
    return tuple(
        line.frame["userInput"]["parts"][0]["text"]
        for session in load(path).sessions
        for line in session.lines
        if "userInput" in line.frame
    )


def _now(crash: Crash, path: Path, old: dict[str, bytes]) -> str:
    """Return which cassette is there; an exception if it is neither whole nor absent."""
    if not path.exists():
        return NONE
    if _files(path) == old:
        return OLD
    read_model(path)
    assert not load(path).partial, "the cassette is partial"
    assert _prompts(path) == crash.prompts, _prompts(path)
    assert read_header(path).version == VERSION
    assert not old or (path / "README.md").exists(), "a file of the user is gone"
    return NEW


def _after(crash: Crash, path: Path, old: dict[str, bytes]) -> str:
    """Check what is on disk, and that the next recording works."""
    recover_unless_busy(path)  # as a recording does first
    now = _now(crash, path, old)
    left = unfinished_of(path)
    for folder in left:
        if (folder / HEADER).exists():
            load(folder)
    partial = [folder for folder in left if (folder / OWNER_MARK).exists()]
    known = {path, *left, *catalog.leftovers(path.parent)}
    for other in set(path.parent.iterdir()) - known:
        # Killed between the creation of a folder and its mark, or after a marked one was emptied.
        assert not _files(other).keys() - {f".{OWNER_MARK}"}, f"{other} is unknown"
    _record(path, "all", "again")
    assert _prompts(path) == ("again",)
    assert unfinished_of(path) == partial, "a partial recording is gone, or a replaced one stays"
    for each in catalog.leftovers(path.parent):
        catalog.remove(each)
    return now


def _child(crash: Crash, path: Path, disk: FailingDisk, report: int) -> None:
    """Write on the failing disk, and tell how it went; ends the process."""
    said = ""
    try:
        disk.install()
        crash.write(path)
    except CassetteError as error:
        said = str(error)
    except BaseException:
        said = f"TRACEBACK {traceback.format_exc()}"
    finally:
        os.write(report, json.dumps([disk.count, said]).encode())
        os._exit(0)


def _try(crash: Crash, folder: Path, fault: str, at: int) -> tuple[int, dict[str, object]]:
    """Let one write fail; returns how many writes there were, and what came of it."""
    path = folder / "c"
    old = _files(path) if path.exists() else {}
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(here)
        _child(crash, path, FailingDisk(folder, fault, at), there)
    os.close(there)
    with os.fdopen(here, "rb") as file:
        report = file.read()
    os.waitpid(pid, 0)
    count, said = json.loads(report) if report else (at, "")
    held = RecordingLock.is_held(path)
    left = [str(each) for each in unfinished_of(path)]
    now = _after(crash, path, old)
    told = not left or not said or all(each in said for each in left)
    return count, {"at": at, "now": now, "said": said, "told": told, "held": held}


def main(name: str, stride: int, folder: Path) -> None:
    """Let each write fail in each way, or every one of a stride."""
    (crash,) = (each for each in CRASHES if each.name == name)
    base = folder / "base"
    base.mkdir()
    _prepare(crash, base / "c")
    for fault in (KILLED, FULL):
        at, last = 0, 0
        while at <= last:
            here = folder / f"run{at}"
            shutil.copytree(base, here, symlinks=True)
            count, found = _try(crash, here, fault, at)
            if at == 0:
                last = count
            else:
                sys.stdout.write(json.dumps({"fault": fault, **found}) + "\n")
            shutil.rmtree(here)
            at = at + stride if at else 1
        sys.stdout.write(json.dumps({"fault": fault, "writes": last}) + "\n")


def table() -> str:
    """Return the rows for the page."""
    head = "| operation | killed at any write | disk full from any write on |"
    rows = [
        f"| {crash.name} | {', or '.join(crash.killed)} | {', or '.join(crash.full)} |"
        for crash in CRASHES
    ]
    return "\n".join([head, "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
