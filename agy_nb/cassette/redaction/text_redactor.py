"""Redact one text by itself: secrets, folders of this machine, expressions of the user."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from agy_nb.cassette.redaction.finder import find_secrets, replaced
from agy_nb.cassette.redaction.known.known_values import KnownValues
from agy_nb.cassette.redaction.known.machine_places import MachinePlaces
from agy_nb.cassette.redaction.split_text import TextSpan, mark, merged
from agy_nb.cassette.redaction.user_rules import RULE, Rule, UserRules
from agy_nb.wire.path_map import MARK

REMEMBERED = 4000
"""Most texts that are remembered to be clean."""
_PASSES = 4
"""Times that a text is looked at again after something was taken out of it."""


class TextRedactor:
    """Takes secrets and folders of this machine out of texts. One thread at a time may call it.

    Args:
        rules: The user's rules, in addition to the built-in ones.
        places: Folders and their marks; home and the temporary folder when None.
        allow: Texts, or expressions that match them whole, that stay although they look secret.

    Attributes:
        counts: How often each kind of text was removed.
        rules: The user's rules.
        known: The values that are removed from every text.
        places: The folders that are replaced by marks.
        clean_parts: Whether parts of documents are clean, by their hash, until a value is learned.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        places: Mapping[str, str] | None,
        allow: Iterable[str | re.Pattern[str]],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.rules: UserRules = UserRules(rules)
        self.known: KnownValues = KnownValues()
        self.places: MachinePlaces = MachinePlaces(places, self._forget)
        self.clean_parts: dict[bytes, bool] = {}
        self._seen: dict[str, str] = {}
        self._allow = tuple(allow)

    def learn(self, values: Iterable[str]) -> None:
        """Remove these values from every text from now on."""
        if self.known.add(values):
            self._forget()

    def _forget(self) -> None:
        self._seen.clear()
        self.clean_parts.clear()

    def allows(self, value: str) -> bool:
        """Return whether the user lets a text stay although it looks secret."""
        return any(
            value == allowed if isinstance(allowed, str) else allowed.fullmatch(value) is not None
            for allowed in self._allow
        )

    def spans(self, text: str) -> list[TextSpan]:
        """Find the parts to remove from a text, in order."""
        found = find_secrets(text, known=self.known.find if len(self.known) else None)
        found += self.rules.spans(text)
        places = self.places.path_map().replacements(text)
        found += [TextSpan(*place, secret=False) for place in places]
        return merged(
            span
            for span in found
            if span.start < span.end
            and not MARK.fullmatch(text, span.start, span.end)
            and not (span.secret and self.allows(text[span.start : span.end]))
        )

    def text(self, text: str) -> str:
        """Redact a text. Names of fields and system prompts come again and again."""
        known = self._seen.get(text)
        if known is not None:
            return known
        clean, found = text, True
        for _ in range(_PASSES):  # the rest may look like a secret beside a mark
            if not (spans := self.spans(clean)):
                found = clean != text
                break
            for span in spans:  # each removal is counted
                kind = "secret" if span.secret and span.mark != RULE else span.mark[6:-2]
                self.counts[kind] += 1
            clean = replaced(clean, spans)
        if not found:  # `counts` must grow with each removal, so only clean texts are remembered
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[text] = clean
        return clean

    def number(self, value: float) -> Any:
        """Redact a number: a known value or a rule of the user may match its digits."""
        if len(self.known) and repr(value) in self.known:
            return self.blank("secret")
        return self.blank("rule") if self.rules.spans(repr(value)) else value

    def blank(self, kind: str) -> str:
        """Return the mark of something that is removed whole, and count it."""
        self.counts[kind] += 1
        return mark(kind)
