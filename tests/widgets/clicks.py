"""What a front end sends when a person decides or answers, through the schema of messages."""

from agy_nb.widgets.approvals.pending import pending_requests
from agy_nb.widgets.tree.front_end_messages import parse


def _send(message) -> bool:
    reply = parse(message)
    return reply is not None and pending_requests.resolve(reply)


def click(key: str, **message) -> bool:
    """Decide on an approval; tell whether it counts."""
    return _send({"type": "decide", "id": key, **message})


def answer(key: str, **message) -> bool:
    """Answer a question; tell whether it counts."""
    return _send({"type": "answer", "id": key, **message})
