"""Secrets that show what they are: keys with a prefix, private keys, addresses with a password.

The engine knows hundreds of formats. These are the ones that it lacks, that it only knows next to
a name, or that a machine without the engine must not miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agy_nb.cassette.redaction.rules.value_shapes import is_name, is_random

_B = r"(?<![A-Za-z0-9])"
_A = r"[A-Za-z0-9]"

_SHAPES = (
    # Google, OpenAI, Anthropic and other models
    r"AIza[\w-]{20,80}", r"ya29\.[\w.-]{10,400}", r"1//0[\w-]{20,200}", r"GOCSPX-[\w-]{20,40}",
    r"(?:sk|pk|rk)[-_](?:[a-z0-9]{1,12}[-_]){0,3}[\w-]{16,300}", r"lsv2_[a-z]{2}_[0-9a-f]{32}_[0-9a-f]{10}",
    r"r8_[A-Za-z0-9]{30,50}", r"pcsk_\w{20,120}", r"pplx-[A-Za-z0-9]{30,64}", r"jina_[A-Za-z0-9]{40,80}",
    # code and its registries
    r"gh[pousr]_\w{16,255}", r"github_pat_\w{16,255}", r"(?:glpat|gldt|glrt|glcbt|glptt|glft|glsoat|glagent|gloas|glimt)-[\w.-]{16,300}",
    r"(?:hf|npm)_\w{16,80}", r"pypi-[\w-]{16,300}", r"rubygems_[0-9a-f]{40,64}", r"dckr_(?:pat|oat)_[\w-]{20,80}",
    r"(?:ATBB|ATCTT|ATATT)[\w=-]{16,300}", r"cio[a-zA-Z0-9]{32}\b", r"oy2[a-z0-9]{43}\b",
    # clouds
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ABIA|ACCA)[0-9A-Z]{12,20}", r"dop_v1_[0-9a-f]{64}", r"do[or]_v1_[0-9a-f]{64}",
    r"dapi[0-9a-f]{32}(?:-\d)?", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{100,160}", r"hv[sbr]\.[\w-]{20,300}", r"s\.[A-Za-z0-9]{24}\b",
    r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,100}", r"fm\d_[\w+/=-]{20,800}", r"fo1_[\w-]{20,80}",
    r"[\w~.-]{3}\dQ~[\w~.-]{31,34}", r"[A-Za-z0-9]{3}8Q~[\w~.-]{30,37}", r"[A-Za-z0-9+/]{30,60}(?:AZC|APIM|ASt|ACDb|\+ABa|\+AMC|AzFu|AzSe)[\w+/]{4,12}={0,2}",
    r"HRKU-[\w-]{20,80}", r"sha256~[\w-]{40,50}", r"LTAI[A-Za-z0-9]{16,24}", r"AKID[A-Za-z0-9]{32}", r"T[0-9a-f]{1}k-\w{20,60}",
    # chat, mail, telephone
    r"xox[abeoprs](?:\.xox[bp])?-[\w-]{8,255}", r"xapp-\d-[\w-]{20,200}", r"SG\.[\w-]{16,32}\.[\w-]{16,64}", r"key-[0-9a-f]{32}",
    r"(?:SK|AC)[0-9a-f]{32}", r"\d{8,10}:AA[\w-]{32,35}", r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}", r"[0-9a-f]{32}-us\d{1,2}\b",
    r"(?:xkeysib|xsmtpsib)-[0-9a-f]{64}-\w{16}", r"re_[A-Za-z0-9]{6,12}_[A-Za-z0-9]{20,40}", r"mfa\.[\w-]{80,90}",
    # money
    r"whsec_[\w+/=]{20,100}", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}", r"EAAA[\w-]{50,80}",
    r"sq0(?:atp|csp|idp)-[\w-]{20,60}", r"(?:shp(?:at|ss|ca|pa)|shptka)_[0-9a-f]{32}", r"(?:FLW(?:SEC|PUB)K)(?:_TEST|_LIVE)?-[\w-]{20,80}",
    r"rzp_(?:live|test)_[A-Za-z0-9]{14,24}", r"EAA[A-Z][A-Za-z0-9]{80,400}",
    # work
    r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", r"00[A-Za-z0-9][\w-]{39}\b", r"cflt[A-Za-z0-9+/]{50,70}",
    r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}", r"glc_[\w+/=]{32,400}", r"sntry[us]_[\w+/=]{40,400}", r"sntrys_[\w+/=.-]{40,400}",
    r"NRAK-[A-Z0-9]{27}", r"NRII-[\w-]{32}", r"NRJS-[0-9a-f]{19}", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}", r"pul-[0-9a-f]{40}",
    r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{1,40}\.)?[A-Za-z0-9]{40,50}", r"lin_(?:api|oauth)_[A-Za-z0-9]{30,70}", r"fig[du]_[\w-]{30,60}",
    r"phc_[A-Za-z0-9]{30,60}", r"phx_[A-Za-z0-9]{30,60}", r"AGE-SECRET-KEY-1[0-9A-Z]{58}", r"sl\.[\w-]{60,300}", r"duffel_(?:live|test)_[\w-]{40,50}",
    r"EZ[AT]K[a-z0-9]{54}", r"shippo_(?:live|test)_[0-9a-f]{40}", r"dt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}", r"p8e-[a-z0-9]{32}",
    r"ops_eyJ[\w+/=-]{100,2000}", r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{5,11}-?){4,6}", r"sb[ps]_[0-9a-f]{40}", r"sb_secret_[\w-]{20,60}",
    r"CFPAT-[\w-]{40,50}", r"CCIPAT_[\w-]{20,100}", r"bkua_[0-9a-f]{40}", r"sq[uap]_[0-9a-f]{40}", r"ico-[A-Za-z0-9]{32}", r"nvapi-[\w-]{40,80}",
    r"AKCp\w{60,80}", r"AQE[\w+/]{40,80}-[\w+/]{30,60}", r"pat-[a-z]{2}\d-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"00D[A-Za-z0-9]{12,15}![\w.]{60,120}",
    r"AAAA[\w-]{7}:APA91b[\w-]{100,180}", r"st\.[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}", r"csk-[a-z0-9]{40,60}", r"pa-[\w-]{40,50}",
    r"AAAAA[A-Za-z0-9%]{80,150}", r"ABSK[A-Za-z0-9+/=]{100,280}",
    # hashes of passwords, wallets
    r"\$(?:2[aby]|apr1|[156y]|argon2(?:id?|d)|pbkdf2[\w-]{0,12}|scrypt|7)\$[\w./+=,$-]{20,200}",
    r"pbkdf2_sha(?:1|256|512)\$\d{3,8}\$\w{6,40}\$[\w+/=]{20,100}", r"[5KL][1-9A-HJ-NP-Za-km-z]{50,51}\b", r"xprv[1-9A-HJ-NP-Za-km-z]{100,112}",
    # tokens of the web
    r"eyJ[\w-]{8,2000}\.[\w-]{8,8000}(?:\.[\w-]{0,2000}){0,3}",
)  # fmt: skip
_RUN = re.compile(r"(?<![^\s\"'`,;()<>{}\[\]|])[^\s\"'`,;()<>{}\[\]|]{16,}")
_JOINED = re.compile(r"[A-Za-z0-9_+/=-]*\Z")
_WORD = re.compile(r"[a-z]{1,24}|[A-Z]{1,24}|[A-Z][a-z]{1,24}|0x[0-9]{1,4}|[0-9]{1,4}")
_DIGEST = re.compile(r"(?i)sha\d|md5|integrity")
_AFTER_DIGIT = [shape for shape in _SHAPES if re.match(r"(?:\(\?:)?[A-Za-z]{2}", shape)]
"""The shapes that begin with letters, so that a digit directly before them is not a part of them."""
_SHAPE = re.compile(
    rf"{_B}(?:{'|'.join(_SHAPES)})|(?<=[0-9])(?=[A-Za-z])(?:{'|'.join(_AFTER_DIGIT)})", re.ASCII
)

_PREFIXED = re.compile(
    _B
    + r"(?<![/=+.\\])(?P<id>[a-z][a-z0-9]{1,14}(?:[_-][a-z][a-z0-9]{1,11}){0,3})[_-](?P<s>[A-Za-z0-9_-]{18,200})(?![\w.-])",
    re.ASCII,
)
_IDS = frozenset(
    {"chatcmpl", "call", "toolu", "msg", "run", "thread", "req", "file", "asst", "resp", "step", "srvtoolu",
     "gen", "id", "sha", "sha1", "sha224", "sha256", "sha384", "sha512", "md5", "cs", "evt", "cus", "pi", "sub", "prod",
     "price", "in", "ch", "batch", "fc", "rs", "vs", "org", "proj", "user", "conv", "session", "trace", "span", "uuid",
     "build", "commit", "img", "image", "css", "js", "chunk", "hash", "v1", "cell", "ref", "data", "page", "test"}
)  # fmt: skip
"""Prefixes of names and numbers that are made by chance, too, and open nothing."""

_END = "-----END "
_PEM_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_PEM_MOST = 20_000
_PPK = re.compile(
    r"PuTTY-User-Key-File-\d: [\s\S]{0,800}?Private-Lines: \d{1,4}\r?\n(?P<s>(?:[\w+/=]{20,80}\r?\n?){1,200})"
)
_MNEMONIC = re.compile(
    r"(?ia)\b(?:mnemonic|seed phrase|recovery phrase|seed words)\W{1,12}(?:is\W{1,4})?(?P<s>(?:[a-z]{3,8}[ \t]){11,23}[a-z]{3,8})\b"
)
_ETH = re.compile(r"(?<!\w)0x(?P<s>[0-9a-fA-F]{64})(?!\w)", re.ASCII)

_HOOKS = re.compile(
    r"https?://(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/(?P<slack>[\w/+-]{20,200})"
    r"|(?:\w{1,20}\.)?discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/(?P<discord>\d{10,25}/[\w-]{30,120})"
    r"|[\w.-]{1,80}\.webhook\.office\.com/webhookb2/(?P<teams>[\w@/-]{40,300})"
    r"|chat\.googleapis\.com/v1/spaces/(?P<chat>[\w/-]{4,60}\?[\w=&%+/.-]{20,300})"
    r"|hooks\.zapier\.com/hooks/catch/(?P<zapier>[\w/]{8,60})|maker\.ifttt\.com/trigger/[\w-]{1,60}/with/key/(?P<ifttt>[\w-]{10,80})"
    r"|[\w.-]{1,80}\.logic\.azure\.com(?::\d+)?/workflows/(?P<logic>[\w/?=&%.+-]{20,400})"
    r"|api\.telegram\.org/(?:file/)?bot(?P<telegram>\d{6,12}:[\w-]{20,50}))"
)

_MULTIPLE = (
    ("FlyV1 ", re.compile(r"FlyV1 (?P<s>fm\d[\w+/=,-]{20,2000})")),
    ("SSWS ", re.compile(r"SSWS (?P<s>[\w-]{30,60})")),
    (
        "$ANSIBLE_VAULT;",
        re.compile(r"\$ANSIBLE_VAULT;[^\r\n]{3,60}(?P<s>(?:\s{1,20}[0-9a-f]{20,100}){1,200})"),
    ),
    ("{S", re.compile(r"\{(?:SSHA|SHA|SMD5)(?:256|512)?\}(?P<s>[\w+/]{20,120}={0,2})")),
    ("PuTTY-User", _PPK),
    ("://", _HOOKS),
)
_PHRASE = re.compile(r"(?i)mnemonic|(?:seed|recovery) (?:phrase|words)")


def tokens(text: str) -> Iterator[tuple[int, int]]:
    """Find secrets by their own look; gives where each begins and ends."""
    for run in _RUN.finditer(text):
        for match in _SHAPE.finditer(text, *run.span()):
            if _is_token(match[0]) and is_apart(text, match.start()):
                yield match.span()
        for match in _PREFIXED.finditer(text, *run.span()):
            named = _IDS.isdisjoint(re.split("[-_]", match["id"]))
            if named and _is_body(match["s"]) and is_apart(text, match.start()):
                yield match.span()
    yield from _with_spaces(text)


def _with_spaces(text: str) -> Iterator[tuple[int, int]]:
    for hint, expression in _MULTIPLE:
        if hint in text:
            yield from (match.span(match.lastgroup or 0) for match in expression.finditer(text))
    if "-----BEGIN " in text:
        yield from _private_keys(text)
    if "0x" in text:
        yield from (match.span("s") for match in _ETH.finditer(text) if is_random(match["s"]))
    if _PHRASE.search(text):
        yield from (match.span("s") for match in _MNEMONIC.finditer(text))


def is_apart(text: str, start: int) -> bool:
    """Return whether a token is alone or after words and numbers, not in a digest or a picture."""
    before = text[max(0, start - 60) : start]
    joined = _JOINED.search(before)
    if joined is None or not joined[0]:
        return True
    return not _DIGEST.search(joined[0]) and all(
        not part or _WORD.fullmatch(part) for part in re.split(r"[_=+/-]", joined[0])
    )


def _is_token(found: str) -> bool:
    """Return whether a text with a key's prefix is a key, not a name such as `sk-learn`."""
    if found != found.lower() or not is_name(found):
        return True
    return max(map(len, re.split("[-_.]", found))) >= 30


def _is_body(body: str) -> bool:
    longest = max(re.split("[-_]", body), key=len)
    digits = sum(map(str.isdigit, longest))
    upper = sum(map(str.isupper, longest))
    return len(longest) >= 16 and digits >= 2 and upper >= 2 and is_random(longest)


def _private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Yield each key with its first and last line, in one pass over the text."""
    heads = [match.span() for match in _PEM_HEAD.finditer(text)]
    for number, (start, body) in enumerate(heads):
        limit = heads[number + 1][0] if number + 1 < len(heads) else len(text)
        limit = min(limit, body + _PEM_MOST)
        end = text.find(_END, body, limit)
        if end >= 0:
            close = text.find("-----", end + len(_END), end + 80)
            yield start, (close + 5 if close >= 0 else end)
        elif any(map(str.isalnum, text[body : body + 80])):
            yield start, limit
