"""What is done to an agent's harness, its socket and its folders."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from agy_nb.testing import ProxiedConnection

DELAY_S = 1.0
FLOOD_FRAMES = 5_000
NO_MORE_BYTES = 4 << 20

# -- the process -----------------------------------------------------------------------------


def kill(line: ProxiedConnection, _folder: Path) -> None:
    os.kill(line.process.pid, signal.SIGKILL)


def stop(line: ProxiedConnection, _folder: Path) -> None:
    os.kill(line.process.pid, signal.SIGSTOP)


def slow(line: ProxiedConnection, _folder: Path) -> Callable[[], None]:
    """Let it run for a tenth of the time."""
    enough = threading.Event()

    def brake() -> None:
        while not enough.wait(0.005):
            try:
                os.kill(line.process.pid, signal.SIGSTOP)
                enough.wait(0.045)
                os.kill(line.process.pid, signal.SIGCONT)
            except ProcessLookupError:
                return

    thread = threading.Thread(target=brake, name="brake")
    thread.start()

    def undo() -> None:
        enough.set()
        thread.join()

    return undo


# -- the socket ------------------------------------------------------------------------------


def cut(line: ProxiedConnection, _folder: Path) -> None:
    line.cut()


def delay(line: ProxiedConnection, _folder: Path) -> None:
    line.hold()
    asyncio.get_running_loop().call_later(DELAY_S, line.release)


def silence(line: ProxiedConnection, _folder: Path) -> None:
    line.hold()


def corrupt_bytes(line: ProxiedConnection, _folder: Path) -> None:
    line.corrupt(lambda payload: bytes(byte ^ 0xFF for byte in payload))


def corrupt_json(line: ProxiedConnection, _folder: Path) -> None:
    line.corrupt(lambda payload: b"{" + payload)


def corrupt_meaning(line: ProxiedConnection, _folder: Path) -> None:
    line.corrupt(lambda _payload: b'{"nobody": "knows this"}')


async def flood(line: ProxiedConnection, _folder: Path) -> None:
    await line.flood(b"{}" for _ in range(FLOOD_FRAMES))


# -- what the machine has --------------------------------------------------------------------


def fill_disk(line: ProxiedConnection, _folder: Path) -> None:
    """The harness can write no more to any file; a full disk says so in other words."""
    resource.prlimit(line.process.pid, resource.RLIMIT_FSIZE, (0, 0))


def take_handles(line: ProxiedConnection, _folder: Path) -> None:
    number = len(list(Path(f"/proc/{line.process.pid}/fd").iterdir()))
    resource.prlimit(line.process.pid, resource.RLIMIT_NOFILE, (number, number))


def take_memory(line: ProxiedConnection, _folder: Path) -> None:
    pages = int(Path(f"/proc/{line.process.pid}/statm").read_text(encoding="utf-8").split()[0])
    most = pages * resource.getpagesize() + NO_MORE_BYTES
    resource.prlimit(line.process.pid, resource.RLIMIT_AS, (most, most))


def take_own_handles(_line: ProxiedConnection | None, _folder: Path) -> Callable[[], None]:
    """This process, the kernel in a notebook, can open nothing any more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    taken = []
    with contextlib.suppress(OSError):  # those between the open ones are free
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))

    def give_back() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for handle in taken:
            os.close(handle)

    return give_back


def block_folder(_line: ProxiedConnection | None, folder: Path) -> Callable[[], None]:
    """A file stands where the agent saves: nobody can write there, root neither."""
    save = folder / "save"
    shutil.rmtree(save, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    save.write_text("a file", encoding="utf-8")
    return save.unlink
