"""A Markdown text that grows: cut anywhere, it ends as the same HTML, at a price that is linear."""

import itertools
import random
import re

import pytest
from hypothesis import given, strategies as st

from agy_nb.widgets.markdown import code, markdown_stream as module
from agy_nb.widgets.markdown.markdown_stream import BlockTail, BlockUpdate, MarkdownStream
from agy_nb.widgets.markdown.markup import LONGEST_BLOCK, render
from tests.widgets.hostile import PAYLOADS, faults, text_of

BLOCKS = (
    "# A title",
    'Words with *stress*, `code` and a [link](https://example.org "title").\nMore ~~gone~~ words.',
    "| a | b |\n|---|:-:|\n| 1 | `2` |",
    '```python\ndef f():\n\n    return "```"\n```\nRight after it.',
    "- one\n\n  more of one\n- two\n\n  ```text\n  inside\n\n  of it\n  ```\n- three",
    "1. first\n   > quoted\n\n2. second",
    "> - x\n>\n> y",
    "~~~\nother fence\n```\n\n~~~",
    "    indented code\n\n    goes on",
    "***\nA rule and words",
    "- ```\n  inside a list\n\n  ```",
    "Title\n===\nwords",
    "Last: ![a cat](https://example.org/cat.png) & <b>no</b> \u05e9\u05dc\u05d5\u05dd e\u0301",
)
DOCUMENT = "\n\n".join(BLOCKS) + "\n"

LINES = (
    *("words *more*", "# title", "---", "===", "", "", "", "  indented", "    code", "\ttab"),
    *("```", "```python", "~~~", "````", "  ```", "    ```", "- ```", "> ```", "1. ~~~"),
    *("- item", "* item", "  - nested", "1. one", "12) twelve", "> quote", "> - both", ">", "-"),
    *("| a | b |", "|---|---|", "| 1 | 2 |", "[x]: https://example.org", "[x]", "[x](y", "![x](y)"),
    *(
        "<script>alert(1)</script>",
        "**half",
        "`half",
        "\\",
        "&amp;",
        "\u202eback",
        "\r",
        " \r",
        "\x0c",
    ),
    *("\u00a0" * 14, " " * 14 + "far", "123456789. x", "1234567890. x", "```a``` b", "*" * 20),
)
ANY_LINE = st.one_of(st.sampled_from(LINES), st.text(max_size=30))
TEXTS = st.lists(ANY_LINE, max_size=25).map("\n".join)


def fed(pieces, *, looking=False):
    """Blocks that were fed these pieces to the end, and the changes that they gave."""
    blocks = MarkdownStream()
    changes = []
    for piece in pieces:
        blocks.append(piece)
        if looking:
            changes += blocks.changes()
    blocks.finish()
    changes += blocks.changes()
    return blocks, changes


def letters(text):
    """Letters and digits of a text, without the names of characters that cannot be seen."""
    return "".join(filter(str.isalnum, re.sub("⟨U\\+[0-9A-F]+⟩", "", text)))


def shown(changes):
    """What a view shows after these changes: the HTML of each block and the text below it."""
    page: dict[int, tuple[str, str]] = {}
    for change in changes:
        if isinstance(change, BlockUpdate):
            page[change.block] = (change.html, "")
        else:
            html, tail = page.get(change.block, ("", ""))
            page[change.block] = (html, tail + change.text)
    return page


def cut(text, places):
    """The pieces of a text between these places."""
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(min_value=0, max_value=1_000_000), max_size=40)


# -- the same whatever the pieces ------------------------------------------------------------------


@given(TEXTS, CUTS, st.booleans())
def test_any_cut_of_any_text_gives_the_same_html(text, places, looking):
    whole, _ = fed([text])
    pieces, _ = fed(cut(text, places), looking=looking)
    assert pieces.html() == whole.html()
    assert pieces.source == text


@given(TEXTS, CUTS)
def test_what_a_view_shows_at_the_end_is_the_html(text, places):
    blocks, changes = fed(cut(text, places), looking=True)
    page = shown(changes)
    assert "".join(html + tail for html, tail in page.values()) == blocks.html()
    assert list(page) == sorted(page)


@given(TEXTS, CUTS)
def test_what_has_come_is_on_the_page_but_for_a_word(text, places):
    blocks = MarkdownStream()
    changes = []
    come = ""
    for piece in cut(text, places):
        blocks.append(piece)
        changes += blocks.changes()
        come += piece
        page = "".join(text_of(html) + tail for html, tail in shown(changes).values())
        wanted, known = (letters(each) for each in (text_of(blocks.html()), page))
        assert len(wanted) - len(known) <= module._LAG


def test_document_of_everything_is_what_markdown_makes_of_it_as_a_whole():
    blocks, _ = fed([DOCUMENT])
    assert blocks.html() == render(DOCUMENT)
    assert len(blocks._closed) > 10


