"""Takes secrets out of exchanges with a model, as they stand in vcrpy's files."""

from __future__ import annotations

from typing import Any

from agy_nb.cassette.http.response_fields import CHUNKS
from agy_nb.cassette.redaction.http.http_bodies import encoding_of
from agy_nb.cassette.redaction.http.http_headers import (
    clean_headers,
    clean_request_headers,
    with_length,
)
from agy_nb.cassette.redaction.http.sse_events import clean_stream
from agy_nb.cassette.redaction.http.uris import clean_uri
from agy_nb.cassette.redaction.split_text import PieceRedactor
from agy_nb.cassette.storage.shared.vcr_file import Interaction


def cleaned(made: Interaction, redactor: PieceRedactor) -> Interaction:
    """Return an exchange without secrets.

    Args:
        made: The exchange; it is not changed.
        redactor: Finds the secrets.
    """
    request, response = made["request"], made["response"]
    response = dict(response)
    request = request | {"uri": clean_uri(str(request.get("uri", "")), redactor.text)}
    asked = request.get("body")
    if isinstance(asked, str):
        request["body"] = redactor.text(asked)
    elif isinstance(asked, bytes):
        request["body"] = redactor.body(asked, encoding=_encoding(request))
    body = (response.get("body") or {}).get("string")
    if isinstance(body, str):
        text, chunks = clean_stream(body, response.get(CHUNKS) or (), redactor)
        if text != body:
            response = response | {"body": {"string": text}, CHUNKS: chunks}
    elif isinstance(body, bytes):
        whole = redactor.body(body, encoding=_encoding(response))
        if whole != body:
            seconds = sum(dt for _, dt in response.get(CHUNKS) or ())
            response = response | {"body": {"string": whole}}
            if CHUNKS in response:
                response[CHUNKS] = [[len(whole), seconds]]
    if isinstance(headers := request.get("headers"), dict):
        request["headers"] = clean_request_headers(headers, redactor.text)
    if isinstance(headers := response.get("headers"), dict):
        changed = with_length(headers, body, (response.get("body") or {}).get("string"))
        response["headers"] = clean_headers(changed, redactor.text)
    return made | {"request": request, "response": response}


def _encoding(message: dict[str, Any]) -> str:
    headers = message.get("headers")
    return encoding_of(headers.items()) if isinstance(headers, dict) else ""
