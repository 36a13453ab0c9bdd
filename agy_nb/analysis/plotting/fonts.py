"""Fonts for texts in any script: without the right one, Matplotlib warns and shows a box."""

from __future__ import annotations

from functools import cache

_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei",
    "PingFang SC", "Hiragino Sans", "Yu Gothic", "Malgun Gothic", "Apple SD Gothic Neo",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "IPAexGothic", "Droid Sans Fallback",
    "Arial Unicode MS", "Unifont", "Noto Emoji", "Symbola", "Segoe UI Emoji", "Segoe UI Symbol",
    "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Hebrew", "Noto Sans Thai",
)  # fmt: skip
_BOX = "\u25a1"


def families() -> list[str]:
    """Return the font of the style, and installed fonts for other scripts."""
    from matplotlib import font_manager, rcParams

    return _families(tuple(rcParams["font.family"]), len(font_manager.fontManager.ttflist))


@cache
def _families(chosen: tuple[str, ...], _n_fonts: int) -> list[str]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [*chosen, *(name for name in _FONTS if name in installed)]


@cache
def _glyphs(families: tuple[str, ...]) -> frozenset[int]:
    from matplotlib import font_manager

    found: set[int] = set()
    for family in families:
        properties = font_manager.FontProperties(family=[family])
        found.update(font_manager.get_font(font_manager.findfont(properties)).get_charmap())
    return frozenset(found)


def drawable(text: str) -> str:
    """Return a text in which a box stands for each character that no installed font has."""
    if text.isascii() and text.isprintable():
        return text
    known = _glyphs(tuple(families()))
    kept = (char if ord(char) in known else _BOX for char in text if char not in "\ufe0f\u200d")
    return "".join(kept)
