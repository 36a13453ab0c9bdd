"""Token counts of rows. None is unknown, and 0 is a measured zero."""

from __future__ import annotations

from typing import Any, NamedTuple


class TokenColumns(NamedTuple):
    """Tokens of a model call, or a reading of a counter of them.

    Attributes:
        input: Prompt tokens; includes `cached`.
        cached: Prompt tokens that came from the cache.
        output: Tokens of the answer; includes `reasoning`.
        reasoning: Tokens of the model's thoughts.
        total: All, as the harness counts.
        tier: The tier that served the call.
    """

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None
    total: int | None = None
    tier: str | None = None

    def columns(self) -> dict[str, Any]:
        """The values of a row of `model_calls`."""
        uncached = None
        if self.input is not None and self.cached is not None:
            uncached = max(0, self.input - self.cached)
        return {
            "input_tokens": self.input,
            "cache_read_tokens": self.cached,
            "uncached_input_tokens": uncached,
            "output_tokens": self.output,
            "reasoning_tokens": self.reasoning,
            "total_tokens": self.total,
            "service_tier": self.tier,
        }
