"""`agy-nb cassette`: list, show, diff, verify, redact, migrate, prune.

Exit codes: 0 for success, 1 for problems and differences, 2 for wrong arguments.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from agy_nb.cassette.command_arguments import to_cassette, to_label, to_regex
from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.inspect.session_digests import differences, digests_of
from agy_nb.cassette.inspect.transcript import transcript
from agy_nb.cassette.inspect.verify import (
    Verdict,
    VerifyProblem,
    echo_remarks,
    problems,
    remarks,
)
from agy_nb.cassette.redaction import Rule
from agy_nb.cassette.redaction.leaks import redact
from agy_nb.cassette.redaction.user_rules import UserRules
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.cassette_reader import find_header
from agy_nb.cassette.storage.format import read_lines
from agy_nb.terminal import printable
from agy_nb.wire.summaries.digest_diff import PARTS

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_HEADINGS = ("cassette", "sessions", "turns", "tokens", "tools", "size", "sdk", "state")
_NUMBERS = frozenset({"sessions", "turns", "tokens", "size"})
_COLOURS = {"complete": "green", "partial": "yellow", "unreadable": "bold red"}


def add_parser(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command `cassette`. Each action sets `run`, which returns the exit code."""
    parser = commands.add_parser("cassette", help="inspect, check and clean recorded sessions")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, run: Callable[[Namespace], int], help_: str) -> ArgumentParser:
        added: ArgumentParser = actions.add_parser(name, help=help_, description=help_)
        added.set_defaults(run=run)
        return added

    found = action("list", _list, "list cassettes")
    _paths(found)
    found.add_argument("--json", action="store_true", help="print JSON")

    show = action("show", _show, "print the sessions of a cassette as text")
    show.add_argument("path", type=to_cassette, metavar="PATH", help="the cassette")
    show.add_argument("--json", action="store_true", help="print a digest of each session as JSON")

    diff = action(
        "diff", _diff, "compare the sessions of two cassettes; exit code 1 if they differ"
    )
    diff.add_argument("one", type=to_cassette, metavar="ONE", help="a cassette")
    diff.add_argument("other", type=to_cassette, metavar="OTHER", help="another cassette")

    verify = action(
        "verify",
        _verify,
        "check files and redaction, and that each cassette can be replayed",
    )
    _paths(verify)
    verify.add_argument("--json", action="store_true", help="print JSON")
    _rules(verify)
    _live(verify)

    redact = action("redact", _redact, "remove secrets from cassettes, with additional rules")
    redact.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="cassettes, or folders of them"
    )
    _rules(redact)

    label = action("label", _label, "list the labels of cassettes, set or remove them")
    label.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="cassettes, or folders of them"
    )
    label.add_argument(
        "--set", action="append", default=[], type=to_label, metavar="NAME=VALUE", dest="added",
        help="set a label; repeatable",
    )  # fmt: skip
    label.add_argument(
        "--remove", action="append", default=[], metavar="NAME", help="remove a label; repeatable"
    )
    label.add_argument("--json", action="store_true", help="print JSON")

    migrate = action("migrate", _migrate, "convert cassettes of older formats to the current one")
    _paths(migrate)

    prune = action(
        "prune", _prune, "list, or with --yes discard, the leftovers of unfinished recordings"
    )
    _paths(prune)
    prune.add_argument("--yes", action="store_true", help="remove the leftovers")


def _paths(parser: ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[Path("cassettes")], metavar="PATH",
        help="cassettes, or folders of them (default: cassettes)",
    )  # fmt: skip


def _rules(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--regex", action="append", default=[], type=to_regex, metavar="EXPRESSION",
        help="redact the text that matches; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--jsonpath", action="append", default=[], metavar="PATH",
        help="redact the value at this path, e.g. '$..note'; repeatable",
    )  # fmt: skip


