"""Places in a frame that a JSON path names, and a replacement for their values.

`$.config.models[*].name`, `userInput.parts[0].text`, `$..note`: the paths of jsonpath-ng.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from agy_nb.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path, parsed once: that takes milliseconds, a look into a frame microseconds."""

    text: str
    _path: Any  # a JSONPath of the library, which is imported on first use

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Read a path.

        Raises:
            InvalidInputError: The text is not a path, or names the whole frame.

        Example:
            >>> JsonPath.parse("$.a[0].b").replace({"a": [{"b": 1}]}, "x")
            ({'a': [{'b': 'x'}]}, 1)
        """
        from jsonpath_ng.parser import parse

        try:
            path = parse(text)
            # Named operators (`parent`, `this`) find places that the library cannot replace.
            usable = "`" not in text and isinstance(path.update({}, ""), dict)
        except Exception as error:
            reason = str(error) or "places cannot be replaced with it"
        else:
            if usable:
                return cls(text, path)
            reason = "it must name places inside a frame"
        raise InvalidInputError(
            f"{text!r} is not a JSON path of a redaction rule: {reason}; write e.g. "
            "$.config.models[*].name or $..note",
            field="path",
        )

    def replace(self, value: Any, replacement: Any) -> tuple[Any, int]:
        """Return a copy with each place of the path replaced, and the number of places."""
        found = len(self._path.find(value))
        if found:
            value = self._path.update(copy.deepcopy(value), replacement)
        return value, found
