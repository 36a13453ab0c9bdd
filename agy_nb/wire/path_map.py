r"""Replace paths in texts and frames, in every spelling that a text may have for a path.

A path occurs as it is, escaped in JSON inside a text, percent-encoded in a URL, with the slashes of
Windows turned, and with its accents composed or decomposed. A replacement is written in the
spelling that was found. Recordings put marks such as `{{agy:tmp}}` in the place of this machine's
folders. `{{agy:tmp-json}}` or `{{agy:tmp-url}}` is the same folder in another spelling.

A path is only replaced as a whole: `/app` occurs in `/app/x`, `file:///app` and `\n/app`, but not
in `/apple`, `/application/v1`, `./app`, `https://app` or `{{agy:tmp}}/app`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from agy_nb.wire.json_values import dump_like, embedded_json

MARK_START = "{{agy:"
MARK = re.compile(r"\{\{agy:[a-z0-9-]+\}\}")
"""The mark in a recording of a text that was replaced or removed."""


def marks_in(text: str) -> list[tuple[int, int]]:
    """Return start and end of each mark in a text. Most texts have none, and cost little."""
    return [mark.span() for mark in MARK.finditer(text)] if MARK_START in text else []


# Letters of words, in scripts that put spaces between words. In "请看/app" a path begins.
_LETTER = r"A-Za-z0-9_\u00aa-\u1fff"
_ENCODED_LETTER = r"(?i:2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E|[89A-F])"
_BEFORE_ROOT = (
    rf"(?:(?<![{_LETTER}.~*<)\]}}/\\-])"
    r"|(?<=file://)|(?<=file:\\/\\/)|(?<=://localhost)|(?<=:///)"
    r"|(?<=\\[nrtbfv])"  # the letter of an escape in JSON or a program
    rf"|(?<=-[A-Za-z])(?<![{_LETTER}.~*<)\]}}/\\-]-[A-Za-z])"  # an option such as -I/app/include
    r"|(?<=\\[nrtbfv]-[A-Za-z])|(?<=-isystem)|(?<=-iquote)"
    r"|(?<=\[[0-9]m)|(?<=;[0-9]m)|(?<=[\[;][0-9]{2}m)"  # a terminal's colour
    rf"|(?<=%(?!{_ENCODED_LETTER}|2F|2f)[0-9A-Fa-f]{{2}}))"
)
_BEFORE_WORD = rf"(?:(?<![{_LETTER}.-])|(?<=\\[nrtbfv]))"
_AFTER = rf"(?![{_LETTER}-]|%20|%{_ENCODED_LETTER}|\\u(?!00[0-7]))"
_NO_SUFFIX = rf"(?!~|\.[{_LETTER}])"  # /app.old and /app~ are other files
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SEPARATOR = re.compile(r"[\\/]")
_FILE_URL = "file://"
_IN_JSON = re.compile(r"[:{\[,] {0,4}(?P<escape>\\?)\"(?:-[A-Za-z])?\Z")
"""The characters before a string in JSON that is cut or has other text around it."""
_GO_SAFE = "/$&+,:;=@"
"""What the harness does not encode in the path of a URL."""


class Replacement(NamedTuple):
    """A part of a text, and the text that replaces it."""

    start: int
    end: int
    text: str


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _url(path: str, quoted: Callable[[str], str] = lambda part: quote(part, safe=_GO_SAFE)) -> str:
    if _DRIVE.match(path):
        return "/" + path[:2] + quoted(path[2:].replace("\\", "/"))
    return quoted(path)


def _escaped_slashes(text: str) -> str:
    r"""Spell a path as some programs do in JSON: `\/home\/ada`."""
    return _json(text).replace("/", r"\/")


_SPELLINGS: dict[str, Callable[[str], str]] = {
    "": str,
    "-json": _json,
    "-json-json": lambda text: _json(_json(text)),
    "-json-json-json": lambda text: _json(_json(_json(text))),
    "-slash": _escaped_slashes,
    "-slash-json": lambda text: _json(_escaped_slashes(text)),
    "-url": _url,
    "-query": lambda path: quote(path, safe=""),
}
"""How each spelling is written, by the suffix of its marks."""


class PathMap:
    """Replaces words, most of them paths, by others.

    Args:
        words: The new words by the old ones: absolute paths, paths that begin with a mark, marks,
            and ids.
        keep_spelling: Whether a replacement is spelled as the text that it replaces.

    Example:
        >>> there = PathMap({"/srv/a b": "{{agy:workspace-0}}"})
        >>> there.text("see file:///srv/a%20b/notes.txt, not /srv/a bc")
        'see file://{{agy:workspace-0}}/notes.txt, not /srv/a bc'
        >>> PathMap({"{{agy:workspace-0}}": "/home/ü"}).text("file://{{agy:workspace-0}}/notes.txt")
        'file:///home/%C3%BC/notes.txt'
    """

    def __init__(self, words: Mapping[str, str], *, keep_spelling: bool = True) -> None:
        self._keep_spelling = keep_spelling
        self._words = {
            _bare(old): _bare(new) for old, new in words.items() if old != new and _is_usable(old)
        }
        self._hints = set(map(_hint, self._words))

    def __bool__(self) -> bool:
        return bool(self._words)

    def may_change(self, text: str) -> bool:
        """Return whether a text could contain one of the words; False is certain."""
        for hint in self._hints:  # noqa: SIM110 - `any` takes three times as long
            if hint in text:
                return True
        return False

    def replacements(self, text: str) -> list[Replacement]:
        """Return the replacements for a text, in order."""
        if not self.may_change(text):
            return []
        pattern, forms = _compiled(tuple(self._words))
        return [
            Replacement(*match.span(), self._replacement(text, match.start(), *forms[match[0]]))
            for match in pattern.finditer(text)
        ]

    def _replacement(self, text: str, start: int, word: str, spelling: str) -> str:
        new = self._words[word]
        if not self._keep_spelling:
            return new
        in_file_url = text.startswith(_FILE_URL, max(0, start - len(_FILE_URL)))
        if in_file_url and start >= len(_FILE_URL) and spelling in ("", "-url"):
            return _spelled(new, "-url", suffix="")  # the mark needs no suffix: the place says it
        if not spelling and (quoted := _IN_JSON.search(text, max(0, start - 8), start)):
            spelling = "-json-json" if quoted["escape"] else "-json"
            return _spelled(new, spelling, suffix="")
        return _spelled(new, spelling)

    def text(self, text: str) -> str:
        """Return a text with the words replaced."""
        pieces: list[str] = []
        at = 0
        for start, end, new in self.replacements(text):
            pieces += (text[at:start], new)
            at = end
        return "".join((*pieces, text[at:])) if pieces else text

    def value(self, value: Any) -> Any:
        """Return JSON data with the words replaced, also in keys and in JSON inside strings."""
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, dict):
            may_change = self.may_change
            return {
                self.text(key) if may_change(key) else key: self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def message(self, text: str) -> str:
        """Return JSON text with the words replaced. Other text counts as one string."""
        if not self.may_change(text):
            return text
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return self.text(text)
        changed = self.value(data)
        return text if changed == data else dump_like(text, data, changed)

    def _string(self, text: str) -> str:
        if not self.may_change(text):
            return text
        inner = embedded_json(text)
        if inner is None:
            return self.text(text)
        changed = self.value(inner)
        return text if changed == inner else dump_like(text, inner, changed)


def _bare(word: str) -> str:
    """Remove a separator at the end, which a path in a text need not have."""
    return word.rstrip("/\\") or word


def _is_usable(word: str) -> bool:
    """Return whether a word means one thing: an absolute path below the root, a mark, or an id."""
    if _is_absolute(word):
        return bool(word.strip("/\\")) and not re.fullmatch(r"[A-Za-z]:[\\/]*", word)
    is_id = len(word) > 1 and not word.isalpha() and not _SEPARATOR.search(word)
    return is_id or MARK.match(word) is not None


def _is_absolute(word: str) -> bool:
    return word.startswith(("/", "\\")) or _DRIVE.match(word) is not None


def _hint(word: str) -> str:
    """Return a part that all spellings of a word have. Most texts have none of them.

    All words with a mark have the same part, so that fewer parts are looked for.
    """
    if MARK_START in word:
        return MARK_START
    parts = re.findall(r"[A-Za-z0-9]+", unicodedata.normalize("NFC", word))
    return max(parts, key=len, default="")


def _spelled(word: str, spelling: str, *, suffix: str | None = None) -> str:
    """Write a word in a spelling; its marks get the spelling's suffix."""
    if not spelling:
        return word
    suffix, spell = spelling if suffix is None else suffix, _SPELLINGS[spelling]
    pieces: list[str] = []
    at = 0
    for match in MARK.finditer(word):
        pieces += (spell(word[at : match.start()]), f"{match[0][:-2]}{suffix}}}}}")
        at = match.end()
    return "".join((*pieces, spell(word[at:])))


