"""Markdown becomes HTML that is safe to show: what a model says is hostile."""

import time

import pytest
from hypothesis import given, strategies as st

from agy_nb.widgets.markdown import code as code_module, markup
from tests.widgets.hostile import PAYLOADS, faults, read, skeleton, text_of


def test_corpus_is_large_and_has_no_payload_twice():
    assert len(PAYLOADS) >= 200
    assert len(set(PAYLOADS)) == len(PAYLOADS)


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "word {} word",
        "*{}*",
        "> {}",
        "- {}",
        "# {}",
        "[{}](http://127.0.0.1/)",
        '[x](http://127.0.0.1/ "{}")',
        "[x]({})",
        "![{}]({})",
        "| {} | x |\n| --- | --- |\n| x | {} |",
        "```{}\n{}\n```",
        "`{}`",
    ],
)
@pytest.mark.slow
def test_nothing_hostile_is_left_of_a_payload(around):
    sources = [around.replace("{}", payload) for payload in PAYLOADS]
    found = {source: faults(markup.render(source)) for source in sources}
    assert {source: left for source, left in found.items() if left} == {}


@pytest.mark.slow
def test_escaped_payload_is_text_and_nothing_else():
    for payload in PAYLOADS:
        html = markup.escape(payload)
        assert read(html).elements == [], payload
        wanted = [("p", {"title": markup.visible(payload)})]
        assert read(f'<p title="{html}">').elements == wanted, payload


@pytest.mark.parametrize("language", ["html", "python", "json", "diff", "console", "css", "js"])
def test_coloured_code_holds_spans_of_colour_only(language, monkeypatch):
    monkeypatch.setattr(code_module, "LONGEST_HIGHLIGHT_S", 30)
    code = "\n".join(PAYLOADS)
    html = code_module.highlight(code, language)
    assert "agyc-" in html
    assert skeleton(html) == []
    assert {tag for tag, _ in read(html).elements} == {"span"}


@given(st.text(alphabet="<>\"'=()[]!`~*_#|&;:/\\ \n\tajxonscript-01.{}$", max_size=200))
def test_no_text_of_marks_leaves_anything_hostile(source):
    assert faults(markup.render(source)) == []


@given(st.text(max_size=200))
def test_escaped_text_reads_as_itself(text):
    assert text_of(markup.escape(text)) == markup.visible(text)


def test_no_link_opens_in_the_page_or_tells_where_it_was():
    ((_p, _), (tag, attributes)) = read(markup.render("[x](https://example.org)")).elements
    assert tag == "a"
    assert attributes["target"] == "_blank"
    assert attributes["rel"] == "noreferrer"


@pytest.mark.parametrize(
    "target",
    [
        "/logout",
        "logout",
        "../hub/logout",
        "?x=1",
        "#top",
        "//example.org/x",
        "/\\example.org",
        "http:logout",
        "http:/logout",
        "https:logout",
        "https:/logout",
        "http:///logout",
        "http:\\\\example.org",
        "https://user@example.org:80@evil.example/",
        "mailto:a@example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "vscode://x",
    ],
)
def test_only_absolute_links_of_the_web_are_links(target):
    for source in (
        f"[x](<{target}>)",
        f"![x](<{target}>)",
        f"[x]\n\n[x]: <{target}>",
        f"<{target}>",
    ):
        hrefs = [dict(found).get("href") for tag, found in read(markup.render(source)).elements]
        assert not any(hrefs), source


@pytest.mark.parametrize(
    "target", ["http://example.org", "HTTPS://example.org/a?b=c#d", "http://127.0.0.1:8080/x"]
)
def test_absolute_links_of_the_web_stay(target):
    assert f'href="{target}"' in markup.render(f"[x]({target})")


def test_image_is_a_link_that_says_so():
    html = markup.render("![a cat](https://example.org/cat.png)")
    assert "<img" not in html
    assert 'href="https://example.org/cat.png"' in html
    assert "[image: a cat]" in html


def test_tables_lists_and_strikethrough_are_what_they_are_in_markdown():
    html = markup.render("| a | b |\n|---|---|\n| 1 | ~~2~~ |\n\n3. x\n4. y\n")
    tags = [tag for tag, _ in read(html).elements]
    assert tags == [
        "table",
        "thead",
        "tr",
        "th",
        "th",
        "tbody",
        "tr",
        "td",
        "td",
        "s",
        "ol",
        "li",
        "li",
    ]
    assert '<ol start="3">' in html


def test_columns_of_a_table_are_aligned_by_classes():
    html = markup.render("| a | b | c | d |\n|:--|:-:|--:|---|\n| 1 | 2 | 3 | 4 |\n")
    (table,) = [attributes for tag, attributes in read(html).elements if tag == "table"]
    assert table == {"class": "agy-m2 agy-r3 agy-r4"}
    assert faults(html) == []


def test_no_class_but_those_of_columns_reaches_a_cell():
    html = markup.sanitise('<table><td class="agy-r agy-button" style="x:y">1</td></table>')
    cells = [attributes for tag, attributes in read(html).elements if tag == "td"]
    assert cells == [{"class": "agy-r"}]


