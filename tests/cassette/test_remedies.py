"""Advice of a mismatch fits the place where it is read."""

import pytest

from agy_nb.cassette import CassetteMismatchError, remedies as r
from agy_nb.cassette.shim import shim_options
from agy_nb.cassette.shim.replay_handler import in_options
from agy_nb.cassette.use import use_cassette

ALL = (
    r.RECORD_AGAIN, r.ADD_TO_IT, r.ACCEPT_UNPLAYED, r.WAIT_LONGER, r.DO_AS_RECORDED,
    r.TAKE_OUT_THE_STEP, r.KEEP_THE_VALUE, r.RUN_NO_TOOLS, r.ignore("a.b[0]"),
    r.match_less("prompt"),
)  # fmt: skip


def error(*remedies):
    return CassetteMismatchError("c, session 0: it differs.", path="c", remedies=remedies)


def test_message_has_the_advice_as_python():
    text = str(error(r.RECORD_AGAIN, r.ignore("a.b[0]"), r.match_less("prompt")))
    assert text == (
        "c, session 0: it differs.\n"
        'What to do: record it again with record_mode="all"; or if this difference '
        "does not matter, ignore=['a.b[0]']; or leave 'prompt' out of match_on="
    )


def test_a_shell_gets_options_and_nothing_that_it_cannot_do():
    text = in_options(error(r.RECORD_AGAIN, r.ADD_TO_IT, r.ignore("a.b[0]"), r.RUN_NO_TOOLS))
    assert text == (
        "c, session 0: it differs.\n"
        "What to do: record it again with --record; or if this difference does not matter, "
        "--ignore 'a.b[0]'"
    )


def test_no_remedy_for_a_shell_is_no_advice():
    assert in_options(error(r.ADD_TO_IT)) == "c, session 0: it differs."


def test_escape_sequences_of_a_recording_do_not_reach_a_terminal():
    shown = CassetteMismatchError("c: \x1b[2Jdiffers", remedies=(r.RECORD_AGAIN,)).text("shell")
    assert "\x1b" not in shown


@pytest.mark.parametrize("remedy", ALL, ids=lambda each: each.python[:20])
def test_options_that_are_named_exist(remedy):
    from argparse import ArgumentParser
    from inspect import signature

    parser = ArgumentParser()
    shim_options.add_arguments(parser)
    words = remedy.shell.replace(".", " ").split()
    assert all(w in parser.format_help() for w in words if w.startswith("--"))
    names = {w.partition("=")[0] for w in remedy.python.replace("(", " ").split() if "=" in w}
    assert names <= {*signature(use_cassette).parameters}
