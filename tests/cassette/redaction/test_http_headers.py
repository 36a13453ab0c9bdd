"""Headers keep their names, and lose what is secret in them."""

import pytest

from agy_nb.cassette.redaction import SECRET, Redactor
from agy_nb.cassette.redaction.http.http_headers import clean_headers, clean_request_headers

KEY = "AbC9dE8fG7hI6jK5"


@pytest.fixture
def text():
    return Redactor(environ={}, places={}).text


def test_response_keeps_every_name_and_what_programs_read(text):
    headers = {
        "Location": f"https://x.example/next?page=2&api_key={KEY}",
        "Link": f'<https://x.example/?page=3&token={KEY}>; rel="next"',
        "Set-Cookie": ["sid=Zx81kQpm2; Path=/; HttpOnly"],
        "X-RateLimit-Remaining": "41",
        "Content-Disposition": 'attachment; filename="a.csv"',
        "X-Api-Key": "short",
    }
    assert clean_headers(headers, text) == {
        "Location": f"https://x.example/next?page=2&api_key={SECRET}",
        "Link": f'<https://x.example/?page=3&token={SECRET}>; rel="next"',
        "Set-Cookie": [f"sid={SECRET}; Path=/; HttpOnly"],
        "X-RateLimit-Remaining": "41",
        "Content-Disposition": 'attachment; filename="a.csv"',
        "X-Api-Key": SECRET,
    }


def test_random_value_of_a_request_is_a_secret_under_any_name(text):
    headers = {"Cookie": "sid=1; theme=dark", "X-Mine": KEY, "User-Agent": KEY, "Accept": "*/*"}
    assert clean_request_headers(headers, text) == {
        "Cookie": f"sid={SECRET}; theme={SECRET}",
        "X-Mine": SECRET,
        "User-Agent": KEY,  # known to be harmless
        "Accept": "*/*",
    }
    assert clean_headers({"X-Mine": KEY}, text) == {"X-Mine": KEY}