def test_code_is_coloured_by_classes_where_its_language_is_known():
    assert '<span class="agyc-k">def</span>' in markup.render("```python\ndef f(): pass\n```")
    assert "agyc-" not in markup.render("```no-such-language\ndef f(): pass\n```")
    assert "agyc-" not in markup.render("```python\ndef f(): pass\n```", colours=False)


def test_characters_that_hide_or_turn_text_are_shown():
    for mark in "\x00\x07\x1b\x7f\u202e\u2066\ufeff\ud800\udfff":
        shown = f"a⟨U+{ord(mark):04X}⟩b"
        assert markup.escape(f"a{mark}b") == shown
        assert text_of(code_module.highlight(f"a{mark}b", "console")) == shown
        assert markup.render(f"a{mark}b") == f"<p>{shown}</p>\n"


def test_scripts_that_run_from_the_right_and_combining_marks_are_kept():
    text = (
        "\u05e9\u05dc\u05d5\u05dd e\u0301 \u0928\u093f \U0001f468\u200d\U0001f469\u200d\U0001f467"
    )
    assert markup.render(text) == f"<p>{text}</p>\n"


def test_link_definitions_reach_later_pieces():
    references = {"references": {}}
    markup.render("[home]: https://example.org\n", references)
    assert 'href="https://example.org"' in markup.render("see [home]", references)


@pytest.mark.parametrize(
    "source",
    [
        "```\nhalf a fence",
        "| a | b |\n|--",
        "| a | b |\n|---|---|\n| 1",
        "[half a link](http://exam",
        "**half strong",
        "![half an image](",
        "- ",
        "1.",
        ">",
        "[x]:",
        "`",
        "<",
        "&",
        "\\",
    ],
)
def test_half_of_anything_is_shown_and_hides_nothing(source):
    html = markup.render(source)
    assert faults(html) == []
    words = [word for word in ("half", "a", "b", "exam", "x", "<", "&", "\\") if word in source]
    assert all(word in text_of(html) for word in words)


