"""What stays of a view: HTML, Markdown and text that need no kernel, no script and no network."""

from __future__ import annotations

import functools
from pathlib import Path

from agy_nb.widgets.tree.conversation import ConversationView

VIEW = "agy-view mathjax_ignore tex2jax_ignore"
"""Classes of a view. What a model writes is no TeX: that can set styles and make links."""

_CSS = Path(__file__).parents[1] / "static" / "view.css"


@functools.cache
def style() -> str:
    """The style sheet of the views."""
    return _CSS.read_text(encoding="utf-8")


def bundle(transcript: ConversationView) -> dict[str, str]:
    """A transcript by MIME type, for a notebook's output.

    Returns:
        `text/html`, self-contained, and `text/plain`.
    """
    inside = transcript.html()
    return {
        "text/html": f'<style>{style()}</style><div class="{VIEW}">{inside}</div>',
        "text/plain": transcript.text(),
    }
