"""Render the tokens of the latest turns as a bar chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.usage.usage_table import UsageData, has_several_sessions, is_unknown

_BARS = 60
_PARTS = (
    ("uncached_input_tokens", "input", "in"),
    ("cache_read_tokens", "cached input", "cached"),
    ("output_tokens", "output", "out"),
)
_HEIGHT, _ROOM, _AXIS, _BELOW = 90, 8, 44, 18
_WIDTH, _WIDEST = 520, 32


def _compact(count: int) -> str:
    """Format a number of tokens for an axis.

    Example:
        >>> _compact(950), _compact(12_400), _compact(3_000_000)
        ('950', '12.4k', '3M')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit
    return str(count)


def chart(usage: UsageData) -> str:
    """Render the tokens of the latest turns as an SVG bar chart; empty before the first turn."""
    turns = usage.sums["turn"].dropna(subset=["turn_id", "total_tokens"]).tail(_BARS)
    if turns.empty:
        return ""
    top = max(1, int(turns["total_tokens"].max()))
    step = min(_WIDEST, _WIDTH // len(turns))
    rows = turns.to_dict("records")
    several = has_several_sessions(usage.sums["turn"])
    bars = "".join(
        _bar(_AXIS + place * step, step, row, top, str(row["session_name"]) if several else "")
        for place, row in enumerate(rows)
    )
    width = _AXIS + len(turns) * step + _ROOM
    floor = _HEIGHT + _ROOM
    named = {} if several else {0: rows[0], len(rows) - 1: rows[-1]}
    axis = "".join(
        f"<text x='{_AXIS + place * step + step / 2:.0f}' y='{floor + 14}' text-anchor='middle'>"
        f"{escape(str(row['turn_id']))}</text>"
        for place, row in named.items()
    )
    axis += "".join(
        f"<line x1='{_AXIS - 4}' x2='{width}' y1='{y}' y2='{y}'/>"
        f"<text x='{_AXIS - 8}' y='{y + 4}' text-anchor='end'>{label}</text>"
        for y, label in ((_ROOM, _compact(top)), (floor, "0"))
    )
    latest = f", last {len(turns)} turns" if len(turns) == _BARS else ""
    words = f"Tokens per turn{latest} (max {top:,})"
    legend = "".join(
        f"<span class='agy-fact'><span class='agy-swatch agy-bar-{kind}'></span> "
        f"{word.capitalize()}</span>"
        for _, word, kind in _PARTS
    )
    return (
        f"<svg class='agy-chart' role='img' aria-label='{words}' width='{width}' "
        f"height='{floor + _BELOW}' viewBox='0 0 {width} {floor + _BELOW}'>{axis}{bars}</svg>"
        f"<div class='agy-dim'>{words} {legend}</div>"
    )


def _bar(x: int, step: int, row: Mapping[Any, Any], top: int, session: str) -> str:
    parts, at = [], float(_HEIGHT + _ROOM)
    said = [f"{escape(session)} turn {row['turn_id']}".strip()]
    for name, word, kind in _PARTS:
        value = row[name]
        if kind == "in" and is_unknown(value):  # what of it was cached is not known
            value = row["input_tokens"]
        if is_unknown(value):
            continue
        height = _HEIGHT * int(value) / top
        at -= height
        said.append(f"{int(value):,} {word}")
        parts.append(
            f"<rect class='agy-bar-{kind}' x='{x + step // 8}' y='{at:.1f}' "
            f"width='{max(step - step // 4, 2)}' height='{height:.1f}'/>"
        )
    return f"<g><title>{', '.join(said)}</title>{''.join(parts)}</g>"
