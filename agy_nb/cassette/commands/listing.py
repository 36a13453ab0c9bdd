"""`agy-nb cassette list` and `show`."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from agy_nb.cassette.commands.terminal_tables import complain, print_table, say
from agy_nb.cassette.inspect.session_digests import digests_of
from agy_nb.cassette.inspect.transcript import transcript
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.cassette_reader import find_header
from agy_nb.cassette.storage.format import read_lines

_HEADINGS = ("cassette", "sessions", "turns", "tokens", "tools", "size", "sdk", "state")


def list_cassettes(arguments: Namespace) -> int:
    """Run `list`."""
    entries = [catalog.entry(path) for path in catalog.find(arguments.paths)]
    if arguments.json:
        say(json.dumps([_data(item) for item in entries], indent=2))
    else:
        print_table([_HEADINGS, *map(_row, entries)])
    for item in entries:
        if item.problem:
            complain(item.problem)
    return 1 if any(item.problem for item in entries) else 0


def _data(item: catalog.CatalogEntry) -> dict[str, object]:
    return asdict(item) | {"path": str(item.path)}


def _row(item: catalog.CatalogEntry) -> tuple[str, ...]:
    header = item.header
    if header is None:
        return (str(item.path), "", "", "", "", "", "", "unreadable")
    tokens = [session.tokens for session in header.sessions if session.tokens is not None]
    tools = sorted({tool for session in header.sessions for tool in session.tools})
    return (
        str(item.path),
        str(len(header.sessions)),
        str(sum(session.turns for session in header.sessions)),
        str(sum(tokens)) if tokens else "-",
        ", ".join(tools) or "-",
        f"{item.size / 1000:.0f} kB",
        header.sdk or "-",
        "partial" if item.partial else "complete",
    )


def show(arguments: Namespace) -> int:
    """Run `show`."""
    if arguments.json:
        header, found = find_header(arguments.path), digests_of(read_lines(arguments.path))
        say(json.dumps({"header": asdict(header), "sessions": found}, indent=2))
        return 0
    load_error = catalog.entry(arguments.path)
    if load_error.problem:
        complain(load_error.problem)
        return 1
    shown = False
    for line in transcript(arguments.path):
        shown = True
        say(line)
    if not shown:
        say("no sessions recorded")
    return 0
