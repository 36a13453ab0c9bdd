"""What holds for every test with a browser."""

import shutil

import pytest

from tests.widgets.in_lab.front_ends import BROWSERS

BROWSER = [
    pytest.mark.browser,
    pytest.mark.blocking_allowed,  # Playwright has a loop of its own in this thread
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not any(map(shutil.which, BROWSERS)), reason="needs Chromium, as `make browser` installs it"
    ),
]
