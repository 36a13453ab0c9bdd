"""What a name says about its value: of a field, a variable, an option, a header.

A name is split into words, so that `maxTokens` is harmless and `dbPassword` is not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from functools import lru_cache

from agy_nb.cassette.redaction.rules.value_shapes import is_key_like, is_learnable

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_PASSWORDS = frozenset(
    {"password", "passwords", "passwd", "pwd", "passphrase", "passcode", "pgpassword", "userpassword",
     "storepass", "keypass", "requirepass", "masterauth", "bindpw", "rootpw", "passwort", "contraseña",
     "motdepasse", "psk"}
)  # fmt: skip
_SECRETS = frozenset(
    {"secret", "secrets", "apikey", "apikeys", "passkey", "authtoken", "accesstoken", "accesskey",
     "secretkey", "privatekey", "clientsecret", "authorization", "bearer", "jwt", "salt", "pepper",
     "mnemonic", "skey", "authkey", "sshkey", "apitoken", "refreshtoken", "sessiontoken"}
)  # fmt: skip
_WEAK = frozenset(
    {"auth", "authentication", "cookie", "cookies", "credential", "credentials", "csrf", "xsrf",
     "csrftoken", "sid", "sig", "signature", "token", "pass", "pw", "sessionid", "phpsessid", "jsessionid",
     "dsn", "otp", "totp", "hmac", "webhook"}
)  # fmt: skip
_STRONG_PAIRS = frozenset(
    {("access", "key"), ("account", "key"), ("api", "key"), ("api", "keys"), ("auth", "key"),
     ("client", "key"), ("consumer", "key"), ("app", "key"), ("application", "key"),
     ("encryption", "key"), ("goog", "key"), ("master", "key"), ("deploy", "key"), ("license", "key"),
     ("private", "key"), ("secret", "key"), ("service", "key"), ("session", "key"), ("shared", "key"),
     ("signing", "key"), ("subscription", "key"), ("host", "key"), ("jwt", "key"), ("webhook", "key"),
     ("integration", "key"), ("function", "key"), ("functions", "key"), ("storage", "key"),
     ("preshared", "key"), ("pre", "shared"), ("secret", "base"), ("recovery", "code"),
     ("seed", "phrase"), ("key", "base"), ("vault", "pass"), ("db", "pass"), ("user", "pass"),
     ("smtp", "pass"), ("mail", "pass"), ("ftp", "pass"), ("root", "pass"), ("admin", "pass"),
     ("key", "data"), ("gh", "pat"), ("github", "pat"), ("gitlab", "pat"), ("azure", "pat"), ("ado", "pat"),
     ("devops", "pat"), ("personal", "pat")}
)  # fmt: skip
_WEAK_PAIRS = frozenset(
    {("key", "id"), ("service", "account"), ("session", "id"), ("connection", "string"),
     ("database", "url"), ("redis", "url"), ("mongo", "uri"), ("mongodb", "uri"), ("otp", "code"),
     ("webhook", "url"), ("broker", "url"), ("crypt", "key"), ("hook", "url")}
)  # fmt: skip
_TOKENS = frozenset(
    {"access", "auth", "refresh", "id", "session", "bearer", "csrf", "xsrf", "security", "api", "bot",
     "github", "gh", "gitlab", "slack", "private", "deploy", "personal", "oauth", "oauth2", "user", "app",
     "secret", "service", "client", "admin", "npm", "pypi", "hf", "ci", "job", "runner", "registry",
     "vault", "discord", "telegram", "jenkins", "sonar", "sentry", "upload", "invite", "reset", "verify"}
)  # fmt: skip
"""Words before `token` with which it is a credential, and not a piece of a program's text."""

