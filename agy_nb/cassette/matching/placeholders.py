"""What was recorded there and then, and what stands for it here and now.

Folders of a configuration, home, the temporary folder and the conversation's id differ from run to
run. They are bound by what they are for, once, when the client's configuration comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from agy_nb.cassette.redaction import MARK, OWN_MARKS, local_places
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire.client_config import conversation_of, paths_of


class Placeholders:
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
        self._here: dict[str, str] = {}  # what is the client's own, in the recording's words
        self._redact = redact
        here = paths_of(actual)
        for name, there in paths_of(recorded).items():
            # A folder that was taken out as a secret is one mark of many: it stands for none.
            if name in here and not is_lost(there):
                outward[there] = here[name]
                self._here[here[name]] = there
        there, now = conversation_of(recorded), conversation_of(actual)
        if there and now and not is_lost(there):
            outward[there] = now
            self._here[now] = there
        outward |= local_places() if places is None else places
        # In a frame's text a word stands escaped once, inside embedded JSON twice.
        forms: dict[str, str] = {}
        for old, new in outward.items():
            for _ in range(3):
                forms.setdefault(old, new)
                old, new = json.dumps(old)[1:-1], json.dumps(new)[1:-1]  # noqa: PLW2901
        self._outward = _Replacer(forms)
        # Most frames hold nothing to replace; to see that must cost next to nothing.
        self._hints = tuple(
            {"{{agy:" if w.startswith("{{agy:") else w for w in self._outward.words}
        )

    @cached_property
    def _inward(self) -> _Replacer:
        """Made when it is needed: most frames of the client are the recorded ones as they come."""
        return _Replacer({self._redact(here): there for here, there in self._here.items()})

    def outward(self, message: str) -> str:
        """A frame of the harness, as JSON text, in this machine's words."""
        for hint in self._hints:
            if hint in message:
                return self._outward.in_text(message)
        return message

    def outward_frame(self, frame: Frame) -> Frame:
        """A recorded frame in this machine's words."""
        walked: Frame = json.loads(self.outward(json.dumps(frame)))
        return walked

    def inward(self, frame: Frame) -> Frame:
        """A redacted frame of the client in the recording's words."""
        walked: Frame = self._inward.in_value(frame)
        return walked


def is_lost(recorded: str) -> bool:
    """Say whether redaction took away a part of a text: no value is put in such a mark's place."""
    return any(match[0] not in OWN_MARKS for match in MARK.finditer(recorded))


class _Replacer:
    """Puts words in the place of others."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = {old: new for old, new in words.items() if old != new and old}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.words, key=lambda word: (-len(word), word))
        bounded = (
            re.escape(word) if word.startswith("{{") else rf"(?<![\w.-]){re.escape(word)}"
            for word in longest_first
        )
        return re.compile(rf"(?:{'|'.join(bounded)})(?![\w-])")

    def in_text(self, text: str) -> str:
        if not self.words:
            return text
        return self._pattern.sub(lambda match: self.words[match[0]], text)

    def in_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.in_text(value)
        if isinstance(value, dict):
            return {key: self.in_value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.in_value(item) for item in value]
        return value
