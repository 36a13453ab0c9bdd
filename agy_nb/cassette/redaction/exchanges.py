"""Takes secrets out of exchanges with a model, as they stand in vcrpy's files."""

from __future__ import annotations

from agy_nb.cassette.episodes import Interaction
from agy_nb.cassette.redaction.events import clean_stream
from agy_nb.cassette.redaction.spans import Seeing


def cleaned(made: Interaction, redactor: Seeing) -> Interaction:
    """An exchange without secrets.

    Args:
        made: The exchange; it is not changed.
        redactor: Knows what is secret.
    """
    request, response = made["request"], made["response"]
    request = request | {"uri": redactor.text(str(request.get("uri", "")))}
    if isinstance(asked := request.get("body"), str):
        request["body"] = redactor.text(asked)
    body = (response.get("body") or {}).get("string")
    if isinstance(body, str):
        text, chunks = clean_stream(body, response.get("x_agy_chunks") or (), redactor)
        if text != body:
            response = response | {"body": {"string": text}, "x_agy_chunks": chunks}
    return made | {"request": request, "response": response}
