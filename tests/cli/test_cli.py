"""The command line itself: arguments, errors, exit codes."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from agy_nb import cli, demo
from agy_nb.errors import HarnessError

PLAIN_CHAT = str(Path(__file__).parents[2] / "cassettes" / "plain_chat")


def test_version_is_the_packages(capsys):
    import agy_nb

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"agy-nb {agy_nb.__version__}\n"


def test_no_command_shows_the_commands(capsys):
    assert cli.main([]) == 2
    out = capsys.readouterr().out
    assert "demo" in out
    assert "doctor" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["doctor", "--no-such-option"],
        ["cassette"],
        ["cassette", "no-such-action"],
        ["cassette", "show", ""],
        ["cassette", "diff"],
        ["cassette", "redact", "one", "--regex", "("],
        ["cassette", "verify", "--silence", "-3"],
        ["cassette", "verify", "--silence", "soon"],
        ["cassette", "verify", "--base-url", "nonsense"],
        ["cassette", "verify", "--compare", "nonsense"],
        ["harness"],
        ["harness", "--replay", ""],
        ["harness", "--replay", "one", "--speed", "-1"],
        ["usage"],
        ["usage", ".", "--by", "nonsense"],
        ["usage", "one", "--by", "!"],
        ["usage", "one", "--watch", "--interval", "0"],
    ],
)
def test_wrong_arguments_are_exit_code_2(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "usage: agy-nb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HarnessError("the harness is gone"), "the harness is gone"),
        (
            PermissionError(13, "Permission denied", "out"),
            "out: Permission denied. Check the path, or choose another one",
        ),
        (OSError("no disk"), "no disk"),
    ],
)
def test_error_is_one_line_without_traceback(error, said, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(demo, "run", fail)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == f"agy-nb: {said}\n"


def test_error_of_the_program_itself_keeps_its_traceback(monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(demo, "run", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["demo"])


def test_interrupt_is_exit_code_130(monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "agy-nb: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cassette", "list", "nowhere"], "there is no cassette at nowhere; "),
        (["cassette", "show", "nowhere"], "there is no cassette at nowhere; "),
        (["cassette", "show", "here"], "it has no header.json. "),
        (["cassette", "diff", "nowhere", "nowhere"], "there is no cassette at nowhere; "),
        (["cassette", "verify", "nowhere"], "there is no cassette at nowhere; "),
        (["cassette", "redact", "nowhere"], "there is no cassette at nowhere; "),
        (["cassette", "migrate", "nowhere"], "there is no cassette at nowhere; "),
        (["usage", "nowhere"], "there is nothing at 'nowhere'; name a folder or a file"),
        (["usage", ".", "--by", "day", "--tz", "Nowhere"], "unknown time zone 'Nowhere'; "),
        (["usage", ".", "--format", "parquet"], "--format parquet needs --output FILE"),
        (
            ["usage", PLAIN_CHAT, "--output", "no/such/file"],
            "no/such/file: No such file or directory. ",
        ),
        (["demo", "--output", "/dev/null/x"], "/dev/null/x: Not a directory. "),
    ],
)
def test_wrong_input_is_exit_code_1_and_says_what_to_do(
    arguments, said, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert cli.main(arguments) == 1
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_cost_that_nobody_can_know_says_what_to_install(capsys, monkeypatch):
    assert cli.main(["usage", PLAIN_CHAT]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert cli.main(["usage", PLAIN_CHAT]) == 0
    said = capsys.readouterr().err
    assert said == "note: no prices are installed: pip install 'agy-nb[cost]'\n"
    assert cli.main(["usage", PLAIN_CHAT, "--no-cost"]) == 0
    assert capsys.readouterr().err == ""


def test_output_that_is_a_file_is_a_clear_error(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--output", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith(f"agy-nb: {tmp_path / 'file'}: File exists. ")


@pytest.mark.slow
def test_reader_that_leaves_early_gets_no_traceback():
    command = f"{sys.executable} -m agy_nb.cli --help | true; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True
    )
    assert "Traceback" not in result.stderr


def test_a_layer_adds_its_command(monkeypatch, capsys):
    plugin = types.ModuleType("agy_nb_plugin_of_a_test")

    def add_parser(commands: argparse._SubParsersAction) -> None:
        parser = commands.add_parser("shout")
        parser.add_argument("word")
        parser.set_defaults(run=lambda arguments: print(arguments.word.upper()) or 7)

    plugin.add_parser = add_parser
    plugin.__spec__ = types.SimpleNamespace(name=plugin.__name__)
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    monkeypatch.setattr(cli, "PLUGINS", (plugin.__name__, "agy_nb.no_such_module"))
    assert cli.main(["shout", "hello"]) == 7
    assert capsys.readouterr().out == "HELLO\n"


@pytest.mark.slow
def test_what_a_terminal_has_no_letters_for_is_shown_all_the_same(tmp_path):
    (tmp_path / "Grüße.txt").touch()
    program = f"from agy_nb.cli import main; main(['usage', {str(tmp_path / 'Grüße.txt')!r}])"
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=ascii_only, check=True
    )
    assert rb"Gr\xfc\xdfe.txt: not_a_session" in run.stderr
    assert b"Traceback" not in run.stderr
