"""What a secret looks like: names, patterns, headers, values of the environment.

Rule 1: names decide before looks; a name is split into words, so that `maxTokens` is none.
Rule 2: no expression here can take exponential time.
"""

from __future__ import annotations

import base64
import itertools
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = {
    "apikey", "auth", "authentication", "authorization", "bearer", "cookie", "cookies",
    "credential", "credentials", "csrf", "jwt", "passphrase", "passwd", "password", "passwords",
    "pwd", "secret", "secrets", "sid", "signature", "xsrf",
}  # fmt: skip
_SECRET_PAIRS = {
    ("access", "key"), ("account", "key"), ("api", "key"), ("api", "keys"), ("auth", "key"),
    ("client", "key"), ("encryption", "key"), ("goog", "key"), ("key", "id"), ("master", "key"),
    ("private", "key"), ("secret", "key"), ("service", "account"), ("service", "key"),
    ("session", "id"), ("session", "key"), ("shared", "key"), ("signing", "key"),
    ("subscription", "key"), ("connection", "string"), ("database", "url"), ("otp", "code"),
}  # fmt: skip
_HARMLESS_HEADERS = {
    "accept", "accept-encoding", "accept-language", "cache-control", "connection",
    "content-encoding", "content-length",
    "content-type", "date", "host", "server", "transfer-encoding", "user-agent",
    "vary", "x-goog-api-client",
}  # fmt: skip

_LEAST = 6
"""Characters of the shortest value that is looked for everywhere; shorter ones are words."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression for a kind of secret; its group `s`, if it has one, is the secret.

    Attributes:
        kind: Of the mark that stands in its place.
        expression: What it looks like.
        hints: One of these is in each text that has one, in lower case; none where that is unknown.
        gate: Found in each text that has one, in lower case.
    """

    kind: str
    expression: re.Pattern[str]
    hints: tuple[str, ...] = ()
    gate: re.Pattern[str] | None = None

    def may_be_in(self, lowered: str) -> bool:
        """Whether a text is worth the search: most are told at a glance that they have none.

        Args:
            lowered: The text in lower case.
        """
        if self.hints and not any(hint in lowered for hint in self.hints):
            return False
        return self.gate is None or self.gate.search(lowered) is not None

    def take_out(self, text: str, mark: str) -> tuple[str, int]:
        """The text with every secret replaced by the mark, and how many there were."""
        if "s" not in self.expression.groupindex:
            return self.expression.subn(mark.replace("\\", r"\\"), text)
        return self.expression.subn(_keeping_the_rest(mark), text)


def _keeping_the_rest(mark: str) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        start, end = match.span("s")
        return match.string[match.start() : start] + mark + match.string[end : match.end()]

    return replace


_NAMES = (
    r"(?:x-goog-api-key|api[_-]?keys?|apikey|access[_-]?key(?:[_-]?id)?|secret[_-]?(?:access[_-]?)?key"
    r"|private[_-]?key|account[_-]?key|client[_-]?secret|secret|passw(?:or)?d|passphrase|pwd"
    r"|(?:access|auth|refresh|id|session|bearer|csrf|xsrf|security)[_-]?token|token|credentials?"
    r"|authorization|cookie|set-cookie|session[_-]?id|signature|sig|jwt)"
)
_QUOTE = r"(?:\\{0,8}[\"'])?"
_VALUE = r"[^\s\"'\\,;&{}()\[\]<>]"

