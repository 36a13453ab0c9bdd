"""A real kernel of this environment."""

import sys
from pathlib import Path

import pytest

from tests.kernel.conftest import Driver


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    driver = Driver(Path(sys.executable), tmp_path_factory.mktemp("magics"), "%load_ext agy_nb\n")
    yield driver
    driver.close()


@pytest.fixture
def cell(kernel):
    kernel.seen.clear()
    return kernel
