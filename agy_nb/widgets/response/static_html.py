"""Static HTML, Markdown and text of a view, which need no kernel, scripts or network."""

from __future__ import annotations

from dataclasses import dataclass

from agy_nb.widgets.markdown.source import fenced
from agy_nb.widgets.response.style_sheet import style_of
from agy_nb.widgets.tree.conversation import ConversationView

VIEW = "agy-view mathjax_ignore tex2jax_ignore"
"""CSS classes of a view. They disable MathJax: TeX in a model's text could set styles and links."""


def with_style(inside: str, classes: str = VIEW) -> str:
    """Put the HTML of nodes into a view with the styles that it needs.

    Line ends are written as character references, which take less room in a notebook's JSON.

    Args:
        inside: The HTML of nodes.
        classes: The CSS classes of the view.
    """
    inside = inside.replace("\n", "&#10;")
    return f'<style>{style_of(inside)}</style><div class="{classes}">{inside}</div>'


_LONGEST_PLAIN = 120
"""Characters of `text/plain` next to the complete `text/markdown`."""


@dataclass(frozen=True, slots=True)
class Still:
    """The static content of a view.

    Attributes:
        html: The HTML of its nodes.
        text: The text for a terminal.
        markdown: The Markdown; None if the text is a table for a terminal.
    """

    html: str
    text: str
    markdown: str | None = None

    def bundle(self, classes: str = VIEW) -> dict[str, str]:
        """Convert to a MIME bundle for a notebook output; empty if there is nothing to show.

        Args:
            classes: The CSS classes of the view.
        """
        if not self.html:
            return {}
        return {
            "text/html": with_style(self.html, classes),
            "text/markdown": fenced(self.text) if self.markdown is None else self.markdown,
            "text/plain": self.text,
        }


def still(transcript: ConversationView, *, short: bool = False) -> Still:
    """Return the static content of a transcript.

    Args:
        transcript: The transcript.
        short: Whether only the beginning of the text is needed, next to its Markdown.
    """
    text = transcript.text()
    more = len(text) - _LONGEST_PLAIN
    if short and more > 0:
        text = f"{text[:_LONGEST_PLAIN]}… {more:,} more characters"
    return Still(transcript.html(), text, transcript.markdown())


def bundle(transcript: ConversationView, *, short: bool = False) -> dict[str, str]:
    """Convert a transcript to a MIME bundle for a notebook output.

    Args:
        transcript: The transcript.
        short: Whether only the beginning of the text is needed, next to its Markdown.

    Returns:
        `text/html`, self-contained, `text/markdown` and `text/plain`.
    """
    return still(transcript, short=short).bundle()
