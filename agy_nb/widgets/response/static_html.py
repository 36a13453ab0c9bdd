"""Static HTML and text of a view, which need no kernel, scripts or network."""

from __future__ import annotations

import functools
from pathlib import Path

from agy_nb.widgets.tree.conversation import ConversationView

VIEW = "agy-view mathjax_ignore tex2jax_ignore"
"""CSS classes of a view. They disable MathJax: TeX in a model's text could set styles and links."""

_CSS = Path(__file__).parents[1] / "static" / "view.css"


@functools.cache
def style() -> str:
    """Return the style sheet of the views."""
    return _CSS.read_text(encoding="utf-8")


def bundle(transcript: ConversationView) -> dict[str, str]:
    """Convert a transcript to a MIME bundle for a notebook output.

    Returns:
        `text/html`, self-contained, and `text/plain`.
    """
    inside = transcript.html()
    return {
        "text/html": f'<style>{style()}</style><div class="{VIEW}">{inside}</div>',
        "text/plain": transcript.text(),
    }
