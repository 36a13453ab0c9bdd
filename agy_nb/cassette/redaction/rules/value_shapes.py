"""What a value says about itself: random, a password, prose, code, or a placeholder.

Prose and programs use the words `token` and `password` all the time. A value is taken out only if
it looks like a value, so that replayed programs and texts stay as they were.
"""

from __future__ import annotations

import itertools
import re

SHORTEST = 6
"""Characters of the shortest value that is looked for everywhere; shorter ones are words."""

_PLACEHOLDER = re.compile(
    r"(?i)(?:[*x.•#?_-]{2,}|<[^<>]*>|\[[^\[\]]*\]|\$.*|\(?%.*|\{.*|.*\{\{.*|.*\{[\w.!:()\[\]\"' -]{1,60}\}.*|.*\$\{.*|.*\$\(.*|.*<[a-z_ -]+>.*"
    r"|.*%\(?\w*\)?[sd].*|none|null|nil|true|false|undefined|yes|no|on|off|default|optional|required"
    r"|redacted|hidden|masked|empty|str|string|int|bool|bytes|any|object|number|boolean|text|varchar.*"
    r"|.*\b(?:your|example|placeholder|changeme|change[_-]me|dummy|fake|redacted|insert|replace)\b.*"
    r"|your[_-].*|my[_-](?:[a-z0-9]+[_-]){0,4}(?:key|token|secret|password)|.*_(?:here|placeholder)|\.\.\..*|.*\.\.\.)"
)
_WORDS = frozenset(
    {
        "placeholder",
        "undefined",
        "required",
        "optional",
        "disabled",
        "enabled",
        "default",
        "changeme",
    }
)
_STOP = re.compile(
    r"(?i)\b(?:a|an|the|to|is|are|be|been|was|for|of|your|must|should|in|on|at|and|or|with|not|no|by|from"
    r"|this|that|if|as|it|can|cannot|has|have|will|when|using|use|used|need|needs|please|enter|type"
    r"|expected|got|invalid|missing|required|wrong|unknown|does|do|did|only|into|than|too|both|all)\b"
)
_WORDISH = re.compile(r"[A-Za-z]+")
IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|->)[A-Za-z_$][\w$]*)*")
_SNAKE = re.compile(
    r"_*[a-z]+\d{0,2}(?:[_.-]+(?:[a-z]+\d{0,2}|\d{1,2}))*_*"
    r"|_*[A-Z]+\d{0,2}(?:[_-]+(?:[A-Z]+\d{0,2}|\d{1,2}))*_*"
)
_CAMEL = re.compile(r"_*[a-z]*(?:[A-Z]{1,6}[a-z]{2,})+[A-Z]{0,4}\d{0,2}")
CALL = re.compile(r"(?<!\w)(?:(?![A-Za-z_])\w)*+[A-Za-z_]\w*+[(\[]|(?<!\w)\w++\.\w++\(|\)$")
_CODE = re.compile(r"[()\[\]{}<>|^]|\\[dwsbWSDB.*+?]|\.\*|\s[=+*/&|?-]+\s|;$|==|://")
_PATH = re.compile(
    r"(?:~|\.{1,2}|[A-Za-z]:)?(?:[/\\][\w.@+ -]+)+[/\\]?|[\w.-]+(?:/[\w.-]+)+|[\w.-]+\.[a-z]{2,4}"
)
_HASHED = re.compile(r"(?i)(?:sha-?(?:1|224|256|384|512)|md5|blake2[bs]?)[-:=].*")
_ABSOLUTE = re.compile(r"(?:/[\w.@+-]+){1,}/?|[A-Za-z]:\\.*|~/.*")
_NUMBER = re.compile(r"[\d.,:/+ -]+(?:[a-zA-Z]{1,3})?")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}|[a-z][a-z0-9+.-]{1,20}://.*|\d{4}-\d\d-\d\d.*")
_SIMPLE = re.compile(r"[A-Za-z]{2,}(?:-[A-Za-z]+)*-?\d{1,8}(?:-[A-Za-z]+\d*){0,3}")
_NUMBERED = frozenset(
    {
        "sha256",
        "sha512",
        "sha384",
        "base64",
        "base32",
        "base16",
        "base85",
        "oauth2",
        "latin1",
        "latin-1",
        "blake2",
        "argon2",
        "pbkdf2",
        "int32",
        "uint32",
        "uint64",
        "float32",
        "float64",
        "python3",
        "password1",
    }
)
_VERSION = re.compile(r"[~^<>=v]{0,3}\d+(?:\.\d+){1,3}[\w.+-]*")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{4} ?){8,16}")
_SYMBOLS = frozenset("!@#$%^&*~?+=|")
_RANDOM = 0.28
"""Changes of the kind of character, per character: random texts have over half, names below a fifth."""


