"""Requests against the `site` of a module, recorded, and replayed with the site gone."""

import pytest

from tests.support.http_site import tool_http


@pytest.fixture
def both(site, tmp_path):
    """Make requests against the site, and again with the site gone; return both outcomes."""

    def run(work):
        base = f"http://127.0.0.1:{site.server_port}"
        with tool_http(tmp_path / "c", "once"):
            recorded = work(base)
        site.shutdown()
        site.server_close()
        with tool_http(tmp_path / "c", "none"):
            return recorded, work(base)

    return run


@pytest.fixture
def twice(both):
    """Make requests as `both` does; both outcomes must be the same."""

    def run(work):
        recorded, replayed = both(work)
        assert replayed == recorded
        return recorded

    return run
