"""Markdown that is saved in a notebook, where other programs render it."""

import re

import pytest
from hypothesis import example, given, strategies as st
from markdown_it import MarkdownIt

from agy_nb.widgets.markdown.markdown_stream import MarkdownStream
from agy_nb.widgets.markdown.source import fenced, safe_source
from tests.widgets.hostile import PAYLOADS

MARKDOWNS = "p|ul|ol|li|code|pre|em|strong|h[1-6]|blockquote|a|hr|br"
DANGEROUS = re.compile(rf"<(?!/?(?:{MARKDOWNS})\b)[a-z!?/]")


def saved(*pieces: str) -> str:
    stream = MarkdownStream()
    for piece in pieces:
        stream.append(piece)
    stream.finish()
    return stream.markdown()


def shown(markdown: str) -> str:
    """What a program makes of Markdown that lets HTML and images through."""
    return MarkdownIt("commonmark", {"html": True}).render(markdown)


@pytest.mark.parametrize(
    "around", ["{}", "a `b\nc` {} `d`", "- `a\n- {} `b`", "| `a | {} | b` |", "> ```\n{}"]
)
@pytest.mark.slow
def test_hostile_text_is_no_html_in_another_program(around):
    for payload in PAYLOADS:
        html = shown(saved(around.format(payload)))
        assert not DANGEROUS.search(html), payload
        assert "<img" not in html, payload


MARKS = ("`", "``", "```", "~~~", "\n", "\n\n", "- ", "> ", "|", "\\", " ", "    ", "1. ", "***")
PIECES = st.lists(st.sampled_from((*MARKS, "a", "<b>", "<!-- ", "![x](http://a)")), max_size=25)


@given(PIECES)
@example(["\\", "![x](http://a)"])  # escaped already: another backslash would undo it
@example(["\\", "\\", "![x](http://a)"])
def test_no_tag_and_no_image_survives_outside_of_code(pieces):
    html = shown(saved("".join(pieces)))
    for tag in ("<b>", "<img", "<!--"):
        assert tag not in html


def test_code_is_unchanged_and_text_is_escaped():
    source = "Use `List<int>`.\n\n```html\n<b>x</b>\n```\n\n<b>y</b>"
    assert saved(source) == source.replace("<b>y</b>", "&lt;b>y&lt;/b>")


def test_text_that_is_still_open_is_saved_too():
    stream = MarkdownStream()
    stream.append("# Title\n\nso f")
    assert stream.markdown() == "# Title\n\nso f"


def test_image_is_a_link():
    assert safe_source("![x](https://a.org)") == "\\![x](https://a.org)"


def test_text_with_fences_is_fenced():
    assert fenced("a\n```\nb") == "````\na\n```\nb\n````"
