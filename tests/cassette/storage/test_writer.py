"""A recording is whole, or what was there before is; nothing else is ever on disk."""

import errno
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agy_nb.cassette.errors import CassetteBusyError, CassetteNotWrittenError
from agy_nb.cassette.inspect.verify import problems, remarks
from agy_nb.cassette.redaction.leaks import redact
from agy_nb.cassette.storage import writer as journals
from agy_nb.cassette.storage.atomic_replace import swap_in
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import HEADER, WIRE, Header, read_header
from agy_nb.cassette.storage.ownership import unfinished_of
from agy_nb.cassette.storage.safe_files import files_of, name_within
from agy_nb.cassette.storage.writer import CassetteWriter
from agy_nb.cli import main
from tests.cassette.storage.recordings import prompts_of, record


def test_finished_recording_is_complete(tmp_path):
    record(tmp_path / "c", "one", "two").finish()
    assert prompts_of(tmp_path / "c") == ["one", "two"]
    header = read_header(tmp_path / "c")
    assert (header.complete, header.frames, header.sessions[0].turns) == (True, 2, 2)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["c"]


def test_new_recording_replaces_the_old_one(tmp_path):
    record(tmp_path / "c", "old").finish()
    record(tmp_path / "c", "new").finish()
    assert prompts_of(tmp_path / "c") == ["new"]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["c"]


def test_files_that_no_recorder_wrote_are_carried_over(tmp_path):
    record(tmp_path / "c", "old").finish()
    (tmp_path / "c" / "README.md").write_text("how it was made")
    (tmp_path / "c" / "notes").mkdir()
    (tmp_path / "c" / "notes" / "one.txt").write_text("one")
    (tmp_path / "c" / "notes" / "link").symlink_to("one.txt")
    (tmp_path / "c" / ".DS_Store").write_text("litter")
    record(tmp_path / "c", "new").finish()
    assert prompts_of(tmp_path / "c") == ["new"]
    assert (tmp_path / "c" / "README.md").read_text() == "how it was made"
    assert (tmp_path / "c" / "notes" / "link").readlink() == Path("one.txt")
    assert sorted(item.name for item in (tmp_path / "c").iterdir()) == [
        "README.md", HEADER, "notes", WIRE,
    ]  # fmt: skip


@pytest.fixture
def with_special_files(tmp_path, monkeypatch):
    """A cassette with a link that leads nowhere, a pipe and a socket."""
    record(tmp_path / "c", "old").finish()
    (tmp_path / "c" / "notes").mkdir()
    (tmp_path / "c" / "notes" / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "c" / "pipe")
    monkeypatch.chdir(tmp_path / "c")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        server.listen()
        yield tmp_path / "c"


on_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="pipes and sockets are those of POSIX"
)


@on_posix
def test_links_pipes_and_sockets_are_carried_over(with_special_files):
    path = with_special_files
    record(path, "new").finish()
    assert prompts_of(path) == ["new"]
    assert (path / "notes" / "gone").readlink() == Path("nowhere")
    assert (path / "pipe").is_fifo()
    os.chdir(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("socket")  # the server still listens at its path


@on_posix
def test_special_file_that_cannot_be_carried_over_is_named(with_special_files, monkeypatch, caplog):
    def no_links(*_args, **_named):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    record(with_special_files, "new").finish()
    assert prompts_of(with_special_files) == ["new"]
    assert f"{with_special_files / 'pipe'} is a pipe, a socket or a device" in caplog.text


@on_posix
@pytest.mark.blocking_allowed  # `shutil.copytree` compares `os.stat` with the original
def test_special_files_are_no_faults(with_special_files, tmp_path, capsys):
    path = with_special_files
    monitored = ["notes/gone", "pipe", "socket"]
    assert not [each for each in problems(path) if each.kind != "version"]
    assert f"not a regular file: {', '.join(monitored)}" in " ".join(remarks(path))
    (path / "key.txt").write_text("ghp_" + "a1B2c3D4" * 5)
    redact(path, ())
    assert (path / "key.txt").read_text() == "{{agy:secret}}"
    assert (path / "notes" / "gone").is_symlink()
    assert main(["cassette", "export", str(path), str(tmp_path / "copy")]) == 0
    assert sorted(name_within(tmp_path / "copy", f) for f in files_of(tmp_path / "copy")) == [
        HEADER, "key.txt", *monitored, WIRE,
    ]  # fmt: skip


def test_replacing_works_where_folders_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "agy_nb.cassette.storage.atomic_replace._exchange", lambda one, other: False
    )
    record(tmp_path / "c", "old").finish()
    record(tmp_path / "c", "new").finish()
    assert prompts_of(tmp_path / "c") == ["new"]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["c"]


def test_swap_that_is_refused_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "agy_nb.cassette.storage.atomic_replace._exchange", lambda one, other: False
    )
    record(tmp_path / "c", "old").finish()
    with pytest.raises(OSError, match="missing"):
        swap_in(tmp_path / "missing", tmp_path / "c", tmp_path / "aside")
    assert prompts_of(tmp_path / "c") == ["old"]


