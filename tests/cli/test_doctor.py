"""`agy-nb doctor` against the real SDK and harness, whole and broken."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import pty
import subprocess
import sys
import time

import pytest

from agy_nb import doctor, headless
from agy_nb.cli import main
from agy_nb.errors import UnsupportedSdkError
from agy_nb.sdk import versions
from tests.processes import started

COMMAND = [sys.executable, "-m", "agy_nb.cli", "doctor"]
KEY = "AIza-made-up-for-this-test"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.blocking_allowed,  # the SDK makes its save_dir on the loop
]


async def collected() -> dict[str, doctor.Check]:
    return {check.name: check async for check in doctor.examine()}


@pytest.fixture(scope="module")
def sound() -> list[doctor.Check]:
    """What the doctor finds here, with a real kernel and a real agent."""
    return list(asyncio.run(collected()).values())


@pytest.fixture
def examined(sound, monkeypatch):
    """The command finds the same, without a second kernel and agent."""

    async def examine():
        for check in sound:
            yield check

    monkeypatch.setattr(doctor, "examine", examine)


def test_plain_lines_in_a_pipe(examined, capsys):
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert "ok    clicks, await  works" in lines
    assert lines[-1].startswith("ok    agent          the echo model answered in ")
    assert "\x1b" not in out


def test_json_has_what_programs_need(examined, capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["python"]["data"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert checks["sdk"]["data"]["version"] == versions.sdk_version()
    assert checks["harness"]["data"]["path"].endswith("localharness")
    assert 0 < checks["harness"]["data"]["start_s"] < 15
    assert checks["key"]["data"] == {"present": False}
    assert checks["kernel"]["data"]["clicks_during_sync"]["works"] is True


def test_table_in_a_terminal():
    controller, terminal = pty.openpty()
    with started(COMMAND, stdout=terminal, stderr=subprocess.DEVNULL) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(controller, 4096)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not piece:
                break
            shown += piece
        process.wait(20)
    os.close(controller)
    assert process.returncode == 0
    assert b"\x1b[32mok" in shown
    assert b"the echo model answered" in shown


@pytest.fixture
def no_probe(monkeypatch):
    async def line(code):
        raise headless.NoKernelError("ipykernel is not installed")

    monkeypatch.setattr(headless, "execute_line", line)


@pytest.mark.parametrize(
    ("binary", "said"),
    [
        ("missing", "No such file"),
        ("/bin/false", ""),
        ("text", "Permission denied"),
        ("script", "Exec format error"),
        ("/bin/cat", ""),
    ],
)
async def test_broken_harness_fails_within_seconds(binary, said, no_probe, tmp_path, monkeypatch):
    if not binary.startswith("/"):
        path = tmp_path / binary
        if binary != "missing":
            path.write_text("no program at all\n")
            path.chmod(0o755 if binary == "script" else 0o644)
        binary = str(path)
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", binary)
    began = time.monotonic()
    checks = await collected()
    assert time.monotonic() - began < 15
    assert checks["harness"].status == checks["agent"].status == "fail"
    detail = checks["harness"].detail
    assert detail.startswith(f"{binary} (ANTIGRAVITY_HARNESS_PATH) does not start: ")
    assert said in detail
    assert detail.endswith("unset ANTIGRAVITY_HARNESS_PATH, or set it to the real harness")
    assert "\n" not in detail


async def test_harness_that_hangs_fails_within_its_limit(no_probe, tmp_path, monkeypatch):
    hangs = tmp_path / "hangs"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", str(hangs))
    monkeypatch.setattr(doctor, "LIMITS", dataclasses.replace(doctor.LIMITS, start_timeout=3))
    checks = await collected()
    assert "longer than 3 s" in checks["harness"].detail
    assert checks["agent"].status == "fail"


def test_broken_harness_is_exit_code_1_and_no_traceback(no_probe, monkeypatch, capsys):
    monkeypatch.setenv(doctor.HARNESS, "/bin/false")
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "\nFAIL  harness        /bin/false (ANTIGRAVITY_HARNESS_PATH) does not" in out
    assert out.endswith("FAIL  agent          could not be started\n")


def test_key_is_never_shown(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    check = doctor._key()
    assert check.data == {"present": True}
    assert KEY not in check.detail
    assert doctor._without_key(f"the model refused {KEY}") == "the model refused ***"


async def test_agent_can_be_fine_without_a_kernel(monkeypatch):
    monkeypatch.setattr(headless, "find_spec", lambda name: None)
    checks = await collected()
    assert checks["kernel"].status == "note"
    assert "agy-nb[notebook]" in checks["kernel"].detail
    assert doctor.passed(list(checks.values()))


async def test_unsupported_sdk_is_named_and_not_started(no_probe, monkeypatch):
    def refuse():
        raise UnsupportedSdkError("google-antigravity 0.0.1 is not supported")

    monkeypatch.setattr(versions, "require_supported", refuse)
    checks = await collected()
    assert checks["sdk"].status == checks["agent"].status == "fail"
    assert "0.0.1" in checks["sdk"].detail
    assert "harness" not in checks
    assert not doctor.passed(list(checks.values()))


async def test_model_that_answers_nothing_fails(no_probe, monkeypatch):
    from agy_nb import testing

    monkeypatch.setattr(testing, "EchoModel", lambda: testing.ScriptedModel(testing.fail(401)))
    checks = await collected()
    assert checks["harness"].status == "ok"
    assert checks["agent"].status == "fail"
    assert checks["agent"].detail.startswith("does not answer: ")
