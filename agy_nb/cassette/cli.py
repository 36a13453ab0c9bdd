"""`agy-nb cassette`: the arguments of its actions, which are in `commands`.

Exit codes: 0 for success, 1 for problems and differences, 2 for wrong arguments.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette.command_arguments import to_cassette, to_label, to_regex, to_seconds
from agy_nb.cassette.storage.catalog import default_roots
from agy_nb.wire.summaries.digest_diff import PARTS

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command `cassette`. Each action sets `run`, which returns the exit code."""
    parser = commands.add_parser("cassette", help="inspect, check and clean recorded sessions")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, run: str, help_: str) -> ArgumentParser:
        added: ArgumentParser = actions.add_parser(name, help=help_, description=help_)
        added.set_defaults(run=_loaded(run))
        return added

    found = action("list", "listing.list_cassettes", "list cassettes")
    _paths(found)
    found.add_argument("--json", action="store_true", help="print JSON")

    show = action("show", "listing.show", "print the sessions of a cassette as text")
    show.add_argument("path", type=to_cassette, metavar="PATH", help="the cassette")
    show.add_argument("--json", action="store_true", help="print a digest of each session as JSON")

    diff = action(
        "diff",
        "comparing.diff",
        "compare the sessions of two cassettes, or of cassettes in git; exit code 1 if they differ",
    )
    diff.add_argument(
        "what", nargs="+", metavar="WHAT",
        help="two cassettes or folders of them; or one or two revisions of git and then "
        "cassettes, e.g. HEAD~1 -- tests/cassettes; or one cassette, to compare it with HEAD",
    )  # fmt: skip

    textconv = action(
        "textconv",
        "comparing.textconv",
        "print a file of a cassette as text without ids and times, for git",
    )
    textconv.add_argument("file", type=Path, metavar="FILE", help="wire.jsonl or model.yaml")

    verify = action(
        "verify",
        "verifying.verify",
        "check files and redaction, and that each cassette can be replayed",
    )
    _paths(verify)
    verify.add_argument("--json", action="store_true", help="print JSON")
    _rules(verify, "also report")
    _live(verify)

    redact = action(
        "redact",
        "rewriting.redact_cassettes",
        "remove secrets from cassettes; --regex and --jsonpath add rules",
    )
    redact.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="cassettes, or folders of them"
    )
    _rules(redact, "also redact")

    label = action("label", "rewriting.label", "list, set or remove the labels of cassettes")
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

    migrate = action(
        "migrate",
        "rewriting.migrate_cassettes",
        "convert cassettes of older formats to the current one",
    )
    _paths(migrate)

    export = action(
        "export",
        "rewriting.export",
        "copy a cassette so that it needs no shared texts, or write a vcrpy file",
    )
    export.add_argument("path", type=to_cassette, metavar="PATH", help="the cassette")
    export.add_argument("target", type=Path, metavar="TARGET", help="a new folder or file")
    export.add_argument(
        "--vcr", action="store_true", help="write the model's side as one file that vcrpy opens"
    )

    prune = action(
        "prune",
        "pruning.prune",
        "list, or with --yes discard, the leftovers of unfinished recordings and shared texts "
        "that no cassette uses",
    )
    _paths(prune)
    prune.add_argument("--yes", action="store_true", help="remove the leftovers")


def _loaded(name: str) -> Callable[[Namespace], int]:
    """Return a function of `commands`, whose module is imported when it is called."""

    def run(arguments: Namespace) -> int:
        module, _, function = name.partition(".")
        if vars(arguments).get("paths") == []:
            arguments.paths = default_roots()
        code: int = getattr(import_module(f"agy_nb.cassette.commands.{module}"), function)(
            arguments
        )
        return code

    return run


def _paths(parser: ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[], metavar="PATH",
        help="cassettes, or folders of them (default: cassettes, tests/**/cassettes)",
    )  # fmt: skip


def _rules(parser: ArgumentParser, verb: str) -> None:
    parser.add_argument(
        "--regex", action="append", default=[], type=to_regex, metavar="EXPRESSION",
        help=f"{verb} text that matches; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--jsonpath", action="append", default=[], metavar="PATH",
        help=f"{verb} the value at this path, e.g. '$..note'; repeatable",
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
        help="the real harness (default: the installed SDK's)",
    )  # fmt: skip
    live.add_argument(
        "--folder", type=Path, metavar="DIR",
        help="folder in which to create the recorded workspaces; it may hold files that the "
        "session needs (default: a temporary folder)",
    )  # fmt: skip
    live.add_argument(
        "--silence", type=to_seconds, default=120.0, metavar="SECONDS",
        help="fail a turn after this many seconds without a message (default: %(default)s)",
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
