"""What was recorded there and then, and what stands for it here and now.

Folders of a configuration, home, the temporary folder and the conversation's id differ from run to
run. They are bound by what they are for, once, when the client's configuration comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from agy_nb.cassette.format import Frame
from agy_nb.cassette.redaction import MARK, OWN_MARKS, local_places
from agy_nb.wire.config import conversation_of, paths_of


class Substitution:
    """Both ways between the recording's words and this machine's.

    Args:
        recorded: The recorded configuration.
        actual: The client's as it came.
        redact: Brings a text of the client into the recording's words.
        places: Folders of this machine by their marks; home and the temporary folder by default.
    """

    def __init__(
        self,
        recorded: Frame,
        actual: Frame,
        *,
        redact: Callable[[str], str],
        places: Mapping[str, str] | None = None,
    ) -> None:
        outward: dict[str, str] = {}
        inward: dict[str, str] = {}
        here = paths_of(actual)
        for name, there in paths_of(recorded).items():
            # A folder that was taken out as a secret is one mark of many: it stands for none.
            if name in here and not is_lost(there):
                outward[there] = here[name]
                inward[redact(here[name])] = there
        there, now = conversation_of(recorded), conversation_of(actual)
        if there and now and not is_lost(there):
            outward[there] = now
            inward[now] = there
        outward |= local_places() if places is None else places
        self._outward = _Replacer(outward)
        # Most frames hold nothing to replace; to see that must cost next to nothing.
        self._hints = tuple(
            {"{{agy:" if w.startswith("{{agy:") else w for w in self._outward.words}
        )
        self._inward = _Replacer(inward)

    def outward(self, message: str) -> str:
        """A frame of the harness, as JSON text, in this machine's words."""
        for hint in self._hints:
            if hint in message:
                return self._outward.in_json(message)
        return message

    def outward_frame(self, frame: Frame) -> Frame:
        """A recorded frame in this machine's words."""
        walked: Frame = json.loads(self.outward(json.dumps(frame)))
        return walked

    def inward(self, frame: Frame) -> Frame:
        """A redacted frame of the client in the recording's words."""
        if not self._inward:
            return frame
        walked: Frame = self._inward.in_value(frame)
        return walked


def is_lost(recorded: str) -> bool:
    """Say whether redaction took away a part of a text: no value is put in such a mark's place."""
    return any(match[0] not in OWN_MARKS for match in MARK.finditer(recorded))


class _Replacer:
    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = {old: new for old, new in words.items() if old != new and old}
        self._pattern = self._compile(self._words)
        # In a frame's text a word stands escaped once, inside embedded JSON twice.
        forms: dict[str, str] = {}
        for old, new in self._words.items():
            for _ in range(3):
                forms.setdefault(old, new)
                old, new = json.dumps(old)[1:-1], json.dumps(new)[1:-1]  # noqa: PLW2901
        self._json_words, self._json_pattern = forms, self._compile(forms)

    @property
    def words(self) -> tuple[str, ...]:
        """Every form of what is replaced."""
        return tuple(self._json_words)

    def __bool__(self) -> bool:
        return bool(self._words)

    @staticmethod
    def _compile(words: Mapping[str, str]) -> re.Pattern[str] | None:
        if not words:
            return None
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        bounded = (
            re.escape(word) if word.startswith("{{") else rf"(?<![\w.-]){re.escape(word)}"
            for word in longest_first
        )
        return re.compile(rf"(?:{'|'.join(bounded)})(?![\w-])")

    def in_json(self, text: str) -> str:
        if self._json_pattern is None:
            return text
        return self._json_pattern.sub(lambda match: self._json_words[match[0]], text)

    def in_value(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(lambda match: self._words[match[0]], value)
        if isinstance(value, dict):
            return {key: self.in_value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.in_value(item) for item in value]
        return value
