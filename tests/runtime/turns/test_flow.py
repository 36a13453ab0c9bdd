"""Work takes no detours: how many modules and functions of ours it goes through is bounded.

The limits are what `python -m tests.flow -v` lists, which names the functions, and a few more
where the collector or a race decides about the last ones. If a limit is passed, look for the detour
first.
"""

import pytest

from tests.flow import Flow, of_a_chat, of_a_load, of_a_recorded_session, of_a_replayed_session

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


def assert_within(flow: Flow, modules: int, functions: int) -> None:
    assert flow.modules <= modules
    assert flow.functions <= functions


async def test_chat_of_a_warm_agent():
    assert_within((await of_a_chat()).flow, 36, 178)


async def test_recorded_session(tmp_path):
    assert_within((await of_a_recorded_session(tmp_path)).flow, 144, 975)


async def test_replayed_session(tmp_path):
    assert_within((await of_a_replayed_session(tmp_path / "cassette")).flow, 131, 785)


async def test_load_up_to_the_usage(tmp_path):
    assert_within((await of_a_load(tmp_path / "cassette")).flow, 55, 376)
