"""A test that hangs ends, also in its second try: the hook in tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"
HANGS = """
import asyncio, pytest

@pytest.mark.timeout(0.3)
@pytest.mark.flaky(reruns=1)
async def test_hangs():
    await asyncio.Event().wait()
"""


@pytest.mark.slow
def test_second_try_has_a_limit_of_its_own(pytester):
    pytester.makeconftest(
        f"import sys; sys.path.insert(0, {str(CONFTEST.parents[1])!r})\n"
        "from tests.conftest import pytest_runtest_setup\n"
    )
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(HANGS)
    result = pytester.runpytest_subprocess("-p", "no:agy_nb", timeout=30)
    result.stdout.fnmatch_lines(["*1 failed, 1 rerun in*"])
