"""Redact the address of a request."""

from __future__ import annotations

import re
from collections.abc import Callable

from agy_nb.cassette.redaction.rules.field_names import is_secret_name
from agy_nb.cassette.redaction.split_text import SECRET
from agy_nb.wire.path_map import MARK_START

_PARAMETER = re.compile(r"(?<=[?&;])([^=&#;?]{1,80})=([^&#;]+)")


def clean_uri(uri: str, text: Callable[[str], str]) -> str:
    """Return the address of a request without secrets.

    Of a request that was made, every parameter with a secret's name is one, and so is `key`.

    Args:
        uri: The address.
        text: Gives a text without secrets.
    """

    def parameter(match: re.Match[str]) -> str:
        name, value = match.groups()
        secret = name.lower() == "key" or is_secret_name(name)
        return f"{name}={SECRET}" if secret and not value.startswith(MARK_START) else match[0]

    return _PARAMETER.sub(parameter, text(uri))