def _forms(word: str) -> Iterator[tuple[str, str]]:
    """Yield the spellings of a word, each with its name, the plain one first."""
    normal = {word: None, **{unicodedata.normalize(n, word): None for n in ("NFC", "NFD")}}
    drives = {d: None for w in normal for d in _drive_forms(w)}
    for form in drives:
        yield form, ""
    if not _SEPARATOR.search(word) and not MARK.match(word):
        return  # an id is spelled in one way
    for spelling, form in product(_SPELLINGS, drives):
        for suffix in {spelling, ""} if MARK.search(form) else {""}:
            yield _spelled(form, spelling, suffix=suffix), spelling
    for form in drives:
        ascii_only = form
        for level in ("-json", "-json-json", "-json-json-json"):
            ascii_only = json.dumps(ascii_only)[1:-1]
            yield ascii_only, level
        if MARK.search(form):
            continue
        encoded = {
            "-url": (_url(form), _url(form, quote), _url(form, _js_quoted), _encoded_drive(form)),
            "-query": (quote(form, safe=""), quote_plus(form), quote(form, safe="!*'()")),
        }
        for spelling, spelled in encoded.items():
            for each in spelled:
                yield each, spelling
                yield _lower_hex(each), spelling


def _js_quoted(path: str) -> str:
    return quote(path, safe="!*'();/?:@&=+$,#")