def _live(parser: ArgumentParser) -> None:
    live = parser.add_argument_group("against a live model")
    live.add_argument(
        "--against-live", action="store_true",
        help="send the recorded prompts to the real harness and a live model, and show the "
        "differences; needs GEMINI_API_KEY or --base-url",
    )  # fmt: skip
    live.add_argument(
        "--trust", action="store_true",
        help="also start the recorded MCP servers, send the recorded answers of hooks, and apply "
        "recorded rules that allow built-in tools. The cassette can then run any program on this "
        "machine",
    )  # fmt: skip
    live.add_argument(
        "--base-url", default="", type=_url, metavar="URL",
        help="address of the model, e.g. http://127.0.0.1:8080. The key is sent to this address "
        "only, never to an address in a cassette (default: the public Gemini API)",
    )  # fmt: skip
    live.add_argument(
        "--compare", type=_parts, default=PARTS, metavar="PARTS",
        help=f"comma-separated parts to compare (default: {','.join(PARTS)})",
    )  # fmt: skip
    live.add_argument(
        "--harness", type=Path, metavar="PATH",
        help="path of the harness (default: the installed SDK's)",
    )  # fmt: skip
    live.add_argument(
        "--folder", type=Path, metavar="DIR",
        help="folder in which to create the recorded workspaces; it may hold files that the "
        "session needs (default: a temporary folder)",
    )  # fmt: skip
    live.add_argument(
        "--silence", type=_seconds, default=120.0, metavar="SECONDS",
        help="seconds of silence after which a turn is given up (default: %(default)s)",
    )  # fmt: skip


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    for name in names:
        if name not in PARTS:
            raise ArgumentTypeError(f"must be one of {', '.join(PARTS)}, got {name!r}")
    return names


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ArgumentTypeError(f"must begin with http:// or https://, got {text!r}")
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"must be a number of seconds > 0, got {text!r}")
    return value


def _list(arguments: Namespace) -> int:
    entries = [catalog.entry(path) for path in catalog.find(arguments.paths)]
    if arguments.json:
        _say(json.dumps([_data(item) for item in entries], indent=2))
    else:
        _table([_HEADINGS, *map(_row, entries)])
    for item in entries:
        if item.problem:
            _complain(item.problem)
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


def _show(arguments: Namespace) -> int:
    if arguments.json:
        header, found = find_header(arguments.path), digests_of(read_lines(arguments.path))
        _say(json.dumps({"header": asdict(header), "sessions": found}, indent=2))
        return 0
    load_error = catalog.entry(arguments.path)
    if load_error.problem:
        _complain(load_error.problem)
        return 1
    shown = False
    for line in transcript(arguments.path):
        shown = True
        _say(line)
    if not shown:
        _say("no sessions recorded")
    return 0


def _diff(arguments: Namespace) -> int:
    found = False
    for line in differences(arguments.one, arguments.other):
        found = True
        _say(line)
    return 1 if found else 0


def _verify(arguments: Namespace) -> int:
    verdicts = []
    for path in catalog.find(arguments.paths):
        verdict = _verdict(path, arguments)
        verdicts.append(verdict)
        if not arguments.json:
            _show_verdict(verdict)
    if arguments.json:
        _say(json.dumps([verdict.data() for verdict in verdicts], indent=2))
    if not verdicts:
        _none_found(arguments)
        return 1
    return 1 if any(verdict.problems for verdict in verdicts) else 0


def _verdict(path: Path, arguments: Namespace) -> Verdict:
    verdict = Verdict(path, list(problems(path, rules=_given(arguments))))
    if not verdict.problems and arguments.against_live:
        _run_again(verdict, arguments)
    if not any(problem.kind == "unreadable" for problem in verdict.problems):
        verdict.remarks += echo_remarks(path)
    if not verdict.problems:
        verdict.remarks += remarks(path)
    return verdict


def _run_again(verdict: Verdict, arguments: Namespace) -> None:
    from agy_nb.cassette.drift.errors import DriftError
    from agy_nb.cassette.drift.local_config import LiveModel
    from agy_nb.cassette.drift.runner import DriftSettings, rerun

    settings = DriftSettings(
        model=LiveModel.found(arguments.base_url),
        harness=arguments.harness,
        folder=arguments.folder,
        silence_s=arguments.silence,
        trust=arguments.trust,
    )
    path = verdict.path
    with TemporaryDirectory(prefix="agy-") as folder:
        try:
            live = rerun(path, Path(folder) / "live", settings)
        except DriftError as error:
            verdict.problems.append(VerifyProblem("drift", str(error)))
            return
        found = [f"the recording has no answer to {what}" for what in live.unanswered]
        found += differences(path, live.path, parts=arguments.compare, names=("recorded", "live"))
    verdict.problems += [VerifyProblem("drift", text) for text in found]
    verdict.remarks += [f"without --trust {what}" for what in live.refused]