_ABOUT = frozenset(
    {"length", "len", "count", "counts", "max", "min", "field", "fields", "hint", "policy", "label", "type",
     "name", "names", "url", "uri", "path", "file", "files", "filename", "dir", "regex", "pattern", "re",
     "validator", "validators", "prompt", "placeholder", "error", "errors", "message", "required",
     "expiry", "expires", "expiration", "ttl", "sock", "pid", "mode", "domain", "enabled", "algorithm",
     "algorithms", "method", "methods", "class", "func", "function", "callback", "provider", "helper",
     "format", "age", "timeout", "index", "version", "limit", "usage", "endpoint", "scheme", "schemes",
     "manager", "store", "storage", "jar", "header", "headers", "policies", "command", "cmd", "size",
     "id", "ids", "status", "state", "kind", "scope", "scopes", "test", "tests", "link", "page", "form",
     "input", "options", "config", "settings", "source", "ref", "desc", "description", "title", "text",
     "help", "doc", "docs", "usages", "types", "bytes", "budget", "details", "rotation", "strategy",
     "stream", "protocol", "environment", "arn", "at", "on", "in", "created", "updated", "issuer",
     "audience", "realm", "app", "server", "service", "address", "host", "port", "exists", "valid"}
)  # fmt: skip
"""A name that ends in one of these is about a secret, and holds none."""

_NOT_IN_ENVIRONMENTS = frozenset(
    {"PWD", "OLDPWD", "GPG_KEY", "SSH_AUTH_SOCK", "XDG_SESSION_ID", "TERM_SESSION_ID"}
)
_HARMLESS_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "cache-control", "connection",
     "content-encoding", "content-length", "content-type", "date", "host", "server",
     "transfer-encoding", "user-agent", "vary", "x-goog-api-client"}
)  # fmt: skip
_GLUED = ("password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "authtoken")


class Strength(IntEnum):
    """How much a name says about its value."""

    NONE = 0
    """Nothing."""
    WEAK = 1
    """The value is a secret if it looks like one: `token`, `signature`, `auth`."""
    STRONG = 2
    """The value is a secret unless it is plainly something else: `apiKey`, `client_secret`."""
    PASSWORD = 3
    """People choose these: words, too, are secrets."""


@lru_cache(maxsize=8192)
def strength(name: str) -> Strength:
    """Return how likely a value with this name is a secret."""
    words = _words_of(name)
    if not words:
        return Strength.NONE
    if name.isupper() and words[-1] == "pat":
        return Strength.STRONG
    pairs = set(itertools.pairwise(words))
    if _is_about_secret(words, pairs):
        return Strength.NONE
    if _is_password(words):
        return Strength.PASSWORD
    if _is_strong(words, pairs):
        return Strength.STRONG
    return Strength.WEAK if _is_weak(words, pairs) else Strength.NONE


def _words_of(name: str) -> list[str]:
    """Split a name, without the numbers at its end; a thought's signature has no words here."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if "thought" in words or "thinking" in words:  # the model's own
        return []
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    return words


def _is_about_secret(words: list[str], pairs: set[tuple[str, str]]) -> bool:
    return words[-1] in _ABOUT and pairs.isdisjoint(_WEAK_PAIRS)


def _is_password(words: list[str]) -> bool:
    if not _PASSWORDS.isdisjoint(words):
        return True
    return words[-1].endswith(("password", "passwd", "passphrase"))


def _is_strong(words: list[str], pairs: set[tuple[str, str]]) -> bool:
    last = words[-1]
    if not _SECRETS.isdisjoint(words) or not pairs.isdisjoint(_STRONG_PAIRS):
        return True
    if last.endswith(_GLUED):
        return True
    if last == "token":
        return len(words) > 1 and words[-2] in _TOKENS
    return last in ("pass", "pw", "dsn") and len(words) > 1


def _is_weak(words: list[str], pairs: set[tuple[str, str]]) -> bool:
    if not _WEAK.isdisjoint(words[-2:]) or not pairs.isdisjoint(_WEAK_PAIRS):
        return True
    return words[-1] in ("key", "keys") and len(words) > 1


def is_secret_name(name: str) -> bool:
    """Return whether a value with this name may be a secret, e.g. `x-goog-api-key` or `token`."""
    return strength(name) is not Strength.NONE


def harmless_header(name: str) -> bool:
    """Return whether a header may be written as it is."""
    return name.lower() in _HARMLESS_HEADERS


def secret_values(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of the variables that hold secrets, going by their names.

    `PWD`, `SSH_AUTH_SOCK` or `PASSWORD_STORE_DIR` are not among them: they hold folders.
    """
    for name, value in environ.items():
        power = Strength.NONE if name in _NOT_IN_ENVIRONMENTS else strength(name)
        if power > Strength.WEAK:
            likely = is_learnable(value)
        else:
            likely = power is Strength.WEAK and is_key_like(value)
        if likely:
            yield value
