"""Real kernels of several ipykernel versions, driven by jupyter_client: no browser, no SDK.

The environments are made once with uv below `.venvs/` and kept; a stamp says what is in them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from tests.kernel.views import Views

ROOT = Path(__file__).parents[2]

NEST = ("nest-asyncio==1.6.0", "nest-asyncio2>=1.7.4")
RUNTIME = ("pydantic>=2.10", "packaging", "aiohttp")  # what our runtime needs beside the SDK
VIEWS = (
    "anywidget>=0.9.13",
    "markdown-it-py>=3",
    "mdit-py-plugins>=0.5",
    "linkify-it-py>=2",
    "latex2mathml>=3.78",
    "nh3>=0.2.18",
    "pygments>=2.17",
)
ENVIRONMENTS = {
    "ipykernel-6.17.1": (  # what Colab has
        "ipykernel==6.17.1",
        "ipython==7.34.0",
        "ipywidgets==7.7.1",
        *NEST,
        *RUNTIME,
        *VIEWS,
    ),
    "ipykernel-6.31.0": ("ipykernel==6.31.0", "ipywidgets>=8.1", *NEST, *RUNTIME, *VIEWS),
    "ipykernel-7.0.1": ("ipykernel==7.0.1", "ipywidgets>=8.1", *NEST, *RUNTIME, *VIEWS),
    "ipykernel-7.3.0": ("ipykernel==7.3.0", "ipywidgets>=8.1", *NEST, *RUNTIME, *VIEWS),
    "ipykernel-newest": ("ipykernel>=7.4.0", "ipywidgets>=8.1", *NEST, *RUNTIME, *VIEWS),
}

PRELUDE = """
import asyncio, sys, threading, time
import ipywidgets
from agy_nb import kernel as K

class Turn:
    "A stand-in for a turn that waits for an approval."

    def __init__(self):
        self.button = ipywidgets.Button()
        self.answer = K.main_loop().create_future()
        self.button.on_click(self._clicked)
        self.cancelled = False

    def _clicked(self, button):
        K.main_loop().call_soon_threadsafe(lambda: self.answer.done() or self.answer.set_result(1))

    async def wait(self, patience=15):
        with K.current_host().busy():
            print(f"READY {self.button.model_id}", flush=True)
            try:
                await asyncio.wait_for(asyncio.shield(self.answer), patience)
            except asyncio.CancelledError:
                self.cancelled = True
                raise
            print("CLICKED", flush=True)
            return "done"
