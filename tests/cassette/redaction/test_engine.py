"""The engine is an aid: without it, and in a forked child, our own rules do the work."""

import os
import subprocess
import sys

import pytest

from agy_nb.cassette.redaction import engine, find_secrets

FORKING = """
import os, signal
from agy_nb.cassette.redaction import engine, find_secrets
text = "the key " + "ghp_" + "a1B2" * 9
assert find_secrets(text)
child = os.fork()
if child == 0:
    signal.alarm(20)  # a call into the engine would wait for the parent's threads
    os._exit(0 if find_secrets(text) and not engine.is_available() else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_does_not_wait_for_the_parents_engine():
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_place_is_right_after_letters_of_several_bytes():
    key = "dop_v1_" + "0a1b2c3d" * 8
    text = f"ä 你\n🙂 \0 {key} ü"
    assert [text[span.start : span.end] for span in find_secrets(text)] == [key]
    if engine.is_available():
        assert {text[a:b] for a, b, _ in engine.engine_spans(text)} == {key}


def test_half_a_surrogate_pair_is_no_error():
    assert find_secrets("\ud800 the key \udfff") == []
