"""Hundreds of hostile cassettes: each command gives words and an exit code, and soon.

Each cassette meets a third of the commands and readers, in turn. `AGY_SOAK=1` tries them all.
"""

import asyncio
import contextlib
import os
import resource
import sys
import time
import traceback

import pytest

import agy_nb as agy
from agy_nb import cli
from agy_nb.cassette import use_cassette
from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.format import EPISODES, MODEL, TOOLS, WIRE
from agy_nb.cassette.storage.migration import migrate
from agy_nb.errors import AgyError
from tests.cassette.hostile import HEADER, hostile

CASSETTES = list(hostile())
PARTS = 12
THIRDS = 1 if os.environ.get("AGY_SOAK") else 3
LONGEST_S = 20.0
MOST_MEMORY = 600 * 2**20


def commands(folder):
    sound = folder.parent / "sound"
    yield "list", folder
    yield "show", folder
    yield "show", "--json", folder
    yield "verify", folder
    yield "diff", sound, folder
    yield "redact", folder
    yield "migrate", folder


def replay(folder):
    """Play it with an agent of the bare SDK's shape: only the frames are looked at."""

    async def run():
        async with use_cassette(folder, "none", allow_unplayed=True):
            pass

    asyncio.run(run())


def misbehaved(folder, capsys, turn):
    """What goes wrong with a cassette, one line each."""
    for command in list(commands(folder))[turn % THIRDS :: THIRDS]:
        began = time.thread_time()
        try:
            code = cli.main(["cassette", *map(str, command)])
        except Exception:
            yield f"{command[0]} raises {traceback.format_exc(limit=-3)}"
            continue
        finally:
            out, err = capsys.readouterr()
        if code not in (0, 1) or (not out + err and command[0] != "diff"):
            yield f"{command[0]} gives {code} and says {out + err!r}"
        if "Traceback" in out + err:
            yield f"{command[0]} prints a traceback"
        if time.thread_time() - began > LONGEST_S:
            yield f"{command[0]} takes {time.thread_time() - began:.1f} s"
    readers = (
        lambda: agy.load(str(folder)).problems,
        lambda: catalog.entry(folder),
        lambda: replay(folder),
    )
    for read in readers[turn % THIRDS :: THIRDS]:
        try:
            read()
        except AgyError:
            pass
        except Exception:
            yield f"reading raises {traceback.format_exc(limit=-3)}"


def test_there_are_enough_of_them():
    assert len({name for name, _ in CASSETTES}) == len(CASSETTES) >= 264


@pytest.mark.slow
@pytest.mark.usefixtures("one_parser")
@pytest.mark.timeout(240)
@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are those of POSIX")
@pytest.mark.parametrize("part", range(PARTS))
def test_no_hostile_cassette_gives_a_traceback_or_a_hang(part, tmp_path, capsys, cassette, hello):
    cassette(hello, name="sound")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wrong = []
    for number, (name, write) in enumerate(CASSETTES[part::PARTS]):
        folder = tmp_path / f"{number}"
        write(folder)
        wrong += [f"{name}: {what}" for what in misbehaved(folder, capsys, number)]
        for file in folder.iterdir():
            if file.is_file() and not file.is_symlink():
                file.unlink()  # the large ones would fill the disk
    assert wrong == []
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY
    assert not (tmp_path / "gotcha").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are those of POSIX")
@pytest.mark.parametrize("name", [WIRE, MODEL, EPISODES, TOOLS])
def test_migration_follows_no_link_and_waits_for_no_pipe(name, tmp_path, raw_cassette):
    private = tmp_path / "private"
    private.write_text("private words\n")
    for make in (lambda path: path.symlink_to(private), os.mkfifo):
        folder = raw_cassette(HEADER, name=f"{name}-{make.__name__}")
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        with contextlib.suppress(CassetteError):
            migrate(folder)
        for file in folder.iterdir():
            assert file.is_symlink() or not file.is_file() or b"private" not in file.read_bytes()