@given(st.permutations(BLOCKS))
def test_blocks_end_where_markdown_ends_them(parts):
    blocks, _ = fed(["\n\n".join(parts)])
    # lists that stand side by side may be one list to Markdown, and a loose one
    lists = re.compile(r"</?p>|</?[uo]l[^>]*>|\n")
    assert lists.sub("", blocks.html()) == lists.sub("", render("\n\n".join(parts)))


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64])
def test_document_in_pieces_is_the_document(piece):
    whole, _ = fed([DOCUMENT])
    pieces, changes = fed(cut(DOCUMENT, range(0, len(DOCUMENT), piece)), looking=True)
    assert pieces.html() == whole.html()
    assert "".join(html for html, _ in shown(changes).values()) == whole.html()


@pytest.mark.parametrize(
    "text",
    ["```python\nx = 1\n```\n", "| a | b |\n|---|---|\n| 1 | 2 |\n", '[x](https://a.b/c "t") y\n'],
)
def test_half_of_a_fence_a_table_or_a_link_is_shown_at_every_cut(text):
    for at in range(1, len(text)):
        blocks = MarkdownStream()
        blocks.append(text[:at])
        changes = blocks.changes()
        assert faults(blocks.html()) == []
        blocks.append(text[at:])
        blocks.finish()
        page = shown(changes + blocks.changes())
        assert "".join(html + tail for html, tail in page.values()) == render(text)


def test_text_that_waits_to_be_rendered_hides_nothing_either():
    blocks = MarkdownStream()
    for piece in ("word " * 1_000, "\x1b[31m\u202eback\ud800"):
        blocks.append(piece)
        (change,) = blocks.changes()
    assert change == BlockTail(0, "⟨U+001B⟩[31m⟨U+202E⟩back⟨U+D800⟩")


def test_half_of_a_link_definition_is_not_kept():
    blocks, _ = fed(["[x]\n\n[x]: https://exa", "mple.org\n\n[x]"], looking=True)
    assert blocks.html().count('href="https://example.org"') == 1
    assert 'exa"' not in blocks.html()


@given(st.sampled_from(PAYLOADS), CUTS)
def test_nothing_hostile_is_left_at_any_moment(payload, places):
    text = f"words\n\n{payload}\n\nwords"
    blocks = MarkdownStream()
    for piece in cut(text, places):
        blocks.append(piece)
        for change in blocks.changes():
            assert isinstance(change, BlockTail) or faults(change.html) == []
        assert faults(blocks.html()) == []


# -- what it costs ---------------------------------------------------------------------------------


@pytest.fixture
def rendered(monkeypatch):
    """How many characters were looked at as Markdown."""
    sizes = []

    def count(source, *rest, **options):
        sizes.append(len(source))
        return render(source, *rest, **options)

    monkeypatch.setattr(module, "render", count)
    return sizes


TEXTS_OF_ALL_KINDS = {
    "prose": "Some words of prose that go on. " * 2_000,
    "paragraphs": "Some words of prose.\n\n" * 3_000,
    "lines": "One line of a paragraph\n" * 2_500,
    "list": "- an item with words\n" * 3_000,
    "table": "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 5_000,
    "code": "```python\n" + "x = [1, 2, 3]\n" * 4_000 + "```\n",
    "words": "x\n\n" * 20_000,
    "empty lines": "\n" * 50_000,
    "definitions": "[x]: https://example.org\n" * 2_500,
    "quotes": "> " * 30_000,
    "spaces": " " * 50_000,
    "fences": "```\n" * 10_000,
    "one word": "x" * 60_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 50, 5_000])
@pytest.mark.parametrize("kind", TEXTS_OF_ALL_KINDS)
def test_bytes_are_twice_the_text_and_the_final_html_at_the_most(kind, size, rendered):
    text = TEXTS_OF_ALL_KINDS[kind]
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    blocks, changes = fed(pieces, looking=True)
    sent = sum(len(each.text if isinstance(each, BlockTail) else each.html) for each in changes)
    assert sent <= 2 * len(text) + len(blocks.html()) + module._FREE
    assert sum(rendered) <= 3 * len(text) + 2 * module._FREE


@given(TEXTS, CUTS)
def test_bytes_are_bounded_for_any_text_and_any_cut(text, places):
    blocks, changes = fed(cut(text, places), looking=True)
    sent = sum(len(each.text if isinstance(each, BlockTail) else each.html) for each in changes)
    assert sent <= 2 * len(text) + len(blocks.html()) + module._FREE


def test_closed_block_is_rendered_once(rendered):
    blocks = MarkdownStream()
    for number in range(100):
        blocks.append(f"paragraph {number}\n\n")
    assert len(rendered) == 99
    blocks.finish()
    assert len(rendered) == 100


