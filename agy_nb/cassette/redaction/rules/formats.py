"""Secrets at fixed places of known formats: addresses, headers, commands, files, tables, SQL."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from agy_nb.cassette.redaction.rules import value_shapes
from agy_nb.cassette.redaction.rules.field_names import Strength, strength


class _Format(NamedTuple):
    hints: tuple[str, ...]
    words: str
    least: str
    """What its value must be: `any` text but a placeholder, `mixed` or `random`."""

    @property
    def expression(self) -> re.Pattern[str]:
        """The regular expression. Few of them are ever needed, and compiling all takes 20 ms."""
        return _compiled(self.words)


@cache
def _compiled(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE | re.MULTILINE)


def _format(hints: str, expression: str, least: str = "mixed") -> _Format:
    # A word begins after a letter of a script without spaces, and so does a secret.
    return _Format(tuple(hints.split("|")), expression.replace(r"\b", r"(?a:\b)"), least)


_USER = r"[\w.@%+\\-]{1,64}"
_VALUE = r"(?P<q>[\"']?)(?P<s>(?:(?<=\")[^\"\n]{3,200}|(?<=')[^'\n]{3,200}|[^\s\"'|;<>]{3,200}))"
_FORMATS = (
    # addresses
    _format("://", r"(?<=[a-z0-9])://[^\s/@:\"'<>]{0,100}:(?P<s>[^\s/\"'<>]{1,300})@(?=[\w.\[{$-])", "any"),
    _format("://", r"(?<=[a-z0-9])://(?P<s>[\w.~-]{16,200})@(?=[\w.\[-])", "random"),
    _format("?|&", r"[?&#](?:t|key|code|sig|k|hash|ticket|auth|secret|state|nonce|oobCode|x-amz-[\w-]{4,20}|x-goog-[\w-]{4,20}|policy"
            r"|signature|se?cret|\w{0,20}token|access_key|password|sv?c)=(?P<s>[\w%.~+/=-]{16,2000})", "random"),
    _format("://", r"://[^\s\"'<>]{1,200}/(?:reset|verify|verification|invite|invitation|confirm|activate|magic|unsubscribe|webhooks?|hooks?"
            r"|token)(?:[_-][\w-]{1,30})?/(?P<s>[\w-]{20,200})", "random"),
    _format("ldap", r"\bldaps?://[^\s\"']{1,200}[?&;](?:bindpw|password)=(?P<s>[^\s\"'&]{3,200})"),
    _format("@", r"\b(?:sqlplus|exp|imp|sqlldr|expdp|impdp)\s{1,4}(?:-\w{1,8} {1,4}){0,3}[\w.]{1,40}/(?P<s>[^\s@/\"']{3,100})@"),
    # headers
    _format("bearer", r"\bbearer[\s:]{1,4}[\"']?(?P<s>[\w.~+/=-]{12,4000})", "random"),
    _format("basic", r"\bbasic\s{1,4}[\"']?(?P<s>[\w+/=-]{8,1000})", "basic"),
    _format("authorization", r"\bauthorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:[a-z][\w-]{1,24}\s{1,4})?[\"']?(?P<s>[\w.~+/=:|-]{8,4000})"),
    _format("cookie", r"\bcookie[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:[^\r\n\"']{0,2000}?[;\s])??[\w.-]{1,60}=(?P<s>[^\s;\"',\\]{8,4000})"),
    _format("digest", r"\bresponse=\"(?P<s>[0-9a-f]{32})\"", "any"),
    # commands
    _format("curl|wget|http", r"(?:\s(?:-u|--user|--proxy-user|-U|-a|--auth)[ =]{0,2}|\s-u)[\"']?" + _USER + r":(?P<s>[^\s\"'@]{3,200})(?=[\s\"']|$)", "any"),
    _format("sshpass", r"\bsshpass\s{1,4}-p ?" + _VALUE, "any"),
    _format("redis-cli|keydb-cli|valkey-cli", r"-cli\b[^\n|;]{0,200}\s-a\s{1,4}" + _VALUE, "any"),
    _format("mysql|mariadb", r"\b(?:mysql\w{0,10}|mariadb\w{0,10})\b[^\n|;]{0,200}\s-p" + _VALUE, "chosen"),
    _format("docker|podman|mongo|az |skopeo|helm|oc |cf |nerdctl|buildah|heroku|mosquitto|ldap|psql|sqlcmd|bcp|isql|rabbit|clickhouse|cqlsh|influx|snowsql",
            r"\b(?:docker|podman|mongo\w{0,8}|az|skopeo|helm|oc|cf|nerdctl|buildah|mosquitto_\w{3}|ldap\w{3,8}|sqlcmd|bcp|isql|cqlsh|influx)\b[^\n|;]{0,200}\s-[pPwW][ =]?" + _VALUE, "strict"),
    _format("smbclient|mount|rpcclient|net rpc|cifs", r"\s-U\s{0,2}[\"']?[\w.\\/-]{1,60}%(?P<s>[^\s\"']{3,200})", "any"),
    _format("pass:", r"\bpass:(?P<s>[^\s\"']{4,200})"),
    _format("7z|zip|rar", r"\b(?:7z\w?|zip|unzip|rar|unrar)\b[^\n|;]{0,120}\s-[pP] ?(?P<s>[^\s\"']{4,200})"),
    _format("ssh-keygen", r"\bssh-keygen\b[^\n|;]{0,200}\s-[NP]\s{0,4}" + _VALUE, "any"),
    _format("secret set|secret add|secrets add|config:set|secrets set", r"\b(?:secrets?|config)[: ](?:set|add)\s{1,4}\w{1,80}(?:=|\s{1,4}(?:--(?:body|value)|-b)[ =]\s{0,4})" + _VALUE),
    _format("openssl", r"\bopenssl\b[^\n|;]{0,200}\s-k\s{1,4}" + _VALUE),
    _format("htpasswd", r"\bhtpasswd\s{1,4}-\w{0,6}b\w{0,6}\s{1,4}(?:\S{1,200}\s{1,4})?" + _USER + r"\s{1,4}" + _VALUE, "any"),
    _format("rabbitmqctl", r"\brabbitmqctl\s{1,4}(?:add_user|change_password)\s{1,4}\S{1,80}\s{1,4}" + _VALUE, "any"),
    _format("net use", r"\bnet use\b[^\n]{0,200}/user:\S{1,80}\s{1,4}" + _VALUE, "any"),
    _format("net user", r"\bnet user\s{1,4}\S{1,60}\s{1,4}" + _VALUE, "mixed"),
    _format("sudo -s|--password-stdin|chpasswd|passwd|cryptsetup|kinit|smbpasswd|--with-token|ansible-vault",
            r"\b(?:echo|printf)\s{1,4}(?:-\w{1,3}\s{1,4})?[\"']?(?:[\w.-]{1,40}:)?(?P<s>[^\s\"'|]{4,200})[\"']?\s{0,4}\|[^\n|]{0,80}"
            r"(?:sudo -s|--password-stdin|passwd|cryptsetup|kinit|--with-token|ansible-vault)", "any"),
    _format("login", r"\b(?:vault|gh auth|npm|fly auth|doppler|railway|wandb|huggingface-cli|hf auth)\s{1,4}login\s{1,4}(?:--?\w{1,20}[ =])?(?P<s>[\w.-]{16,300})", "random"),
    _format("send ", r"^\s{0,20}send\s{1,4}(?:--\s{1,4})?\"(?P<s>[^\"\\\n]{6,100})(?:\\[rn]){1,2}\"", "mixed"),
    _format("aws_|configure set", r"\bconfigure set\s{1,4}[\w.]{0,60}(?:key|token|password|secret)[\w.]{0,20}\s{1,4}" + _VALUE),
    _format("securestring", r"\bConvertTo-SecureString\s{1,4}(?:-String\s{1,4})?[\"'](?P<s>[^\"'\n]{3,200})[\"']", "any"),
    _format("networkcredential|pscredential", r"\b(?:NetworkCredential|PSCredential)\s{0,4}\(\s{0,4}[\"'][^\"'\n]{1,100}[\"']\s{0,4},\s{0,4}[\"'](?P<s>[^\"'\n]{3,200})[\"']", "any"),
    _format("auth", r"\b(?:HTTPBasicAuth|HTTPDigestAuth|BasicAuth|basic_auth|set_basic_auth|http_auth|auth)\s{0,4}[=(]\s{0,4}\(?\s{0,4}[\"'][^\"'\n]{1,100}[\"']\s{0,4},\s{0,4}[\"'](?P<s>[^\"'\n]{4,200})[\"']"),
    _format("login", r"\b(?:login|log_?in|sign_?in|authenticate|connect)\s{0,2}\(\s{0,4}[\"'][^\"'\n]{1,100}[\"']\s{0,4},\s{0,4}[\"'](?P<s>[^\"'\n]{6,200})[\"']\s{0,4}\)"),
    # files
    _format("login", r"(?:\bmachine\s{1,8}\S{1,200}|\bdefault)\s{1,8}(?:login\s{1,8}\S{1,200}\s{1,8})?(?:account\s{1,8}\S{1,200}\s{1,8})?password\s{1,8}(?P<s>\S{3,300})", "any"),
    _format(":*:|:5432:|:5433:|:6432:|:3306:", r"^[\w.*-]{1,200}:(?:\d{2,5}|\*):[\w.*-]{1,80}:[\w.*-]{1,80}:(?P<s>[^\s:/]{4,200})[ \t]{0,8}$", "any"),
    _format("secret", r"\b(?:password|secret|key)\s{1,4}[057]\s{1,4}(?P<s>\S{6,200})"),
    _format("snmp", r"\bsnmp-server community\s{1,4}(?P<s>\S{4,80})", "any"),
    _format("password", r"<input\b[^<>]{0,200}type=[\"']?password[\"']?[^<>]{0,200}\bvalue=[\"'](?P<s>[^\"'\n]{3,200})", "any"),
    _format("password", r"<input\b[^<>]{0,200}\bvalue=[\"'](?P<s>[^\"'\n]{3,200})[\"'][^<>]{0,200}type=[\"']?password", "any"),
    _format("value", r"[\"']value[\"']\s{0,8}:\s{0,8}[\"'](?P<s>[^\"'\n]{4,400})[\"']\s{0,8},\s{0,20}[\"'](?:key|name)[\"']\s{0,8}:\s{0,8}[\"'](?P<n>[\w.-]{1,80})[\"']"),
    _format("login|cred|user", r"\b(?:login|credentials?|creds|username|user)\b\s{0,4}[:=]\s{0,4}[\"'`]?[\w.@-]{2,60}[\"'`]?\s{0,4}(?:/|\||,? (?:with )?(?:password|pw|pass)[: ])\s{0,4}[\"'`]?(?P<s>[^\s\"'`,;]{6,100})"),
    # SQL
    _format("identified", r"\bidentified\s{1,8}(?:with\s{1,8}[\"']?\w{1,40}[\"']?\s{1,8})?by\s{1,8}(?:password\s{1,8})?[\"'](?P<s>[^\"'\n]{3,200})[\"']", "any"),
    _format("identified", r"\bidentified\s{1,8}by\s{1,8}(?P<s>[^\s\"';]{3,200})"),
    _format("password", r"\b(?:encrypted\s{1,4})?password\s{0,4}[( ]\s{0,4}'(?P<s>[^'\n]{4,200})'", "chosen"),
)  # fmt: skip
_ANY_HINT = re.compile("|".join(sorted({re.escape(h) for each in _FORMATS for h in each.hints})))
"""One look spares most texts all of the expressions."""
_INSERT = re.compile(
    r"\binsert\s{1,8}(?:ignore\s{1,8})?into\s{1,8}[\w.`\"\[\]]{1,100}\s{0,8}\((?P<n>[^()]{1,1000})\)\s{0,20}values\s{0,20}"
    r"(?P<v>\([^\n]{1,20000})",
    re.IGNORECASE,
)
_ROW = re.compile(r"\((?P<r>(?:'(?:[^'\n]|''){0,2000}'|\"[^\"\n]{0,2000}\"|[^'\"()\n]){1,4000})\)")
_FIELD = re.compile(
    r"'(?P<a>(?:[^'\n]|''){0,2000})'|\"(?P<b>[^\"\n]{0,2000})\"|(?P<c>[^,'\"]{1,2000})"
)
_KUBE = re.compile(r"^(?:kind|\s{2}kind): ?[\"']?Secret\b", re.MULTILINE)
_KUBE_ENTRY = re.compile(
    r"^[ ]{2,8}[\w.-]{1,100}: ?[\"']?(?P<s>[\w+/=@!#$%&*-]{8,8000})[\"']?[ \t]*$", re.MULTILINE
)
_TABLE_NAME = re.compile(r"[\w .-]{1,60}")
_BEFORE, _AFTER, _FAR = 400, 800, 8000
"""Characters before and after a hint that are looked at, and of the longest values."""
_DELIMITERS = (",", ";", "\t", "|")


def formatted(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    """Find secrets at the places that formats have for them; gives where each begins and ends.

    Args:
        text: The text.
        lowered: The same in lower case, character by character.
    """
    for rule in _FORMATS if _ANY_HINT.search(lowered) else ():
        for begin, finish in _windows(lowered, rule.hints):
            expression, least = rule.expression, rule.least
            for match in expression.finditer(text, begin, finish):
                if match.end() == finish < len(text):  # a long value: look at all of it
                    match = expression.match(text, match.start(), finish + _FAR) or match  # noqa: PLW2901
                if "n" in expression.groupindex and strength(match["n"]) < Strength.STRONG:
                    continue
                start, end = match.span("s")
                if _is_value(text[start:end], least):
                    yield start, end
    if "insert" in lowered and "values" in lowered:
        yield from _inserted(text)
    if "kind" in lowered and _KUBE.search(text):
        yield from (match.span("s") for match in _KUBE_ENTRY.finditer(text) if _is_kube(match["s"]))
    yield from _columns(text, lowered)


def _windows(lowered: str, hints: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield the parts of a text near a hint; most texts have none, and long ones few."""
    places = []
    for hint in hints:
        at = lowered.find(hint)
        while at >= 0:
            places.append(at)
            at = lowered.find(hint, at + _AFTER // 2)
    begin = finish = -1
    for place in sorted(places):
        if place - _BEFORE > finish:
            if finish >= 0:
                yield begin, finish
            begin = max(0, place - _BEFORE)
        finish = min(len(lowered), place + _AFTER)
    if finish >= 0:
        yield begin, finish


def _is_value(found: str, least: str) -> bool:
    if least == "random":
        return value_shapes.is_random(found[:400]) and (
            len(found) > 20 or any(map(str.isdigit, found))
        )
    if value_shapes.is_placeholder(found[:400]) or strength(found[:80]) > Strength.WEAK:
        return False
    if least == "any" and not (":" in found and found.islower()):
        return found.lower() not in (
            "pass",
            "password",
            "passwd",
            "pwd",
            "token",
            "secret",
            "pw",
            "postgres",
            "guest",
            "root",
            "admin",
            "user",
            "host",
        )
    if least == "basic":
        return _is_basic(found)
    if least == "chosen":
        return value_shapes.is_chosen(found)
    if least == "strict":
        return (
            len(found) >= 6
            and value_shapes.is_mixed(found)
            and not value_shapes.CALL.search(found)
            and ":" not in found
        )
    if value_shapes.CALL.search(found) or found[0] in "$({<[%":
        return False
    return len(found) >= 6 and (value_shapes.is_mixed(found) or value_shapes.is_random(found))


def _is_basic(found: str) -> bool:
    try:
        raw = base64.b64decode(
            found.rstrip("=") + "=" * (-len(found.rstrip("=")) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        return False
    return b":" in raw and raw.isascii() and raw.decode().isprintable()


def _is_kube(found: str) -> bool:
    return value_shapes.is_random(found) or value_shapes.is_mixed(found) or found.endswith("=")


def _inserted(text: str) -> Iterator[tuple[int, int]]:
    for match in _INSERT.finditer(text):
        names = [name.strip(' `"[]\n\t') for name in match["n"].split(",")]
        secret = [number for number, name in enumerate(names) if strength(name) >= Strength.STRONG]
        if not secret:
            continue
        for row in _ROW.finditer(text, match.start("v"), match.end("v")):
            fields = [
                f
                for f in _FIELD.finditer(text, *row.span("r"))
                if f[0].strip() and f[0].strip() != ","
            ]
            for number in secret:
                if number < len(fields):
                    field = fields[number]
                    start, end = field.span(field.lastgroup or 0)
                    if start < end and not value_shapes.is_placeholder(text[start:end]):
                        yield start, end


def _columns(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    """Yield the cells of columns with a secret's name as heading: CSV, TSV, Markdown."""
    if not any(word in lowered for word in ("pass", "secret", "token", "key", "pwd")):
        return
    lines = text.splitlines(keepends=True)
    at, number = 0, 0
    while number < len(lines):
        line = lines[number]
        header = _heading(line) if number + 1 < len(lines) else None
        at += len(line)
        number += 1
        if header is None:
            continue
        delimiter, count, secret = header
        while number < len(lines) and lines[number].strip():
            row = lines[number]
            fields = row.rstrip("\r\n").split(delimiter)
            if len(fields) != count:
                break
            starts, position = [], at
            for cell in fields:
                starts.append(position)
                position += len(cell) + 1
            for column in secret:
                cell = fields[column]
                value = cell.strip(" \t\"'`")
                if _is_cell(value):
                    start = starts[column] + cell.index(value)
                    yield start, start + len(value)
            at += len(row)
            number += 1


def _is_cell(value: str) -> bool:
    if (
        len(value) < 6
        or " " in value
        or value_shapes.is_prose(value)
        or value_shapes.is_known_form(value)
    ):
        return False
    return value_shapes.is_mixed(value) or value_shapes.is_random(value)


def _heading(line: str) -> tuple[str, int, list[int]] | None:
    if len(line) > 1000 or "(" in line or "=" in line:
        return None
    for delimiter in _DELIMITERS:
        if delimiter not in line:
            continue
        names = [name.strip(" \t\"'`*\r\n") for name in line.rstrip("\r\n").split(delimiter)]
        if (
            not all(
                _TABLE_NAME.fullmatch(name) or (not name and delimiter == "|") for name in names
            )
            or len(names) < 2
        ):
            continue
        secret = [number for number, name in enumerate(names) if strength(name) >= Strength.STRONG]
        if secret:
            return delimiter, len(names), secret
    return None
