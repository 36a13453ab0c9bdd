"""The package imports where POSIX ends, and the page of platforms lists what was run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agy_nb import cli

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
SHIM = "agy_nb.cassette.shim."
"""The package of `agy-nb harness`, which says on Windows that it does not run there."""
USED_ELSEWHERE = {f"{SHIM}{name}" for name in ("cli", "client_socket", "errors", "handshake")}
"""Its modules that other packages import, too."""

# Third-party packages are imported first, as on this system. Then agy_nb is imported again, without
# the names that Windows does not have.
IMPORT_AS_ON_WINDOWS = """
import importlib, os, pkgutil, signal, socket, sys
import agy_nb

def modules():
    yield from (each.name for each in pkgutil.walk_packages(agy_nb.__path__, "agy_nb."))

for name in [name for name in modules() if not name.endswith("__main__")]:
    importlib.import_module(name)
for name in [name for name in sys.modules if name.split(".")[0] == "agy_nb"]:
    del sys.modules[name]
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "posix"):
    sys.modules[name] = None
for name in ("fork", "killpg", "getuid", "geteuid", "getpgid", "getpgrp", "setsid", "uname",
             "mkfifo", "register_at_fork", "chown", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGCHLD", "setitimer", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)
del socket.AF_UNIX
sys.platform = "win32"
import agy_nb
for name in [name for name in modules() if not name.endswith("__main__")]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(name, type(error).__name__, error)
"""


@pytest.mark.slow
def test_every_module_imports_without_the_calls_of_posix():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_AS_ON_WINDOWS],
        capture_output=True,
        text=True,
        timeout=55,
        check=True,
    )
    failed = {line.split()[0] for line in done.stdout.splitlines()}
    assert f"{SHIM}shared_state" in failed  # which imports fcntl: the test sees it
    assert [name for name in failed if not name.startswith(SHIM)] == [], done.stdout
    assert not failed & USED_ELSEWHERE, done.stdout


def test_recording_of_other_programs_says_where_it_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    assert cli.main(["harness", "--replay", str(tmp_path)]) == 1
    assert "on Windows, run it in WSL" in capsys.readouterr().err


def test_table_has_a_row_for_each_combination():
    spec = importlib.util.spec_from_file_location("matrix", ROOT / "scripts" / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        matrix = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(matrix)
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in PAGE.splitlines()
        if row[:3] == "| 3"
    ]
    assert [tuple(row[:4]) for row in rows] == list(matrix.COMBINATIONS)
    for row in rows:
        assert row[8] == matrix.NOT_RUN or row[6] == "0", row


def test_every_python_that_ci_runs_is_in_the_table():
    [job] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    for python in job["strategy"]["matrix"]["python"]:
        assert f"| {python} |" in PAGE