@pytest.mark.slow
def test_hundred_thousand_chunks_are_a_text(rendered):
    random.seed(4)
    words = ["word ", "*s* ", "`c` ", ". ", "\n", "\n\n", "\n- ", "\n```\n", "\n| a |\n"]
    pieces = random.choices(words, weights=[50, 5, 5, 5, 3, 3, 1, 1, 1], k=100_000)
    blocks, _ = fed(pieces, looking=True)
    assert blocks.source == "".join(pieces)
    assert sum(rendered) <= 3 * len(blocks.source) + 2 * module._FREE


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_line_of_a_million_characters_is_shown_as_it_is(size):
    line = "long " * 200_000
    blocks, _ = fed([line[at : at + size] for at in range(0, len(line), size)], looking=True)
    assert blocks.html() == f"<pre>{line}</pre>\n"


@pytest.mark.slow
@pytest.mark.parametrize("size", [1_000, 10_000_000])
def test_ten_megabytes_are_shown_and_only_the_beginning_is_looked_at_as_markdown(size, rendered):
    text = "Some *words* of <prose>.\n\n" * 400_000
    blocks, _ = fed([text[at : at + size] for at in range(0, len(text), size)])
    html = blocks.html()
    assert html.startswith("<p>Some <em>words</em> of &lt;prose&gt;.</p>\n")
    end = "of &lt;prose&gt;.\n\nSome *words* o</pre>\n"
    assert html.endswith(end + "<p>… 9,400,000 more characters not shown.</p>\n")
    assert html.count("words") == 1_000_000 // 26 + 1
    assert sum(rendered) < module.LONGEST_FORMATTED + LONGEST_BLOCK


LONG = {
    "prose": "Some *words* of <prose>.\n\n" * 4_000,
    "one line": "long " * 20_000,
    "code": "```python\n" + "x = '<1>'\n" * 10_000,
    "nearly blank": "a\n\n" * 6_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG)
def test_long_piece_is_read_in_slices_and_ends_as_the_same_html(kind, rendered, monkeypatch):
    """Ten megabytes in one event held up the loop for seconds."""
    monkeypatch.setattr(module, "SLICE_S", 60)  # so that the machine's pace does not count
    text = LONG[kind]
    short, _ = fed(text[at : at + 5_000] for at in range(0, len(text), 5_000))
    rendered.clear()
    blocks = MarkdownStream()
    blocks.append(text)
    assert rendered == []
    slices = []
    while blocks.has_backlog:
        before = sum(rendered)
        blocks.changes()
        slices.append(sum(rendered) - before)
    blocks.finish()
    assert len(slices) >= len(text) // module.SLICE
    if kind in ("prose", "nearly blank"):  # an open line or block is looked at as a whole
        assert max(slices) <= 2 * (module.SLICE + LONGEST_BLOCK)
    assert blocks.html() == short.html()


@pytest.mark.parametrize("kind", LONG)
def test_html_has_all_of_a_long_piece_also_before_it_is_read(kind):
    text = LONG[kind]
    blocks = MarkdownStream()
    blocks.append(text)
    blocks.changes()
    assert blocks.has_backlog
    words = re.findall(r"\w+", text)
    assert re.findall(r"\w+", text_of(blocks.html()).removeprefix("python")) in (
        words,
        words[1:],  # a fence that is drawn as code does not show its language
    )


@pytest.mark.parametrize("end", ["", "\n", "\n```", "\n```\n", "\n ````  \n\n"])
def test_long_code_is_what_markdown_makes_of_it(end, monkeypatch):
    source = "```python\nif a < b & c:\n\n\treturn '``'" + end
    usual = text_of(render(source, colours=False))
    monkeypatch.setattr(code, "LONGEST_HIGHLIGHT", 10)
    assert text_of(render(source)) == usual
    assert faults(render(source)) == []


def test_long_list_is_several_lists_and_counts_on():
    blocks, _ = fed(["".join(f"{number}. item of a list\n" for number in range(1, 1_000))])
    html = blocks.html()
    assert html.count("<li>") == 999
    assert html.count("<ol start=") == html.count("<ol") - 1 > 2


@pytest.mark.parametrize("opening", ["- ```sh\n", "1. ```\n", "> ```\n> ", "- a\n\n  ```\n"])
def test_fence_in_a_list_or_a_quote_ends_with_it(opening):
    blocks, _ = fed([f"{opening}  code\n\nafter\n\nlast\n"])
    assert blocks.html().endswith("<p>after</p>\n<p>last</p>\n")
    assert len(blocks._closed) == 3


def test_code_right_below_words_is_a_block_of_its_own():
    blocks, _ = fed(["Here it is:\n```\ncode\n```\nand *more*\n"])
    assert [each[:3] for each in blocks._closed] == ["<p>", "<pr", "<p>"]


def test_short_piece_waits_behind_a_long_one():
    blocks = MarkdownStream()
    blocks.append("long\n\n" * module.SLICE)
    blocks.append("end")
    blocks.finish()
    assert blocks.html().endswith("<p>long</p>\n<p>end</p>\n")
