"""Hostile text, and what may be left of it: the corpus of `xss.txt` and a reader of HTML."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

_CORPUS = Path(__file__).with_name("xss.txt")

MARKDOWN_TAGS = frozenset(
    re.findall(
        r"\w+",
        "a blockquote br code dd del dl dt em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong "
        "sub sup "
        "table tbody td th thead tr ul math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup "
        "msubsup munder mover munderover mtable mtr mtd mstyle mpadded mphantom menclose",
    )
)
OUR_TAGS = frozenset(("code", "details", "div", "p", "pre", "span", "strong", "summary"))
COLOUR = re.compile(r"agyc-[a-z0-9]{1,3}")


def _real(line: str) -> str:
    """A line of the corpus with its control characters."""
    return "".join(chr(ord(c) - 0x2400) if "\u2400" <= c < "\u2420" else c for c in line)


PAYLOADS = tuple(
    _real(line)
    for line in _CORPUS.read_text(encoding="utf-8").splitlines()
    if not line.startswith("////")
)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.other: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.other.append(data)

    def handle_decl(self, decl):
        self.other.append(decl)

    def handle_pi(self, data):
        self.other.append(data)

    def unknown_decl(self, data):
        self.other.append(data)


def read(html: str) -> _Reader:
    """The elements and texts of a piece of HTML, whole."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def text_of(html: str) -> str:
    """What a reader sees."""
    return "".join(read(html).texts)


def skeleton(html: str) -> list[tuple[str, dict[str, str]]]:
    """Elements and attributes without the colours of code: what hostile text must not change."""
    return [
        (tag, attributes)
        for tag, attributes in read(html).elements
        if not COLOUR.fullmatch(attributes.get("class", ""))
    ]


def faults(html: str) -> list[str]:
    """What is in the HTML of a Markdown text that must not be."""
    reader = read(html)
    found = [f"markup that is no element: {each[:60]!r}" for each in reader.other]
    for tag, attributes in reader.elements:
        if tag not in MARKDOWN_TAGS:
            found.append(f"<{tag}>")
        for name, value in attributes.items():
            if not _fine(tag, name, value):
                found.append(f"<{tag} {name}={value!r}>")
    return found


def _fine(tag: str, name: str, value: str) -> bool:
    match tag, name:
        case "a", "href":
            parts = urlsplit(value)
            return parts.scheme in ("http", "https") and bool(parts.hostname)
        case "a", "rel":
            return "noreferrer" in value.split()
        case "a", "target":
            return value == "_blank"
        case "a", "title":
            return True
        case "ol", "start":
            return value.isdigit()
        case "span", "class":
            return value == "agy-label" or bool(COLOUR.fullmatch(value))
        case "math" | "mi" | "mo" | "mover" | "munder" | "mtable" | "mtd" | "mstyle" | "mspace", _:
            return name not in ("href", "style", "class", "id") and len(value) < 30
        case "td" | "th", "class":
            return value in ("agy-m", "agy-r")
        case "table", "class":
            return all(re.fullmatch(r"agy-[mr]\d{1,2}", each) for each in value.split())
        case _:
            return False
