"""Small recordings of prompts, for tests of the files."""

from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import Header
from agy_nb.cassette.storage.writer import CassetteWriter

EXCHANGE = {
    "request": {"method": "GET", "uri": "http://localhost/", "body": "", "headers": {}},
    "response": {
        "status": {"code": 200, "message": "OK"},
        "headers": {},
        "body": {"string": "fine"},
    },
}
"""One request of a tool, as vcrpy writes it."""


def record(path, *prompts):
    """Begin a recording with these prompts."""
    writer = CassetteWriter(path, Header())
    for text in prompts:
        writer.put(0, "client", 0.0, {"userInput": {"parts": [{"text": text}]}})
    return writer


def prompts_of(path):
    """The prompts of a cassette."""
    return [
        line.frame["userInput"]["parts"][0]["text"]
        for session in load(path).sessions
        for line in session.lines
    ]