def _encoded_drive(path: str) -> str:
    """Spell a path as editors do in a URL: `/c%3A/Users`."""
    return "/" + quote(path.replace("\\", "/")) if _DRIVE.match(path) else quote(path)


def _drive_forms(path: str) -> Iterator[str]:
    yield path
    if _DRIVE.match(path):
        yield path.replace("\\", "/")
        other = path[0].swapcase() + path[1:]
        yield other
        yield other.replace("\\", "/")


def _lower_hex(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text)


@lru_cache(maxsize=256)
def _compiled(words: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    """Compile the pattern for all spellings of some words, with the word and spelling of each."""
    forms: dict[str, tuple[str, str]] = {}
    for word in words:
        for form, spelling in _forms(word):
            forms.setdefault(form, (word, spelling))
    return re.compile(_any_of(sorted(forms, key=lambda form: (-len(form), form)))), forms


def _any_of(forms: Sequence[str]) -> str:
    """Return an expression for these texts, the longest first, as a whole.

    Texts with the same bounds share them: to compile the bounds takes longer than the texts.
    """
    groups: dict[str, list[tuple[str, list[str]]]] = {}
    for form in forms:
        before, after = _bounds(form)
        group = groups.setdefault(before, [])
        if not group or group[-1][0] != after:
            group.append((after, []))
        group[-1][1].append(re.escape(form))
    return (
        "|".join(
            before
            + "(?:"
            + "|".join(f"(?:{'|'.join(texts)}){after}" for after, texts in group)
            + ")"
            for before, group in groups.items()
        )
        or r"(?!)"
    )


def _bounds(form: str) -> tuple[str, str]:
    """Return what must be before and behind a text."""
    if form.startswith(MARK_START):
        return "", "" if form.endswith("}}") else _AFTER + _NO_SUFFIX
    root = form[0] in "/\\%"
    after = _AFTER + _NO_SUFFIX if root or "." in form or _DRIVE.match(form) else _AFTER
    return _BEFORE_ROOT if root else _BEFORE_WORD, after
