"""A turn takes no detours: how many modules and functions of ours it goes through is bounded."""

import pytest

from tests.flow import Flow, of_a_chat, of_a_replayed_session

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


def assert_within(flow: Flow, modules: int, functions: int) -> None:
    assert flow.modules <= modules
    assert flow.functions <= functions


async def test_chat_of_a_warm_agent():
    # 36 and 178, see `python -m tests.flow -v`; the attempts of a turn have a module of their own
    assert_within((await of_a_chat()).flow, 36, 178)


async def test_replayed_session(tmp_path):
    flow = (await of_a_replayed_session(tmp_path / "cassette")).flow
    # 109 and 567; the format of a cassette is three modules and its session two, three modules are
    # for texts like marks, for clock and end of a connection, one with ten functions for the
    # checkpoints, of which each turn calls two, and one for the tree of branches; the session finds
    # the file of any conversation, not only of the open one, with one function more; one module
    # takes the settings of an agent, and one says after which turn a session begins, with five
    # functions, because the configurations of forks are alike; one with four functions refuses
    # harnesses of child processes, whose environment one with five functions changes;
    # the attempts of a turn and the task of a session have modules of their own, the latter with
    # three functions more
    assert_within(flow, 109, 567)