PATTERNS: tuple[Pattern, ...] = (
    Pattern("secret", re.compile(
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{0,20000}?"
        r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
    ), ("-----begin ",)),
    Pattern("secret", re.compile(r"\bAIza[\w-]{20,}"), ("aiza",)),
    Pattern("secret", re.compile(r"\bya29\.[\w.-]{10,}"), ("ya29.",)),
    Pattern("secret", re.compile(r"\b1//0[\w-]{20,}"), ("1//0",)),
    Pattern(
        "secret",
        re.compile(r"\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}"),
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    ),
    Pattern(
        "secret",
        re.compile(r"\b(?:sk|pk|rk)[-_][\w-]{16,}|\bpypi-[\w-]{16,}"),
        ("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "pypi-"),
    ),
    Pattern("secret", re.compile(r"\b(?:hf|npm)_\w{16,}"), ("hf_", "npm_")),
    Pattern(
        "secret",
        re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{12,}"),
        ("akia", "asia", "agpa", "aida", "aroa"),
    ),
    Pattern(
        "secret",
        re.compile(r"\bxox[abeoprs]-[\w-]{8,}|\bSG\.[\w-]{16,}\.[\w-]{16,}"),
        ("xox", "sg."),
    ),
    Pattern("secret", re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), ("eyj",)),
    Pattern(
        "secret",
        re.compile(r"(?i)\b(?:bearer|basic)\s+(?P<s>[\w.~+/=-]{6,})"),
        ("bearer", "basic"),
    ),
    Pattern(
        "secret",
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://(?P<s>[^\s/@:\"']{0,200}:[^\s/@\"']{1,400})@"),
        ("://",),
    ),
    Pattern("secret", re.compile(
        r"(?i)[?&;](?:key|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|code|"
        + _NAMES + r")=(?P<s>[^&\s\"'#<>\\{]+)"
    )),
    Pattern("secret", re.compile(
        r"(?i)\b(?:(?:set-)?cookie|authorization)\s{0,4}:\s{0,4}(?P<s>[^\s\"{][^\r\n\"{]*)"
    ), ("cookie", "authorization")),
    # After `=` anything; after `:`, which prose has too, what is quoted or looks like no word.
    Pattern("secret", re.compile(
        r"(?i)(?<![a-z])" + _NAMES + _QUOTE + r"\s{0,8}=\s{0,8}" + _QUOTE
        + r"(?P<s>" + _VALUE + r"{4,})"
    ), gate=re.compile(r"(?<![a-z])" + _NAMES + _QUOTE + r"\s{0,8}=")),
    Pattern("secret", re.compile(
        r"(?i)(?<![a-z])" + _NAMES + _QUOTE + r"\s{0,8}:\s{0,8}"
        + r"(?:\\{0,8}[\"'](?P<q>)|)(?P<s>(?(q)|(?=" + _VALUE + r"*[\d_+/=-]))" + _VALUE + r"{4,})"
    ), gate=re.compile(r"(?<![a-z])" + _NAMES + _QUOTE + r"\s{0,8}:")),
    # NAME_OF_SOMETHING_TOKEN=value, as `env` and shell scripts show it.
    Pattern("secret", re.compile(
        r"\b[A-Z][A-Z0-9_]{0,60}(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|COOKIE)(?:_[A-Z0-9]{1,20})?"
        r"\s{0,2}=\s{0,2}" + _QUOTE + r"(?P<s>[^\s\"'\\{]{4,})"
    ), gate=re.compile(
        r"(?:key|token|secret|password|passwd|credentials?|cookie)(?:_[a-z0-9]{1,20})?\s{0,2}="
    )),
)  # fmt: skip


HINT = re.compile(
    r"AIza|ya29|1//0|gh[pousr]_|github_pat|glpat|[spr]k[-_]|pypi-|(?:hf|npm)_|A(?:KI|SI|GP|ID|RO)A"
    r"|xox|SG\.|eyJ|://|[?&;]|BEGIN"
    r"|[Bb][Ee][Aa][Rr][Ee][Rr]|[Bb][Aa][Ss][Ii][Cc]|[Kk][Ee][Yy]|[Tt][Oo][Kk][Ee][Nn]"
    r"|[Ss][Ee][Cc][Rr][Ee][Tt]|[Pp][Aa][Ss][Ss]|[Pp][Ww][Dd]|[Cc][Rr][Ee][Dd][Ee][Nn]"
    r"|[Aa][Uu][Tt][Hh]|[Cc][Oo][Oo][Kk][Ii][Ee]|[Ss][Ee][Ss][Ss]|[Ss][Ii][Gg]|[Jj][Ww][Tt]"
)
"""Found in whatever one of the patterns matches: one look spares most texts all of them."""


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what goes by that name is a secret, e.g. `x-goog-api-key` or `clientSecret`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or "thought" in words:  # a thought's signature is the model's own, and no secret
        return False
    if not _SECRET_WORDS.isdisjoint(words) or words[-1] == "token":
        return True
    return any(pair in _SECRET_PAIRS for pair in itertools.pairwise(words))


def harmless_header(name: str) -> bool:
    """Whether a header may be written as it is."""
    return name.lower() in _HARMLESS_HEADERS


def secret_values(environ: Mapping[str, str]) -> Iterator[str]:
    """Values of the variables whose names say that they are secret."""
    for name, value in environ.items():
        last = _WORDS.findall(name)[-1:]
        named = is_secret_name(name) or [word.lower() for word in last] in (["key"], ["keys"])
        if named and worth_learning(value):
            yield value


def worth_learning(value: str) -> bool:
    """Whether a value is looked for wherever it may turn up.

    Short ones and plain words are not: they would be found in every other sentence.
    """
    return len(value) >= _LEAST and not (value.isalpha() and value.islower() and len(value) < 16)  # noqa: PLR2004 - longer than any word


def spellings(value: str) -> Iterator[str]:
    """The forms in which a value may stand in a text."""
    yield value
    yield urllib.parse.quote(value, safe="")
    raw = value.encode("utf-8", "surrogatepass")
    yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
