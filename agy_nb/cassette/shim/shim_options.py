"""The command line of a stand-in: read, and written into a launcher."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from agy_nb.cassette.command_arguments import to_cassette, to_regex
from agy_nb.cassette.matching.compare_frames import MATCHERS, Comparer
from agy_nb.cassette.matching.jsonpath import JsonPath
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.replay.session_matcher import PlaySettings
from agy_nb.errors import InvalidInputError

DESCRIPTION = """Stand in for the harness of an Antigravity SDK, in any language: record what it and
the real harness say, or replay it without harness and model. An SDK starts what
ANTIGRAVITY_HARNESS_PATH names; --write-launcher makes such a file."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what a stand-in takes."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--record", type=to_cassette, metavar="DIR",
        help="record into this cassette; each run of a program makes it anew, and all the agents "
        "of one program go into it",
    )  # fmt: skip
    what.add_argument("--replay", type=to_cassette, metavar="DIR", help="replay this cassette")
    parser.add_argument(
        "--write-launcher", type=Path, metavar="PATH",
        help="start nothing; write a file that does, with these options",
    )  # fmt: skip

    record = parser.add_argument_group("recording")
    record.add_argument(
        "--harness", type=Path, metavar="PATH",
        help="the real harness (default: that of the installed SDK); used with --seam model, too",
    )  # fmt: skip
    record.add_argument(
        "--no-model", dest="model", action="store_false",
        help="leave out the requests to the model, which a replay with --seam model needs",
    )  # fmt: skip
    record.add_argument(
        "--regex", action="append", default=[], type=to_regex, metavar="EXPRESSION",
        help="take out what matches; may be given several times",
    )  # fmt: skip
    record.add_argument(
        "--jsonpath", action="append", default=[], type=_jsonpath, metavar="PATH",
        help="take out what the path names; may be given several times",
    )  # fmt: skip

    replay = parser.add_argument_group("replaying")
    replay.add_argument(
        "--seam", choices=("wire", "model"), default="wire",
        help="replay the whole harness (wire, default), or only the model behind the real one",
    )  # fmt: skip
    replay.add_argument(
        "--speed", type=_not_negative, default=0.0, metavar="FACTOR",
        help="0 to replay at once (default), 1 at the recorded pace",
    )  # fmt: skip
    replay.add_argument(
        "--match-on", type=_names, default=tuple(MATCHERS), metavar="NAMES",
        help=f"what must be as recorded, with commas (default: {','.join(MATCHERS)})",
    )  # fmt: skip
    replay.add_argument(
        "--ignore", action="append", default=[], metavar="PATH",
        help="a path in the client's frames that need not be; may be given several times",
    )  # fmt: skip
    for name, what_ in (("approvals", "a person's decisions"), ("questions", "answers")):
        replay.add_argument(
            f"--{name}", choices=("replay", "ask"), default="replay",
            help=f"take {what_} from the cassette (default), or ask the client",
        )  # fmt: skip
    replay.add_argument(
        "--allow-unplayed", action="store_true",
        help="the client may hang up before the recording ends",
    )  # fmt: skip
    replay.add_argument(
        "--stall-after", type=_not_negative, default=10.0, metavar="SECONDS",
        help="after which a replay in which nothing can move is an error (default: %(default)s)",
    )  # fmt: skip


def to_argv(options: Namespace) -> list[str]:
    """The arguments that say the same, wherever they are used."""
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
    if options.match_on != tuple(MATCHERS):
        found += ["--match-on", ",".join(options.match_on)]
    found += [f"--seam={options.seam}", *([] if options.model else ["--no-model"])]
    found += [f"--speed={options.speed:g}", f"--stall-after={options.stall_after:g}"]
    found += [f"--approvals={options.approvals}", f"--questions={options.questions}"]
    return [*found, "--allow-unplayed"] if options.allow_unplayed else found


def redactor(options: Namespace) -> Redactor:
    """What takes out secrets."""
    return Redactor([*options.regex, *options.jsonpath])


def play_settings(options: Namespace) -> PlaySettings:
    """How a cassette is played."""
    return PlaySettings(
        comparer=Comparer(options.match_on, options.ignore),
        redactor=redactor(options),
        approvals=options.approvals,
        questions=options.questions,
    )


def _jsonpath(text: str) -> str:
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
        raise ArgumentTypeError(f"{text!r} is no number from 0")
    return value
