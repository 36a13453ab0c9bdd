"""The matrix of docs/front_ends.md is that of the tests, and the tests exist."""

from tests.docs.generated.front_ends import FEATURES, PAGE, SEEN, written
from tests.docs.guides.test_security_page import defines


def test_page_has_the_matrix():
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page), "run `python -m tests.docs.generated.front_ends`"


def test_every_cell_names_a_test_that_exists():
    for name, seen in SEEN.items():
        assert set(seen) <= set(FEATURES)
        for test in seen.values():
            assert defines(*test.split("::")), (name, test)
