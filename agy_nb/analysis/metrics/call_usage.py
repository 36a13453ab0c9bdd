"""The usage of one call: from a row of `model_calls`, and in the words of the price table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agy_nb.protocol.values import ModalityTokens, TokenUsage

LARGEST = 2**53
"""Counts from here on are not numbers of tokens."""
PRICED_APART = ("audio", "image", "video")
"""Modalities that a price table may price apart from text."""


def usage_of(row: Mapping[str, Any]) -> TokenUsage:
    """Return the usage of a row of `model_calls`."""

    def details(kind: str) -> tuple[ModalityTokens, ...]:
        counts = {each: row[f"{kind}_{each}_tokens"] for each in PRICED_APART}
        return tuple(
            ModalityTokens(modality=each, tokens=int(count))
            for each, count in counts.items()
            if count
        )

    return TokenUsage(
        input_tokens=row["input_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        output_tokens=row["output_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
        tool_use_tokens=row["tool_use_tokens"],
        service_tier=row["service_tier"] or row["requested_tier"],
        input_details=details("input"),
        cache_details=details("cache_read"),
        output_details=details("output"),
        tool_use_details=details("tool_use"),
    )


def table_usage(usage: TokenUsage, n_searches: int) -> dict[str, int]:
    """Return the usage of a call in the words of the price table."""
    found = {
        "input_tokens": (usage.input_tokens or 0) + (usage.tool_use_tokens or 0),
        "cache_read_tokens": usage.cache_read_tokens or 0,
        "output_tokens": usage.output_tokens or 0,
    }
    kinds = (
        ("input_{}_tokens", (*usage.input_details, *usage.tool_use_details)),
        ("cache_{}_read_tokens", usage.cache_details),
        ("output_{}_tokens", usage.output_details),
    )
    for name, details in kinds:
        for each in details:
            if each.modality in PRICED_APART and each.tokens:
                key = name.format(each.modality)
                found[key] = found.get(key, 0) + each.tokens
    if n_searches:
        found["web_searches"] = n_searches
    return found


def is_sound(usage: TokenUsage, n_searches: int) -> bool:
    """Return whether the counts of a call make sense."""
    every = (
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens or 0,
        usage.reasoning_tokens or 0, usage.tool_use_tokens or 0, n_searches,
    )  # fmt: skip
    if any(not isinstance(count, int) or not 0 <= count < LARGEST for count in every):
        return False
    cached, thoughts = usage.cache_read_tokens or 0, usage.reasoning_tokens or 0
    return cached <= (usage.input_tokens or 0) and thoughts <= (usage.output_tokens or 0)