def test_abandoned_recording_leaves_nothing(tmp_path):
    record(tmp_path / "c", "one").abandon()
    assert list(tmp_path.iterdir()) == []


def test_killed_recorder_leaves_every_whole_line_and_the_old_cassette(tmp_path):
    record(tmp_path / "c", "old").finish()
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from agy_nb.cassette.storage.format import Header, WIRE\n"
        "from agy_nb.cassette.storage.writer import CassetteWriter\n"
        "path = Path(sys.argv[1])\n"
        "journal = CassetteWriter(path, Header())\n"
        "for n in range(100):\n"
        "    frame = {'userInput': {'parts': [{'text': str(n)}]}}\n"
        "    journal.put(0, 'client', 0.0, frame)\n"
        "while (journal.folder / WIRE).read_bytes().count(b'\\n') < 100: pass\n"
        "os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], check=False)
    assert done.returncode == 9
    assert prompts_of(tmp_path / "c") == ["old"]
    (folder,) = unfinished_of(tmp_path / "c")
    partial = load(folder)
    assert partial.partial
    assert len(partial.sessions[0].lines) == 100
    record(tmp_path / "c", "new").finish()  # the lock of the dead one holds nobody up
    assert prompts_of(tmp_path / "c") == ["new"]


def test_second_recorder_of_a_name_is_told_at_once(tmp_path):
    first = record(tmp_path / "c", "first")
    with pytest.raises(CassetteBusyError, match="another recording writes to"):
        CassetteWriter(tmp_path / "c", Header())
    first.finish()
    assert prompts_of(tmp_path / "c") == ["first"]


def _race(path, barrier, results):
    barrier.wait()
    try:
        journal = record(path, str(os.getpid()))
        time.sleep(0.2)  # hold the name while the others try
        journal.finish()
    except CassetteBusyError:
        results.put("busy")
    else:
        results.put("recorded")


@pytest.mark.slow
def test_processes_that_race_for_a_name_leave_one_whole_cassette(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    racers = [
        context.Process(target=_race, args=(tmp_path / "c", barrier, results)) for _ in range(4)
    ]
    for racer in racers:
        racer.start()
    try:
        for racer in racers:
            racer.join(50)
    finally:
        for racer in racers:
            racer.kill()
            racer.join()
    assert sorted(results.get() for _ in racers).count("recorded") == 1
    assert not load(tmp_path / "c").partial


class FullDisk:
    """A file on a disk that is full after some bytes."""

    def __init__(self, room):
        self.room = room

    def write(self, data):
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)

    def fileno(self):
        return 0

    def close(self):
        pass


@pytest.mark.parametrize("room", [0, 10, 150])
def test_full_disk_keeps_the_old_cassette_and_says_so(tmp_path, monkeypatch, room):
    record(tmp_path / "c", "old").finish()
    monkeypatch.setattr(CassetteWriter, "_open", lambda self: FullDisk(room))
    monkeypatch.setattr(journals.os, "fsync", lambda fd: None)
    journal = record(tmp_path / "c", "new", "newer")
    with pytest.raises(CassetteNotWrittenError, match="No space left"):
        journal.finish()
    assert prompts_of(tmp_path / "c") == ["old"]


def test_folder_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CassetteNotWrittenError, match="could not be recorded"):
        CassetteWriter(tmp_path / "file" / "c", Header())


def test_rule_that_raises_writes_nothing_unredacted(tmp_path):
    def rule(line):
        raise KeyError("oops")

    journal = CassetteWriter(tmp_path / "c", Header(), redact=rule)
    journal.put(0, "client", 0.0, {"secret": "s3cret"})
    with pytest.raises(CassetteNotWrittenError, match="oops") as caught:
        journal.finish()
    (folder,) = unfinished_of(tmp_path / "c")
    assert f"The partial recording is at {folder}" in str(caught.value)
    assert (folder / WIRE).read_bytes() == b""


def test_header_says_partial_while_recording(tmp_path):
    journal = record(tmp_path / "c", "one")
    assert b'"complete": false' in (journal.folder / HEADER).read_bytes()
    journal.abandon()


def test_put_never_waits_for_the_disk(tmp_path):
    slow = threading.Event()
    journal = CassetteWriter(tmp_path / "c", Header(), redact=lambda line: (slow.wait(), line)[1])
    costs = []
    for _ in range(10):
        start = time.thread_time()
        for _ in range(100):
            journal.put(0, "client", 0.0, '{"userInput": {}}')
        costs.append((time.thread_time() - start) / 100)
    assert min(costs) < 20e-6
    slow.set()
    assert journal.finish().frames == 1000


def test_times_are_since_the_sessions_line_before(tmp_path):
    journal = CassetteWriter(tmp_path / "c", Header())
    for session, at in [(0, 5.0), (1, 6.0), (0, 7.5), (1, 6.25)]:
        journal.put(session, "client", at, {})
    journal.finish()
    first, second = load(tmp_path / "c").sessions
    assert [line.dt for line in first.lines] == [0.0, 2.5]
    assert [line.dt for line in second.lines] == [0.0, 0.25]
