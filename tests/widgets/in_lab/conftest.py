"""One server and one browser for all; a notebook in JupyterLab, and one in Notebook 7."""

import pytest

from tests.widgets.in_lab.driver import front_ends
from tests.widgets.in_lab.driver.cells import START


@pytest.fixture(scope="package")
def site(tmp_path_factory):
    site = front_ends.Site(tmp_path_factory.mktemp("site"))
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture(scope="package")
def lab(site):
    lab = front_ends.lab(site, "views.ipynb")
    lab.do(START)
    yield lab
    lab.close()


@pytest.fixture(scope="package")
def seven(site):
    seven = front_ends.seven(site, "seven.ipynb")
    seven.do(START)
    yield seven
    seven.close()


@pytest.fixture(autouse=True)
def looked_at(request):
    """No script of anybody's ran and no foreign host was asked, whatever the test was about."""
    yield
    for name in {"lab", "seven"} & set(request.fixturenames):
        front = request.getfixturevalue(name)
        front.calm()
        assert front.page.evaluate("window.pwned") == 0
    site = request.getfixturevalue("site")
    errors, site.errors[:] = site.errors[:], []  # each is one test's
    assert errors == []
    assert site.strangers() == []
