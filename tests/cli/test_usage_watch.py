"""`agy-nb usage --watch` follows recordings, on a terminal and elsewhere, until Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.analysis.conftest import START, Wire, save
from tests.processes import started

pytestmark = [pytest.mark.slow, pytest.mark.blocking_allowed]
PATIENCE_S = 60


def turn(tokens, turns=1, start=START):
    wire = Wire(start=start).begin()
    for _ in range(turns):
        wire.prompt().usage(prompt=tokens).idle()
    return wire


def command(*arguments, **options):
    words = [sys.executable, "-m", "agy_nb.cli", "usage", "--watch", "--interval", "0.1"]
    return started([*words, *arguments], stderr=subprocess.PIPE, **options)


def interrupted(process):
    """End the command as Ctrl-C does; gives the exit code and what it complained about."""
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE_S), process.stderr.read()


def test_elsewhere_each_change_is_a_line(tmp_path):
    save(tmp_path / "a" / "c", turn(100), complete=False)
    arguments = (str(tmp_path), "--by", "session", "--no-cost")
    with command(*arguments, stdout=subprocess.PIPE, text=True) as process:
        read = process.stdout.readline
        headings = read().split("\t")
        assert headings[:3] == ["time", "session_name", "n_model_calls"]
        first = dict(zip(headings, read().split("\t"), strict=True))
        assert (first["session_name"], first["total_tokens"]) == ("a/c", "100")
        save(tmp_path / "a" / "c", turn(100, turns=2), complete=False)
        second = dict(zip(headings, read().split("\t"), strict=True))
        assert second["total_tokens"] == "200"
        save(tmp_path / "b" / "c", turn(7, start=START + 3600).end())
        rows = {read().split("\t")[1] for _ in range(2)}
        assert rows == {"b/c", "total"}  # unchanged rows are not written again
        assert interrupted(process) == (0, "")


def test_json_is_an_object_per_change(tmp_path):
    save(tmp_path / "c", turn(100).end(), labels={"user": "ada"})
    arguments = (str(tmp_path), "--by", "user", "--json", "--no-cost")
    with command(*arguments, stdout=subprocess.PIPE, text=True) as process:
        row = json.loads(process.stdout.readline())
        assert (row["user"], row["total_tokens"]) == ("ada", 100)
        assert interrupted(process) == (0, "")


def test_a_terminal_is_drawn_in_place(tmp_path):
    save(tmp_path / "c", turn(100).end())
    ours, theirs = pty.openpty()
    try:
        with command(str(tmp_path), "--no-cost", stdout=theirs, text=True) as process:
            shown = read_until(ours, b"Ctrl-C to end")
            assert b"100" in shown
            save(tmp_path / "c", turn(300).end())
            again = read_until(ours, b"300")
            assert b"\x1b[" in again  # the cursor goes back, and nothing scrolls
            assert interrupted(process) == (0, "")
    finally:
        os.close(ours)
        os.close(theirs)


def read_until(terminal, words):
    found, end = b"", time.monotonic() + PATIENCE_S
    while words not in found:
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, found
        found += os.read(terminal, 65_536)
    return found


def test_formats_that_cannot_be_watched_are_refused(tmp_path, capsys):
    from agy_nb.cli import main

    save(tmp_path / "c", turn(100).end())
    for options in (["--format", "csv"], ["--output", str(tmp_path / "out")]):
        assert main(["usage", str(tmp_path), "--watch", *options]) == 1
        assert "--watch shows a table, or writes JSON" in capsys.readouterr().err