"""


STACKS_ON_SIGNAL = """
import faulthandler as _faulthandler, signal as _signal
_faulthandler.register(_signal.SIGUSR1, open({!r}, "w"))
"""


class Driver(Views):
    """A kernel, and the messages that came from it."""

    ENV: ClassVar = {"JPY_SESSION_NAME": "views.ipynb"}  # as a Jupyter server sets it

    def __init__(self, python: Path, workdir: Path, prelude: str = "") -> None:
        self.log_file = (workdir / "kernel.log").open("ab")
        self.stacks = workdir / "stacks.txt"
        for attempt in range(3):
            try:
                self.start(python, workdir)
                break
            except BaseException as error:
                self.client.stop_channels()
                with suppress(RuntimeError):
                    self.manager.shutdown_kernel(now=True)
                # Another process may take a port between its choice and its use.
                if attempt == 2 or not isinstance(error, RuntimeError):
                    raise
        self.seen: list[tuple[str, dict]] = []
        try:
            self.do(prelude + PRELUDE + STACKS_ON_SIGNAL.format(str(self.stacks)))
        except BaseException:  # also pytest's own
            self.close()
            raise

    def start(self, python: Path, workdir: Path) -> None:
        self.manager = KernelManager()
        self.manager._kernel_spec = KernelSpec(
            argv=[str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="matrix",
            language="python",
        )
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
            "IPYTHONDIR": str(workdir / "ipython"),
            **self.ENV,
        }
        env.pop("PYTHONASYNCIODEBUG", None)
        self.manager.start_kernel(env=env, stderr=self.log_file, stdout=self.log_file)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    # --- sending ---------------------------------------------------------------------------

    def send(self, code: str, **kwargs) -> str:
        kwargs.setdefault("allow_stdin", False)
        return self.client.execute(code, **kwargs)

    def comm(self, comm_id: str, data: dict, subshell: str | None = None) -> str:
        content = {"comm_id": comm_id, "data": data}
        message = self.client.session.msg("comm_msg", content)
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def click(self, comm_id: str, subshell: str | None = None) -> str:
        data = {"method": "custom", "content": {"event": "click"}}
        return self.comm(comm_id, data, subshell)

    def set_value(self, comm_id: str, value: object) -> str:
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        return self.comm(comm_id, data)

    def queue(self, code: str) -> str:
        """Send a cell, and wait until the kernel has it in its queue behind the one that runs."""
        cell = self.send(code)
        # On the same way as the cell, and answered at once while one runs.
        self.wait("shell", "kernel_info_reply", self.client.kernel_info())
        return cell

    def do_input(self, text: str) -> None:
        self.client.input(text)

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def new_subshell(self) -> str | None:
        message = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(message)
        reply = self.wait("control", "create_subshell_reply", message["header"]["msg_id"])
        return reply["content"].get("subshell_id")

    # --- hearing ---------------------------------------------------------------------------

    def wait(self, channel: str, msg_type: str, parent: str, *, patience: float = 20, **content):
        """Wait for a message; `content` names values that it must have (a str: part of it)."""

        def fits(name: str, message: dict) -> bool:
            return (
                name == channel
                and message["header"]["msg_type"] == msg_type
                and message["parent_header"].get("msg_id") == parent
                and all(value in message["content"].get(key, "") for key, value in content.items())
            )

        deadline = time.monotonic() + patience
        checked = 0
        while True:
            while checked < len(self.seen):
                if fits(*self.seen[checked]):
                    return self.seen[checked][1]
                checked += 1
            left = deadline - time.monotonic()
            if left <= 0 or not self.receive(left):
                heard = [
                    (name, m["header"]["msg_type"], m["content"].get("execution_state"))
                    for name, m in self.seen
                    if m["parent_header"].get("msg_id") == parent
                ]
                pytest.fail(
                    f"no {msg_type} {content} within {patience} s; heard {heard}\n"
                    f"{self.where_it_is()}"
                )

    def where_it_is(self) -> str:
        """Say what the kernel's threads do, for the report of a kernel that does not answer."""
        provisioner = self.manager.provisioner
        pid = getattr(provisioner, "pid", None)
        if pid is None or getattr(provisioner, "process", None) is None:
            return "the kernel was not started"
        if (code := provisioner.process.poll()) is not None:
            return f"the kernel has ended with code {code}"
        if not self.stacks.exists():
            return "the kernel still starts"
        os.kill(pid, signal.SIGUSR1)
        deadline = time.monotonic() + 2
        while not self.stacks.stat().st_size and time.monotonic() < deadline:
            self.receive(0.05)
        return self.stacks.read_text(encoding="utf-8")

    def receive(self, patience: float) -> bool:
        """Take in what has come, waiting for at least one message; false if none came."""
        channels = {
            name: getattr(self.client, f"{name}_channel")
            for name in ("shell", "iopub", "control", "stdin")
        }
        poller = zmq.Poller()
        for channel in channels.values():
            poller.register(channel.socket, zmq.POLLIN)
        ready = dict(poller.poll(patience * 1000))
        for name, channel in channels.items():
            while channel.socket in ready and channel.socket.poll(0):
                self.seen.append((name, channel.get_msg(timeout=1)))
        return bool(ready)

    def ready(self, cell: str) -> str:
        """Wait until a turn in the cell waits for a click; return the button's comm."""
        self.says(cell, "READY ")
        return self.text(cell).split("READY ")[1].split()[0]

    def says(self, cell: str, text: str, *, patience: float = 20) -> None:
        """Wait until the cell's output has a text."""
        deadline = time.monotonic() + patience
        while text not in self.text(cell):
            left = deadline - time.monotonic()
            if left <= 0 or not self.receive(left):
                pytest.fail(f"cell never said {text!r}, but {self.text(cell)!r}")

    def text(self, cell: str) -> str:
        return "".join(
            m["content"]["text"]
            for _, m in self.seen
            if m["header"]["msg_type"] == "stream" and m["parent_header"].get("msg_id") == cell
        )

    def reply(self, cell: str, *, patience: float = 20) -> dict:
        """Wait for the end of a cell; return its reply's content."""
        content = self.wait("shell", "execute_reply", cell, patience=patience)["content"]
        self.wait("iopub", "status", cell, execution_state="idle")
        return content

    def do(self, code: str) -> str:
        """Run a cell that must succeed; return what it printed."""
        for _ in range(20):
            cell = self.send(code)
            content = self.reply(cell)
            # A kernel aborts what comes shortly after an error.
            if content["status"] != "aborted":
                break
        if content["status"] != "ok":
            pytest.fail("\n".join(content.get("traceback", [str(content)])))
        return self.text(cell)

    def order(self, *cells: str) -> list[str]:
        """The cells in the order of their replies."""
        replies = [
            m["parent_header"]["msg_id"]
            for _, m in self.seen
            if m["header"]["msg_type"] == "execute_reply"
        ]
        return sorted(cells, key=replies.index)

    def close(self) -> None:
        self.client.stop_channels()
        with suppress(RuntimeError):
            self.manager.shutdown_kernel(now=True)
        self.log_file.close()


