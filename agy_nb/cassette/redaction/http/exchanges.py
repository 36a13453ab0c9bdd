"""Takes secrets out of exchanges with a model, as they stand in vcrpy's files."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from agy_nb.cassette.redaction.http.http_bodies import encoding_of
from agy_nb.cassette.redaction.http.sse_events import clean_stream
from agy_nb.cassette.redaction.rules.field_names import harmless_header, is_secret_name
from agy_nb.cassette.redaction.split_text import SECRET, Seeing
from agy_nb.cassette.storage.model_log import Interaction


def cleaned(made: Interaction, redactor: Seeing) -> Interaction:
    """An exchange without secrets.

    Args:
        made: The exchange; it is not changed.
        redactor: Knows what is secret.
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
        text, chunks = clean_stream(body, response.get("x_agy_chunks") or (), redactor)
        if text != body:
            response = response | {"body": {"string": text}, "x_agy_chunks": chunks}
    elif isinstance(body, bytes):
        whole = redactor.body(body, encoding=_encoding(response))
        if whole != body:
            seconds = sum(dt for _, dt in response.get("x_agy_chunks") or ())
            response = response | {"body": {"string": whole}}
            if "x_agy_chunks" in response:
                response["x_agy_chunks"] = [[len(whole), seconds]]
    for message in (request, response):
        if isinstance(headers := message.get("headers"), dict):
            message["headers"] = {
                name: _header(name, value, redactor) for name, value in headers.items()
            }
    return made | {"request": request, "response": response}


_PARAMETER = re.compile(r"(?<=[?&;])([^=&#;?]{1,80})=([^&#;]+)")


def clean_uri(uri: str, text: Callable[[str], str]) -> str:
    """Give the address of a request without secrets.

    Of a request that was made, every parameter with a secret's name is one, and so is `key`.

    Args:
        uri: The address.
        text: Gives a text without secrets.
    """

    def parameter(match: re.Match[str]) -> str:
        name, value = match.groups()
        secret = name.lower() == "key" or is_secret_name(name)
        return f"{name}={SECRET}" if secret and not value.startswith("{{agy:") else match[0]

    return _PARAMETER.sub(parameter, text(uri))


def _header(name: str, value: Any, redactor: Seeing) -> Any:
    if isinstance(value, list):
        return [_header(name, each, redactor) for each in value]
    if not isinstance(value, str) or harmless_header(name):
        return redactor.text(value) if isinstance(value, str) else value
    return SECRET if is_secret_name(name) else redactor.text(value)


def _encoding(message: dict[str, Any]) -> str:
    headers = message.get("headers")
    return encoding_of(headers.items()) if isinstance(headers, dict) else ""