@pytest.mark.parametrize(
    "piece",
    ["*a ", "[", "![", "> ", "- ", "`", "(", "<", "**_", "|", "[a](", "~~", "&", "\\", "#", "1. "],
)
def test_no_nesting_is_too_deep_and_none_takes_long(piece):
    html = markup.render(piece * (markup.LONGEST_BLOCK // len(piece)))
    assert faults(html) == []


@pytest.mark.parametrize("language", ["console", "diff", "python", "json", "html", "yaml"])
@pytest.mark.parametrize(
    "code", ["$ ls -la", "$ a\nout\n$ rm -rf /", "-a\n+b", "a\n\n\n", "\n\na", ""]
)
def test_colours_change_nothing_of_the_code(code, language):
    assert text_of(code_module.highlight(code, language)) in (code, "")
    shown = text_of(markup.render(f"```{language}\n{code}\n```"))
    assert shown.strip("\n") == code.strip("\n")


def test_first_block_of_a_language_is_coloured_though_its_lexer_loads_others(monkeypatch):
    looks = iter([0, 60])  # a minute is over with the first token
    monkeypatch.setattr(code_module, "_used", set())
    monkeypatch.setattr(code_module.time, "thread_time", lambda: next(looks, 0))
    assert "agyc-" in code_module.highlight("<b>x</b>", "html")


@pytest.mark.parametrize("language", ["console", "diff", "js", "yaml", "make", "css", "markdown"])
@pytest.mark.parametrize("piece", ['\\"', "aaaa", "((((", "`", "<a ", "{{"])
@pytest.mark.slow
def test_no_code_is_coloured_for_long(language, piece):
    code_module.highlight("warm", language)
    began = time.process_time()
    code_module.highlight(piece * (code_module.LONGEST_HIGHLIGHT // len(piece)), language)
    code_module.highlight((piece * 250 + "\n") * 20, language)
    assert time.process_time() - began < 4 * code_module.LONGEST_HIGHLIGHT_S


@pytest.mark.parametrize("fence", ["```\n", "~~~python\n"])
def test_long_code_is_code_and_a_long_block_of_anything_else_is_shown_as_it_is(fence):
    code = "x = 1\n" * markup.LONGEST_BLOCK
    assert markup.render(f"{fence}{code}{fence[:3]}\n").startswith("<pre><code>x = 1\n")
    assert markup.render(f"{fence}{fence[:3]}\n{code}").startswith(f"<pre>{fence}")
    assert markup.render(f"*a* {code}").startswith("<pre>*a* x = 1\n")
    assert markup.render(f"{fence}{code * 10}").startswith(f"<pre>{fence}")


# -- Markdown as people write it -------------------------------------------------------------------


@pytest.mark.parametrize(
    "source", ["$x^2$", "\\(x^2\\)", "$$x^2$$", "\\[x^2\\]", "\\begin{align}x^2\\end{align}"]
)
def test_formula_is_mathml(source):
    html = markup.render(f"{source}\n")
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert text_of(html).strip() == "x2"


@pytest.mark.parametrize(
    "source",
    [
        "$\\unheard{x}$",
        "\\(\\unheard{x}\\)",
        "$\\def\\a{\\a\\a}\\a$",
        "$\\text{<b>x</b>}$",
        "$\\href{https://a.org}{x}$",
        "$\\unicode{<img src=x>}$",
        f"${'{' * 50}x{'}' * 50}$",
        f"$x{'+x' * 1_000}$",
        "It costs $5 and $6, or $ 7.",
        "\\begin{align}\\unheard\\end{align}",
    ],
)
def test_text_that_is_no_formula_stays_as_it_is(source):
    html = markup.render(source)
    assert "<math" not in html
    assert text_of(html).strip() == source


def test_numbers_of_formulas_do_not_begin_again_in_each_block():
    assert text_of(markup.render("\\begin{align}x\\end{align}")).strip() == "x"


def test_size_in_a_formula_is_limited():
    html = markup.render("$a\\hspace{9999cm}b\\,c$")
    assert "9999" not in html
    assert 'width="0.167em"' in html


def test_bare_address_is_a_link_and_a_name_with_a_dot_is_not():
    links = [a for tag, a in read(markup.render("https://a.org/x_y, a.py me@a.org")).elements if a]
    assert [each["href"] for each in links] == ["https://a.org/x_y"]


def test_line_breaks_and_scripts_are_tags_and_no_others():
    html = markup.render("H<sub>2</sub>O<BR/>x<sup>2</sup> <u>u</u> <sub onclick=x>y")
    assert [tag for tag, _ in read(html).elements] == ["p", "sub", "br", "sup"]
    assert "<u>u</u> <sub onclick=x>y" in text_of(html)


def test_task_list_has_boxes_and_definitions_have_a_list():
    assert text_of(markup.render("- [ ] a\n- [x] b")).split() == ["☐", "a", "☑", "b"]
    assert [tag for tag, _ in read(markup.render("T\n: D")).elements] == ["dl", "dt", "dd"]


def test_diagram_is_code_with_a_label():
    assert text_of(markup.render("```mermaid\ngraph TD\n```")) == "mermaid diagramgraph TD\n\n"


def test_column_of_numbers_is_aligned_to_the_right():
    table = "| name | n | mixed |\n|---|---|---|\n| a | 1,204,332 | 1 |\n| b | -3.5 % | x |\n"
    (table,) = [a for tag, a in read(markup.render(table)).elements if tag == "table"]
    assert table == {"class": "agy-r2"}


def test_columns_after_the_twentieth_are_aligned_by_their_cells():
    row = "|" + " 1 |" * 21 + "\n"
    cells = [a for tag, a in read(markup.render(row + "|" + "---|" * 21 + "\n" + row)).elements]
    assert [a for a in cells if a.get("class") == "agy-r"] == [{"class": "agy-r"}] * 2


@pytest.mark.parametrize(
    "hostile", ["$a ", "a$", "\\(", "\\(a ", "http://a.b/(", "<sub>", "\\begin{align}", "a\n: b\n"]
)
def test_hostile_block_of_the_new_marks_takes_little_time(hostile):
    source = (hostile * markup.LONGEST_BLOCK)[: markup.LONGEST_BLOCK]
    markup.render(source[:100])
    began = time.thread_time()
    markup.render(source)
    assert time.thread_time() - began < 1  # 0.2 at most on a machine that is idle


def test_footnotes_are_raised_numbers_and_notes_with_them():
    shown = markup.render(
        "A claim[^1] and another[^note].\n\n[^1]: The *source*.\n[^note]: More.\n"
    )
    assert shown == (
        "<p>A claim<sup>1</sup> and another<sup>note</sup>.</p>\n"
        "<p><sup>1</sup> The <em>source</em>.</p>\n<p><sup>note</sup> More.</p>\n"
    )


def test_footnote_in_a_later_block_leaves_no_marks():
    env = {"references": {}}
    assert markup.render("A claim[^12].\n", env) == "<p>A claim<sup>12</sup>.</p>\n"
    assert markup.render("[^12]: The source.\n", env) == "<p><sup>12</sup> The source.</p>\n"
    assert markup.render("Again[^12]\n", env) == "<p>Again<sup>12</sup></p>\n"


@pytest.mark.parametrize("text", ["not [^abc]+ this", "[^", "[^]", "[^ 1]", "`[^1]`", "[^a b]"])
def test_caret_in_brackets_that_is_not_a_footnote_is_text(text):
    assert "<sup>" not in markup.render(text)


def test_hostile_label_of_a_footnote_is_text():
    label = "<script>alert(1)</script>"
    shown = markup.render(f"a[^{label}]\n\n[^{label}]: b\n")
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_many_brackets_with_carets_take_linear_time():
    began = time.perf_counter()
    markup.render("[^" * 900 + "x" * 9_000)
    markup.render("[^1]: " * 1_000)
    assert time.perf_counter() - began < 0.5
