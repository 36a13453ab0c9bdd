"""Redact everything that a cassette holds: frames, requests to models, HTTP of tools, stderr.

Rule 1: fail closed. A value under a secret's name is always removed. Of headers
and environments only values that are known to be harmless stay.
Rule 2: a removed text leaves a mark, `{{agy:KIND}}`. A replay never replaces it by a value.
Rule 3: a folder of this machine leaves a mark that a replay replaces by its own machine's folder.
Rule 4: redacting twice gives the same as redacting once.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import chain

from agy_nb.cassette.redaction.http.http_bodies import clean_body
from agy_nb.cassette.redaction.http.json_parts import JsonPart, parts_of
from agy_nb.cassette.redaction.json_redactor import JsonRedactor
from agy_nb.cassette.redaction.known.environment_values import Learner
from agy_nb.cassette.redaction.rules.field_names import secret_values
from agy_nb.cassette.redaction.split_text import TextSpan
from agy_nb.cassette.redaction.text_redactor import REMEMBERED, TextRedactor
from agy_nb.cassette.redaction.user_rules import Rule, UserRules
from agy_nb.cassette.storage.format import Frame, WireRecord
from agy_nb.wire.stored.literal_marks import literal_value

_LONG = 1000
"""Characters from which a document is redacted in parts."""


class Redactor:
    """Takes secrets and folders of this machine out of frames.

    Learns as it goes: a key seen in a configuration is taken out wherever it turns up later.

    Args:
        rules: The user's rules, in addition to the built-in ones.
        environ: Whose secret-looking variables' values are taken out; the process's by default.
        places: Folders and their marks; home and the temporary folder by default.
        media: Whether pictures, sound and other media stay in the recording.
        allow: Texts, or expressions that match them whole, that stay although they look secret.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        environ: Mapping[str, str] | None = None,
        places: Mapping[str, str] | None = None,
        media: bool = True,
        allow: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        self._lock = threading.RLock()  # the threads of writer and proxy redact, and the loop
        self._texts = TextRedactor(rules, places, allow)
        self._json = JsonRedactor(self._texts, media)
        self._learn_unless_allowed(secret_values(os.environ if environ is None else environ))
        if environ is None:
            self._learner = Learner(self._learn_unless_allowed)

    @property
    def counts(self) -> Counter[str]:
        """How often each kind of text was removed."""
        return self._texts.counts

    @property
    def rules(self) -> UserRules:
        """The user's rules."""
        return self._texts.rules

    @property
    def known(self) -> int:
        """The number of values that it looks for everywhere."""
        return len(self._texts.known)

    def trust(self, *texts: str) -> None:
        """Take these very objects for clean, until the next call."""
        self._json.trusted = texts

    def line(self, line: WireRecord) -> WireRecord:
        """Return a line that may be written."""
        return WireRecord(line.session, line.direction, line.dt, self.frame(line.frame))

    def frame(self, frame: Frame) -> Frame:
        """Return a frame that may be written; the given one is not changed."""
        with self._lock:
            return self._frame(frame)

    def live_frame(self, frame: Frame) -> Frame:
        """Redact a frame of a client as a recording would, with its literal texts escaped."""
        return self.frame(literal_value(frame))

    def _frame(self, frame: Frame) -> Frame:
        frame = self.rules.document(frame, self.counts)
        known = self.known
        cleaned = self._json.value(frame)
        if self.known > known:  # a key may stand before the place that names it one
            cleaned = self._json.value(cleaned)
        assert isinstance(cleaned, dict)
        return cleaned

    def text(self, text: str) -> str:
        """Redact a text, such as an HTTP body; JSON paths and functions apply to JSON in it."""
        with self._lock:
            if self._json.trusts(text):
                return text
            text = self.rules.document(text, self.counts)
            return text if self._is_clean_in_parts(text) else self._json.text(text)

    def _is_clean_in_parts(self, text: str) -> bool:
        """Return whether a JSON document has only clean parts, nearly all of them known.

        If not, the document is redacted as a whole.
        """
        if len(text) < _LONG or text[0] != "{" or self.rules.has_patterns:
            return False
        if (found := parts_of(text)) is None or _is_named_value(found.names):
            return False
        known, counts = self.known, self.counts.copy()
        # A secret and the name that shows it may be in two parts: `{"name": "password", "value":
        # …}` was excluded above, and a text around each joint is looked at by itself.
        parts = ((part.key, partial(self._is_part, part)) for part in found.parts)
        joints = ((text, partial(self._is_joint, text)) for text in found.joints)
        clean = all(self._remembered(text, look) for text, look in chain(parts, joints))
        if clean and self.known == known:
            return True
        # The document is redacted as a whole now, which counts again what the parts have counted.
        self.counts.clear()
        self.counts.update(counts)
        return False

    def _remembered(self, text: str, look: Callable[[], bool]) -> bool:
        # A hash, because up to `REMEMBERED` parts of any length would stay in memory.
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if (clean := self._texts.clean_parts.get(key)) is None:
            clean = look()
            if len(self._texts.clean_parts) >= REMEMBERED:
                self._texts.clean_parts.clear()
            self._texts.clean_parts[key] = clean
        return clean

    def _is_part(self, part: JsonPart) -> bool:
        is_clean = all(self._json.value(value) == value for value in part.values)
        return is_clean and not self._texts.spans(part.text)

    def _is_joint(self, joint: str) -> bool:
        """Return whether no secret is where two parts meet; half a word may look like one."""
        return all(span.start == 0 or span.end == len(joint) for span in self._texts.spans(joint))

    def spans(self, text: str) -> list[TextSpan]:
        """Find the parts to remove from a text that comes in pieces, in order."""
        with self._lock:
            return self._texts.spans(text)

    def body(
        self, body: bytes, *, encoding: str = "", text: Callable[[str], str] | None = None
    ) -> bytes:
        """Return a body of HTTP that may be written.

        Args:
            body: As it came.
            encoding: Its `Content-Encoding`.
            text: Gives a text fit to be written; the redactor's own by default.
        """
        return clean_body(body, text or self.text, encoding=encoding, media=self._json.keeps_media)

    def warm_up(self) -> None:
        """Look up this machine's folders now. Reads the disk; otherwise the first use does."""
        self._texts.places.path_map()

    def learn(self, *values: str) -> None:
        """Take these values out wherever they turn up from now on."""
        self._texts.learn(values)

    def _learn_unless_allowed(self, values: Iterable[str]) -> None:
        with self._lock:
            self._texts.learn([value for value in values if not self._texts.allows(value)])


def _is_named_value(names: Collection[str]) -> bool:
    """Return whether one member of an object names the value that another one holds."""
    return "value" in names and ("name" in names or "key" in names)
