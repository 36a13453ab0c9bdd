"""The options of `agy-nb harness`: parsed from a command line, and written into a launcher.

A recording parses them before it starts the real harness, so what only later steps need is imported
there.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette.command_arguments import to_cassette, to_regex
from agy_nb.cassette.matching.compare_frames import MATCHERS, Comparer
from agy_nb.cassette.matching.normalize import NORMALIZERS
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    from agy_nb.cassette.redaction import Redactor
    from agy_nb.cassette.replay.session_matcher import PlaySettings

DESCRIPTION = """Replace the harness of an Antigravity SDK in any language. Record the messages
between the SDK and the real harness, or replay them without a harness and a model. The SDK starts
the program at ANTIGRAVITY_HARNESS_PATH; --write-launcher writes such a program."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of `agy-nb harness`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--record", type=to_cassette, metavar="DIR",
        help="record all agents of a program into this cassette; running the program again "
        "replaces the cassette",
    )  # fmt: skip
    what.add_argument("--replay", type=to_cassette, metavar="DIR", help="replay this cassette")
    parser.add_argument(
        "--write-launcher", type=Path, metavar="PATH",
        help="write a program that starts with these options, and exit",
    )  # fmt: skip

    record = parser.add_argument_group("recording")
    record.add_argument(
        "--harness", type=Path, metavar="PATH",
        help="the real harness (default: the installed SDK's); also used with --seam model",
    )  # fmt: skip
    record.add_argument(
        "--no-model", dest="model", action="store_false",
        help="do not record the requests to the model; a replay with --seam model needs them",
    )  # fmt: skip
    record.add_argument(
        "--echo", action="store_true",
        help="record agents on the echo model, which answers without a key",
    )  # fmt: skip
    record.add_argument(
        "--regex", action="append", default=[], type=to_regex, metavar="EXPRESSION",
        help="also redact text that matches; repeatable",
    )  # fmt: skip
    record.add_argument(
        "--jsonpath", action="append", default=[], type=_jsonpath, metavar="PATH",
        help="also redact the value at this path; repeatable",
    )  # fmt: skip

    replay = parser.add_argument_group("replaying")
    replay.add_argument(
        "--seam", choices=("wire", "model"), default="wire",
        help="replay the harness (wire, default), or the model of a real harness (model)",
    )  # fmt: skip
    replay.add_argument(
        "--speed", type=_not_negative, default=0.0, metavar="FACTOR",
        help="0 replays without waiting (default), 1 at the recorded pace",
    )  # fmt: skip
    replay.add_argument(
        "--match-on", type=_names, default=tuple(MATCHERS), metavar="NAMES",
        help=f"comma-separated messages that must match (default: {','.join(MATCHERS)})",
    )  # fmt: skip
    replay.add_argument(
        "--ignore", action="append", default=[], metavar="PATH",
        help="a path in the client's frames that may differ; repeatable",
    )  # fmt: skip
    replay.add_argument(
        "--normalize", action="append", default=[], choices=tuple(NORMALIZERS), metavar="NAME",
        help=f"values in texts to ignore: {', '.join(NORMALIZERS)}; repeatable",
    )  # fmt: skip
    for name, what_ in (("approvals", "the user's decisions"), ("questions", "answers")):
        replay.add_argument(
            f"--{name}", choices=("replay", "ask"), default="replay",
            help=f"replay {what_} from the cassette (default), or ask the client",
        )  # fmt: skip
    replay.add_argument(
        "--allow-unplayed", action="store_true",
        help="accept a client that ends before the recording does",
    )  # fmt: skip
    replay.add_argument(
        "--stall-after", type=_not_negative, default=10.0, metavar="SECONDS",
        help="seconds without progress after which a replay fails (default: %(default)s)",
    )  # fmt: skip


def to_argv(options: Namespace) -> list[str]:
    """Return the same options as arguments with absolute paths."""
    found: list[str] = []
    for name in ("record", "replay", "harness"):
        path = getattr(options, name)
        if path is not None:
            found += [f"--{name}", str(path.absolute())]
    for expression in options.regex:
        found += ["--regex", expression.pattern]
    for path in options.jsonpath:
        found += ["--jsonpath", path]
    for path in options.ignore:
        found += ["--ignore", path]
    for name in options.normalize:
        found += ["--normalize", name]
    if options.match_on != tuple(MATCHERS):
        found += ["--match-on", ",".join(options.match_on)]
    found += [f"--seam={options.seam}", *([] if options.model else ["--no-model"])]
    found += [f"--speed={options.speed:g}", f"--stall-after={options.stall_after:g}"]
    found += [f"--approvals={options.approvals}", f"--questions={options.questions}"]
    found += ["--echo"] if options.echo else []
    return [*found, "--allow-unplayed"] if options.allow_unplayed else found


def redactor(options: Namespace) -> Redactor:
    """Return the redactor of these options."""
    from agy_nb.cassette.redaction import Redactor

    return Redactor([*options.regex, *options.jsonpath])


def play_settings(options: Namespace) -> PlaySettings:
    """Return the settings of a replay."""
    from agy_nb.cassette.replay.session_matcher import PlaySettings

    return PlaySettings(
        comparer=Comparer(options.match_on, options.ignore, options.normalize),
        redactor=redactor(options),
        approvals=options.approvals,
        questions=options.questions,
    )


def _jsonpath(text: str) -> str:
    from agy_nb.cassette.matching.jsonpath import JsonPath

    try:
        JsonPath.parse(text)
    except InvalidInputError as error:
        raise ArgumentTypeError(str(error)) from error
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    try:
        Comparer(names)
    except InvalidInputError as error:
        raise ArgumentTypeError(str(error)) from error
    return names


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"must be a number >= 0, got {text!r}")
    return value
