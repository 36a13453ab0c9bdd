"""docs/commands.md has every command with its arguments, as the parsers have them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from agy_nb import cli
from tests.docs.generated import cli_page


def test_page_is_what_the_parsers_say():
    found = cli_page.PAGE.read_text(encoding="utf-8")
    assert found == cli_page.page(), "write it again: python -m tests.docs.generated.cli_page"


def arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from arguments(command)
        else:
            yield action


def test_every_argument_is_explained():
    assert [action for action in arguments(cli._parser()) if not action.help] == []
