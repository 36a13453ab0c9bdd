"""The style sheet of the views, and the part of it that one piece of HTML needs.

Each output of a notebook is saved with its own styles, so an output has only the rules that apply
to it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agy_nb.widgets.markdown.syntax import ALIGNED, MOST_COLUMNS

_CSS = Path(__file__).parents[1] / "static" / "view.css"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{((?:[^{}]|\{[^{}]*\})*)\}")
_SPACE = re.compile(r"\s+")
_COMMAS = re.compile(r",(?![^(]*\))\s*")
_NAMES = re.compile(r"\.(agyc?-[\w-]+)|(?:^|[\s>~+(])([a-z][a-z0-9]*)|\[([a-z-]+)")
_USED = re.compile(r'\sclass="([^"]*)"|<([a-z][a-z0-9]*)|\s([a-z-]+)(?=[=\s>])')
_COLUMNS = {
    "agy-m": "text-align: center",
    "agy-r": "font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap",
}
_ARGUMENT = re.compile(r":nth-child\([^)]*\)")
_DEFINED = re.compile(r"(--agy-[a-z]+):")
_ROOTS = (".agy-view.agy-view", ".agy-view")
_LIVE = re.compile(r":(?:focus|hover|disabled)|:empty")
"""Pseudo-classes that matter in a live view only."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of the style sheet.

    Attributes:
        selectors: Each selector with the classes, tags and attributes that it names.
        body: The declarations.
        media: The prelude of the at-rule around it, or empty.
    """

    selectors: tuple[tuple[str, frozenset[str]], ...]
    body: str
    media: str = ""


@functools.cache
def style() -> str:
    """Return the style sheet of the views."""
    return _CSS.read_text(encoding="utf-8") + "".join(
        f".agy-view.agy-view .{name}{number} tr > :nth-child({number}) {{{_COLUMNS[name]}}}\n"
        for name in ALIGNED.values()
        for number in range(1, MOST_COLUMNS + 1)
    )


def _rules(css: str, media: str = "") -> Iterator[_Rule]:
    for match in _RULE.finditer(css):
        prelude, body = match[1].strip(), match[2]
        if prelude.startswith("@"):
            yield from _rules(body, prelude)
            continue
        selectors = []
        for selector in _COMMAS.split(_SPACE.sub(" ", prelude)):
            if not _LIVE.search(selector):
                names = {
                    name
                    for found in _NAMES.findall(_ARGUMENT.sub("", selector))
                    for name in found
                    if name
                }
                selectors.append((selector, frozenset(names) - {"agy-view"}))
        yield _Rule(tuple(selectors), _minified(body), media)


def _minified(body: str) -> str:
    short = re.sub(r"\s*([;:,])\s*", r"\1", _SPACE.sub(" ", body)).strip(" ;")
    return re.sub(r"(?<![\w.])0(?=\.\d)", "", short)


@functools.cache
def _parsed() -> tuple[_Rule, ...]:
    return tuple(_rules(_COMMENT.sub("", style())))


def style_of(html: str) -> str:
    """Return the part of the style sheet that applies to a piece of HTML.

    Example:
        >>> "blockquote" in style_of("<p>Hi</p>") or ".agy-tool" in style_of("<p>Hi</p>")
        False
    """
    used: set[str] = set()
    for classes, tag, attribute in _USED.findall(html):
        used.update(classes.split() if classes else (tag or attribute,))
    return _selected(frozenset(used & _all_names()))


@functools.cache
def _all_names() -> frozenset[str]:
    return frozenset().union(*(names for rule in _parsed() for _, names in rule.selectors))


@functools.lru_cache(maxsize=64)
def _selected(used: frozenset[str]) -> str:
    """Return the rules whose classes, tags and attributes are all used, and their variables."""
    groups: list[tuple[str, str, list[tuple[str, str]]]] = []
    for rule in _parsed():
        wanted = [selector for selector, names in rule.selectors if names <= used]
        if not wanted:
            continue
        root = _common_root(wanted)
        inner = ",".join(f"&{each.removeprefix(root)}" if root else each for each in wanted)
        inner = inner.replace(" > ", ">")
        if not groups or groups[-1][:2] != (rule.media, root):
            groups.append((rule.media, root, []))
        rules = groups[-1][2]
        if rules and rules[-1][1] == rule.body:
            inner = f"{rules.pop()[0]},{inner}"
        joined = f"{rules.pop()[1]};" if rules and rules[-1][0] == inner else ""
        rules.append((inner, f"{joined}{rule.body}"))
    css = "".join(_group(media, root, rules) for media, root, rules in groups)
    return _without_unused_variables(css)


def _group(media: str, root: str, rules: list[tuple[str, str]]) -> str:
    """Return rules inside the view and the at-rule that they have in common."""
    css = "".join(f"{selectors}{{{body}}}" for selectors, body in rules)
    for outside in (root, media):
        css = f"{outside}{{{css}}}" if outside else css
    return css


def _common_root(selectors: list[str]) -> str:
    """Return the view that all selectors start with, for rules that are nested in one."""
    for root in _ROOTS:
        if all(each.startswith(f"{root} ") for each in selectors):
            return root
    return ""


def _without_unused_variables(css: str) -> str:
    while unused := {name for name in _DEFINED.findall(css) if f"var({name}" not in css}:
        css = re.sub(rf"(?:{'|'.join(unused)}):[^;}}]*;?", "", css)
    return css
