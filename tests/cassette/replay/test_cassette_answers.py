"""The recorded answers that a client which knows of the replay asks for."""

import pytest

from agy_nb.cassette.replay.cassette_answers import CassetteAnswers
from agy_nb.cassette.replay.machine import SessionMachine


def test_before_the_session_is_known_the_client_decides_all():
    answers = CassetteAnswers(lambda: None)
    told = answers.decision("r"), answers.hook("h"), answers.question("t", 1), answers.denial("c")
    assert told == (None, None, None, None)


@pytest.mark.parametrize(("decides", "told"), [(False, None), (True, "no such city")])
def test_refusal_of_a_call_is_the_recordings_where_that_decides(session_of, frames, decides, told):
    refused = {"toolResponse": {"id": "c", "errorMessage": "no such city"}}
    session = session_of(
        frames.config(), frames.ready(), frames.prompt("go"), frames.call("c"), refused
    )
    machine = SessionMachine(session, decides=decides)
    assert CassetteAnswers(lambda: machine).denial("c") == told
