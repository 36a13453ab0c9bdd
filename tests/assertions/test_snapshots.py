"""Snapshots of what an agent did, with syrupy and inline-snapshot."""

import re

import pytest

pytestmark = [
    pytest.mark.slow,
    # The suites run in this process, and the SDK blocks the loop while it stops a harness.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TEST = '''
import os
import uuid

import agy_nb as agy
from agy_nb.testing import call, say

def track(order: str) -> str:
    """Track an order."""
    return "on its way"

async def test_it(scripted_model, agy_runtime):
    order = str(uuid.uuid4())
    model = await scripted_model([call("track", order=order), say(f"Order {order}: {ANSWER}")])
    agent = await agy_runtime.create_agent(model.config(), tools=[track])
    response = await (await agent.chat("Where is it?"))
    agy.expect(response).matches_snapshot()
'''

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture
def run(pytester):
    pytester.makeini(INI)

    def run_with(answer, *options):
        pytester.makepyfile(f"ANSWER = {answer!r}\n{TEST}")
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    return run_with


def test_snapshot_is_written_once_and_compared_then(run, pytester):
    run("soon", "--snapshot-update").assert_outcomes(passed=1)
    (file,) = pytester.path.glob("__snapshots__/*.ambr")
    kept = file.read_text(encoding="utf-8")
    assert "track(order='<uuid>')" in kept
    assert not re.search("[0-9a-f]{8}-[0-9a-f]{4}", kept)
    run("soon").assert_outcomes(passed=1)
    failed = run("late")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*the snapshot differs; run pytest with --snapshot-update*"])
    failed.stdout.fnmatch_lines(["*answer*late*"])


def test_without_syrupy_the_error_says_what_to_install(run):
    failed = run("soon", "-p", "no:syrupy")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*the test has no fixture `snapshot`: install syrupy*"])
