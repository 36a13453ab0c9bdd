"""Load environment variables from a `.env` file, only if the user calls `load_env`."""

from __future__ import annotations

import io
import os
from pathlib import Path

from agy_nb.errors import InvalidConfigError

_MOST_BYTES = 1_000_000


def load_env(path: str | os.PathLike[str] = ".env") -> tuple[str, ...]:
    """Set the variables of a `.env` file that are not set yet.

    Call it before the first agent, because the harness gets the variables that are set when it
    starts. A variable that is already set keeps its value, also an empty one. Values are never
    printed. Recordings are redacted for variables whose names say that they are secret. Only
    `path` is read; parent folders are not searched.

    Args:
        path: The file, UTF-8, with lines such as `NAME=value`, `export NAME="value"` and `# note`;
            `${NAME}` stands for another variable.

    Returns:
        The names of the variables that were set, in alphabetical order.

    Raises:
        InvalidConfigError: The file cannot be read, or a line is malformed. No variable is set.

    Example:
        >>> import os
        >>> from pathlib import Path
        >>> _ = Path(".env").write_text("TEAM_COLOUR=blue")
        >>> names = agy.load_env()
        >>> os.environ["TEAM_COLOUR"]
        'blue'
    """
    text = _read(path)
    # Imported here: most users never need them.
    from dotenv import dotenv_values, load_dotenv
    from dotenv.parser import parse_stream

    for binding in parse_stream(io.StringIO(text)):
        name, value = binding.key or "", binding.value or ""
        if binding.error or "=" in name or "\0" in name + value or (not name and value):
            raise InvalidConfigError(
                f"line {binding.original.line} of {os.fspath(path)!r} must be NAME=value; "
                "put a value with spaces, # or line ends in quotes",
                field="path",
            )
    in_file = {
        name: value
        for name, value in dotenv_values(stream=io.StringIO(text)).items()
        if value is not None
    }
    # Known before they are set: an agent that works right now may read them at once.
    from agy_nb.cassette.redaction.known.environment_values import learn_variables

    learn_variables(in_file)
    before = set(os.environ)
    load_dotenv(stream=io.StringIO(text))
    set_now = set(os.environ) - before
    learn_variables({name: os.environ[name] for name in set_now})
    return tuple(sorted(set_now & set(in_file)))


def _read(path: str | os.PathLike[str]) -> str:
    shown = os.fspath(path)
    try:
        file = Path(path)
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise InvalidConfigError(f"cannot read {shown!r}: not a regular file", field="path")
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InvalidConfigError(
                f"cannot read {shown!r}: larger than {_MOST_BYTES:,} bytes", field="path"
            )
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # its words would show a byte of a value
        raise InvalidConfigError(
            f"cannot read {shown!r}: byte {error.start} is not UTF-8", field="path"
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidConfigError(f"cannot read {shown!r}: {error}", field="path") from error
