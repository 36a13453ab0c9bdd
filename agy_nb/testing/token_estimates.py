"""Token counts from the length of texts, without a tokenizer.

Four characters count as one token, about right for English text. An image counts as 258 tokens, as
a small image does in Gemini.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from agy_nb.testing.script.model_turn import (
    FunctionCall,
    InlineImage,
    ModelTurn,
    ScriptText,
    ScriptThought,
)

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 258


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """The tokens of one call.

    Attributes:
        prompt: Tokens of the prompt; includes `cached`.
        cached: Tokens of the prompt that came from a cache.
        candidates: Tokens of the answer, without thoughts.
        thoughts: Tokens of the thoughts.
    """

    prompt: int
    cached: int
    candidates: int
    thoughts: int

    @property
    def total(self) -> int:
        """All tokens of the call."""
        return self.prompt + self.candidates + self.thoughts


def tokens(text: str) -> int:
    """Estimate the tokens of a text, rounded up.

    Example:
        >>> tokens("Hello"), tokens("")
        (2, 0)
    """
    return -(-len(text) // CHARS_PER_TOKEN)


def count(turn: ModelTurn, prompt_chars: int) -> TokenCounts:
    """Return the usage of a turn, with estimates for values that it leaves out.

    Args:
        turn: The answer.
        prompt_chars: Length of the request's prompt, in characters.
    """
    said = "".join(_text_of(part) for part in turn.parts)
    thought = "".join(
        chunk for part in turn.parts if isinstance(part, ScriptThought) for chunk in part.chunks
    )
    images = sum(isinstance(part, InlineImage) for part in turn.parts)
    given = turn.usage
    return TokenCounts(
        prompt=-(-prompt_chars // CHARS_PER_TOKEN) if given.prompt is None else given.prompt,
        cached=given.cached or 0,
        candidates=(
            tokens(said) + images * IMAGE_TOKENS if given.candidates is None else given.candidates
        ),
        thoughts=tokens(thought) if given.thoughts is None else given.thoughts,
    )


def _text_of(part: object) -> str:
    match part:
        case ScriptText(chunks):
            return "".join(chunks)
        case FunctionCall(name, args):
            return name + json.dumps(dict(args), default=str)
        case _:
            return ""