def subshell_of(kernel: Driver, env: str) -> str | None:
    """Make a subshell; skip the test where the kernel has none."""
    if "6." in env:
        pytest.skip("no subshells before ipykernel 7")
    return kernel.new_subshell()


def in_subshell(kernel: Driver, code: str, subshell: str | None) -> str:
    """Send a cell to a subshell."""
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    message = kernel.client.session.msg("execute_request", content)
    message["header"]["subshell_id"] = subshell
    kernel.client.shell_channel.send(message)
    return message["header"]["msg_id"]


def environment(name: str) -> Path:
    """Make the environment unless its stamp says that it is there; return its Python."""
    (ROOT / ".venvs").mkdir(exist_ok=True)
    with (ROOT / ".venvs" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of pytest-xdist want it at the same time
        return make_environment(name)


def make_environment(name: str) -> Path:
    requirements = ENVIRONMENTS[name]
    wanted = hashlib.sha256(json.dumps([requirements, sys.version]).encode()).hexdigest()
    folder = ROOT / ".venvs" / name
    stamp = folder / "agy_nb.stamp"
    python = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        commands = (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *requirements],
        )
        for command in commands:
            subprocess.run(command, check=True, timeout=300)
        stamp.write_text(wanted, encoding="utf-8")
    return python


@pytest.fixture(scope="session")
def pythons():
    """Interpreters of the environments, each made when it is first asked for."""
    made: dict[str, Path] = {}

    def python(name: str) -> Path:
        if name not in made:
            made[name] = environment(name)
        return made[name]

    return python


# The oldest and the newest are tried in every run, and `make soak` tries them all.
TRIED = (
    list(ENVIRONMENTS) if os.environ.get("AGY_SOAK") else ["ipykernel-6.17.1", "ipykernel-newest"]
)

also_on_the_first_7 = pytest.mark.parametrize(
    "env", [*dict.fromkeys([*TRIED, "ipykernel-7.0.1"])], indirect=True, scope="session"
)
"""Ipykernel 7.0 to 7.3 loses requests without `agy_nb.kernel.compat_ipykernel7`."""


@pytest.fixture(scope="session", params=TRIED)
def env(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def shared_kernel(env, pythons, tmp_path_factory):
    driver = Driver(pythons(env), tmp_path_factory.mktemp(env))
    yield driver
    driver.close()


@pytest.fixture
def kernel(shared_kernel):
    """The environment's kernel; fails the test that leaves it unusable."""
    shared_kernel.seen.clear()
    yield shared_kernel
    left = shared_kernel.do(
        "host = K.current_host()\nprint(host._busy, host._blocking, host._cells._stack[1:])"
    )
    assert left.strip() == "0 0 []"


@pytest.fixture
def fresh_kernel(env, pythons, tmp_path):
    """Start kernels of one's own: `fresh_kernel(prelude)`."""
    drivers = []

    def start(prelude: str = "") -> Driver:
        drivers.append(Driver(pythons(env), tmp_path, prelude))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.close()
