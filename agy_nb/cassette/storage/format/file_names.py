"""The names of cassettes and of their files."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.errors import InvalidInputError

HEADER = "header.json"
WIRE = "wire.jsonl"
MODEL = "model.yaml"
EPISODES = "model.jsonl"
TOOLS = "tools.yaml"
OWNER_MARK = ".agy-recording"
"""Mark of the recorder in a folder that it created; see `ownership`."""
FILES = frozenset({HEADER, WIRE, MODEL, EPISODES, TOOLS, OWNER_MARK})
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that systems leave in folders; they are not kept."""

_LONGEST_NAME = 200


def cassette_path(path: str | Path) -> Path:
    """Check and expand the path of a cassette.

    Raises:
        CassetteInvalidError: A folder cannot have this name.
        InvalidInputError: It is not a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidInputError(
            f"the path of a cassette must be a text or a path, got {path!r:.80}; "
            "pass the path of a folder, e.g. 'cassettes/weather'",
            field="path",
        )
    text = str(path)
    found = Path(text).expanduser()
    if not text.strip() or "\0" in text or found.name in ("", ".", ".."):
        raise CassetteInvalidError(
            f"{text!r} cannot name a cassette; pass the path of a folder, e.g. 'cassettes/weather'",
            path=text,
        )
    try:
        os.fsencode(found)
    except UnicodeEncodeError as error:
        raise CassetteInvalidError(
            f"{text!r} cannot name a cassette: the file system cannot hold the character "
            f"{text[error.start]!r}; use another name",
            path=text,
        ) from error
    size = len(os.fsencode(found.name))
    if size > _LONGEST_NAME:
        raise CassetteInvalidError(
            f"the name {found.name[:40]!r}... is {size} bytes long; "
            f"use at most {_LONGEST_NAME} bytes",
            path=text,
        )
    return found


def safe_name(text: str, *, digest: bool = False) -> str:
    """Make a file name of any text, e.g. a test id. Different texts get different names.

    Args:
        text: Any text.
        digest: Whether the name has a digest in any case, so that names that differ only by upper
            and lower case stay apart on every file system.
    """
    name = re.sub(r"[^\w.\[\]-]+", "-", text).strip("-.") or "cassette"
    if digest or name != text or len(name.encode()) > _LONGEST_NAME:
        end = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"{name.encode()[: _LONGEST_NAME - 9].decode(errors='ignore')}-{end}"
    return name