def is_placeholder(value: str) -> bool:
    """Return whether a value is a placeholder: `<password>`, `${TOKEN}`, `None`."""
    return len(value) < 4 or len(set(value)) < 3 or _PLACEHOLDER.fullmatch(value) is not None


def is_random(value: str) -> bool:
    """Return whether a value looks random in any context."""
    if len(value) < 8 or " " in value or is_placeholder(value):
        return False
    if IDENTIFIER.fullmatch(value) and (_SNAKE.fullmatch(value) or _CAMEL.fullmatch(value)):
        return False
    letters = sum(map(str.isalpha, value))
    digits = sum(map(str.isdigit, value))
    if letters < 2 or (digits < 2 and len(value) < 12 and value[1:].islower()):
        return False
    kinds = [_kind(character) for character in value]
    changes = sum(a != b for a, b in itertools.pairwise(kinds))
    mixed = bool(digits) or changes > len(value) * 0.4
    return mixed and changes >= len(value) * _RANDOM


def is_mixed(value: str) -> bool:
    """Return whether a value mixes letters with digits or symbols, like a chosen password."""
    if is_placeholder(value) or _PATH.fullmatch(value) or _NUMBER.fullmatch(value):
        return False
    letters = any(map(str.isalpha, value))
    digits = sum(map(str.isdigit, value))
    upper = any(map(str.isupper, value))
    symbols = sum(character in _SYMBOLS for character in value) > (0 if upper else 1)
    if not letters:
        return digits >= 6 and symbols
    if _SNAKE.fullmatch(value) or _CAMEL.fullmatch(value):
        return False
    cased = len(value) >= 10 and value.isalpha() and not (value.islower() or value.isupper())
    return digits > 0 or symbols or (cased and not value.istitle())


def is_prose(value: str) -> bool:
    """Return whether a value is a sentence, a label or a piece of code, and not a secret."""
    if is_placeholder(value) or "://" in value or _STOP.search(value) or _CODE.search(value):
        return True
    return value.rstrip()[-1:] in ".:?," or value != value.strip() or "\n" in value


def is_simple_password(value: str) -> bool:
    """Return whether a value is a word with a number, as people choose them: `hunter2`."""
    if len(value) < SHORTEST or value.lower() in _NUMBERED:
        return False
    if is_placeholder(value):
        return False
    kinds = {_kind(character) for character in value}
    return _SIMPLE.fullmatch(value) is not None or (value.isalnum() and {0, 1, 2} <= kinds)


def is_chosen(value: str) -> bool:
    """Return whether a quoted value under a password's name is a password; words may be."""
    if is_prose(value) or _PATH.fullmatch(value) or _HASHED.fullmatch(value):
        return False
    if is_mixed(value) or is_simple_password(value):
        return True
    words = _WORDISH.findall(value)
    if len(words) > 3 and value.replace(" ", "").isalpha() and value.islower():
        return True
    if len(words) > 2 and "-" in value and len(value) >= 16 and value.islower():
        return True
    single = len(words) == 1 and value == words[0]
    return single and (len(value) >= 15 or is_random(value))


def is_learnable(value: str) -> bool:
    """Return whether a value is searched for everywhere.

    Short values and words are not: other texts have them, too.
    """
    if len(value) < SHORTEST or value.lower() in _WORDS:
        return False
    if value.isdigit():
        return len(value) >= 8
    plain = value.isalpha() and (value.islower() or value.istitle() or value.isupper())
    return not plain or len(value) >= 16


def is_sentence(value: str) -> bool:
    """Return whether a value reads like a sentence, a piece of code or the name of a file."""
    return bool(_STOP.search(value) or CALL.search(value) or _ABSOLUTE.fullmatch(value))


def is_key_like(value: str) -> bool:
    """Return whether the value of a variable with a vague name is a secret: no folder, no word."""
    if _ABSOLUTE.fullmatch(value) or not is_learnable(value):
        return False
    return is_random(value) or is_mixed(value) or "://" in value


def is_name(value: str) -> bool:
    """Return whether a value is a name as programs have them: `next_token`, `MAX-AGE`."""
    return _SNAKE.fullmatch(value) is not None


def is_known_form(value: str) -> bool:
    """Return whether a value is a digest, a path, a date or an address, which open nothing."""
    return _PATH.fullmatch(value) is not None or is_digest_or_date(value)


def is_digest_or_date(value: str) -> bool:
    """Return whether a value is a digest, version, date or address; keys may look like paths."""
    forms = (_HASHED, _NUMBER, _VERSION, _FINGERPRINT, _ADDRESS)
    return any(form.fullmatch(value) for form in forms)


def _kind(character: str) -> int:
    if character.isdigit():
        return 0
    if character.isupper():
        return 1
    return 2 if character.isalpha() else 3