def _show_verdict(verdict: Verdict) -> None:
    kinds = {problem.kind for problem in verdict.problems}
    word = "ok" if not kinds else "DRIFT" if kinds == {"drift"} else "FAIL"
    _say(f"{word:<4} {verdict.path}")
    for text in (*map(str, verdict.problems), *verdict.remarks):
        _say(f"     {text}")


def _redact(arguments: Namespace) -> int:
    rules, found, bad = _given(arguments), False, False
    unmatched = set(UserRules(rules).unmatched())
    for path in catalog.find(arguments.paths):
        found = True
        try:
            header = redact(path, rules, unmatched)
        except CassetteError as error:  # the others are redacted nevertheless
            bad = True
            _complain(f"{path}: not redacted. {error}")
            continue
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(header.redactions.items()) if n)
        _say(f"{path}: {counts or 'nothing to redact'}")
    for rule in sorted(unmatched) if found else ():
        _complain(f"the rule {rule!r} matched nothing; check its spelling")
    if not found:
        _none_found(arguments)
    return 0 if found and not bad else 1


def _label(arguments: Namespace) -> int:
    from agy_nb.cassette.cassette_labels import change_labels

    found, bad = {}, False
    for path in catalog.find(arguments.paths):
        try:
            labels = change_labels(path, dict(arguments.added), arguments.remove)
        except CassetteError as error:
            bad = True
            _complain(f"{path}: {error}")
            continue
        found[str(path)] = labels
        if not arguments.json:
            text = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
            _say(f"{path}: {text or 'no labels'}")
    if arguments.json:
        _say(json.dumps(found, indent=2, ensure_ascii=False))
    if not found and not bad:
        _none_found(arguments)
    return 0 if found and not bad else 1


def _none_found(arguments: Namespace) -> None:
    places = ", ".join(map(str, arguments.paths))
    _complain(f"no cassette found in {places}; pass the folders that hold your cassettes")


def _migrate(arguments: Namespace) -> int:
    from agy_nb.cassette.storage.migration import migrate

    bad = 0
    for path in catalog.find(arguments.paths):
        try:
            done = migrate(path)
        except CassetteError as error:
            bad += 1
            _complain(str(error))
            continue
        if done.before == done.after:
            _say(f"{path}: already in format {done.after}")
        else:
            _say(f"{path}: converted from format {done.before} to {done.after}")
    return 1 if bad else 0


def _prune(arguments: Namespace) -> int:
    found = False
    for root in arguments.paths:
        if not root.is_dir():
            _say(f"folder not found: {root}")
            return 1
        for path in catalog.leftovers(root):
            found = True
            if catalog.is_in_use(path):
                _say(f"in use       {path}: being recorded")
                continue
            _say(f"{catalog.remove(path) if arguments.yes else 'would remove'} {path}")
    if not found:
        _say("no leftovers of unfinished recordings")
    return 0


def _given(arguments: Namespace) -> list[Rule]:
    from agy_nb.cassette.matching.jsonpath import JsonPath

    for path in arguments.jsonpath:
        JsonPath.parse(path)  # raises InvalidInputError, which the command shows
    return [*arguments.regex, *arguments.jsonpath]


def _table(rows: list[tuple[str, ...]]) -> None:
    if sys.stdout.isatty():
        _rich_table(rows)
        return
    rows = [tuple(map(_cell, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(map(str.ljust, row, widths)).rstrip())


def _rich_table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in rows[0]:
        numeric = heading in _NUMBERS
        table.add_column(
            heading, justify="right" if numeric else "left", no_wrap=heading != "tools",
            overflow="fold",
        )  # fmt: skip
    for row in rows[1:]:
        *others, state = map(_cell, row)
        table.add_row(*map(Text, others), Text(state, style=_COLOURS.get(state, "")))
    Console().print(table)


def _cell(text: str) -> str:
    """Escape a text so that it fits on one line of a table."""
    return printable(text).replace("\n", "\\n")


def _say(text: str) -> None:
    sys.stdout.write(f"{printable(text)}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"{printable(text)}\n")
