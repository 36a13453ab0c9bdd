"""The command line itself: arguments, errors, exit codes."""

from __future__ import annotations

import argparse
import subprocess
import sys
import types

import pytest

from agy_nb import cli, demo
from agy_nb.errors import HarnessError


def test_version_is_the_packages(capsys):
    import agy_nb

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"agy-nb {agy_nb.__version__}\n"


def test_no_command_shows_the_commands(capsys):
    assert cli.main([]) == 2
    out = capsys.readouterr().out
    assert "demo" in out
    assert "doctor" in out


@pytest.mark.parametrize("arguments", [["no-such-command"], ["doctor", "--no-such-option"]])
def test_wrong_arguments_are_exit_code_2(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "usage: agy-nb" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [HarnessError("the harness is gone"), PermissionError(13, "Permission denied", "out")]
)
def test_error_is_one_line_without_traceback(error, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(demo, "run", fail)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == f"agy-nb: {error}\n"


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


def test_output_that_is_a_file_is_a_clear_error(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--output", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("agy-nb: [Errno 17] File exists")


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
