"""What the frames between SDK and harness mean, odd ones included."""

import pytest

from agy_nb.wire.client_config import conversation_of, paths_of
from agy_nb.wire.frames import FrameKey, key_of, kind_of, request_of

ASKED_AT = {"trajectoryId": "t", "stepIndex": 4}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"toolCall": {"id": "c"}}, {"toolResponse": {"id": "c"}}),
        (
            {"policyDecisionRequest": {"requestId": "r"}},
            {"policyDecisionResponse": {"requestId": "r", "outcome": "ALLOW"}},
        ),
        ({"callHookRequest": {"requestId": "h"}}, {"callHookResponse": {"requestId": "h"}}),
        (
            {
                "stepUpdate": {
                    **ASKED_AT, "state": "STATE_WAITING_FOR_USER", "questionsRequest": {},
                }
            },
            {"questionResponse": {**ASKED_AT, "answers": []}},
        ),
        (
            {
                "stepUpdate": {
                    **ASKED_AT, "state": "STATE_WAITING_FOR_USER", "toolConfirmationRequest": {},
                }
            },
            {"toolConfirmation": {**ASKED_AT, "accepted": True}},
        ),
    ],
)  # fmt: skip
def test_request_and_its_answer_have_one_key(request_, answer):
    assert request_of(request_) == key_of(answer)
    assert key_of(answer).request_id


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"seqNum": "1"},
        {"toolCall": "odd"},
        {"stepUpdate": {**ASKED_AT, "state": "STATE_WAITING_FOR_USER"}},
        {"stepUpdate": {**ASKED_AT, "state": "STATE_DONE", "questionsRequest": {}}},
    ],
)
def test_frame_that_asks_for_nothing_has_no_request(frame):
    assert request_of(frame) is None


def test_frame_of_nothing_but_its_envelope_has_no_kind():
    assert kind_of({"seqNum": "7", "timestampMicros": "8"}) == ""
    assert key_of({"toolResponse": "odd"}) == FrameKey("toolResponse")


def test_folders_are_known_by_what_they_are_for():
    config = {
        "config": {
            "workspaces": [
                {"filesystemWorkspace": {"directory": "/a"}},
                {"filesystemWorkspace": {}},
                {"filesystemWorkspace": {"directory": "/b"}},
            ],
            "skillsPaths": ["/s"],
            "appDataDir": "/d",
            "cascadeId": "c" * 32,
        }
    }
    assert paths_of(config) == {
        "workspace:0": "/a",
        "workspace:2": "/b",
        "skills:0": "/s",
        "app-data": "/d",
    }
    assert conversation_of(config) == "c" * 32
    assert (paths_of({"config": "odd"}), conversation_of({"config": "odd"})) == ({}, "")
    assert paths_of({"config": {}}) == {}
