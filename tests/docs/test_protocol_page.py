"""docs/protocol.md says what the protocol's own classes say."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import get_args

import pytest

from agy_nb.protocol import commands
from tests.docs import pages

PAGE = "protocol.md"


def row(command):
    """A command's line of the table."""
    said = " ".join(inspect.getdoc(command).split("\n\n")[0].split())
    what, _, reply = said.partition(" Reply: ")
    carries = [
        f"`{field.name}`"
        for field in dataclasses.fields(command)
        if field.name not in ("agent_id", "type")
    ]
    name, carried = command.__name__, " ".join(carries)
    return f"| `{name}` | {command.kind.value} | {carried} | {reply.rstrip('.')} | {what} |"


def table():
    """The commands, as the page has them."""
    union, *_ = get_args(commands.Command)
    head = ["| command | kind | carries | reply | |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *map(row, get_args(union))])


def test_table_has_every_command_as_its_class_says():
    assert table() in pages.read(PAGE)


@pytest.mark.blocking_allowed  # pydantic reads sources on first use
async def test_example_shows_what_the_page_shows(capsys):
    await pages.run(PAGE, {})
    [shown] = re.findall(r"```json\n(.*?)```", pages.read(PAGE), flags=re.DOTALL)
    assert capsys.readouterr().out == shown
