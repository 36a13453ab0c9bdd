"""Every rule of our style sheet is about our own views, and none about the front end."""

import re

import tinycss2

from agy_nb.widgets.response.static_html import VIEW
from agy_nb.widgets.response.style_sheet import style, style_of


def rules(nodes):
    """Each rule of a style sheet, those within `@media` and its kin too."""
    for node in nodes:
        assert node.type != "error", node.message
        if node.type == "qualified-rule":
            yield tinycss2.serialize(node.prelude)
        elif node.type == "at-rule":
            assert node.at_keyword in ("media", "supports"), f"@{node.at_keyword} is global"
            inside = tinycss2.parse_rule_list(node.content, True, True)
            yield from rules(inside)


def selectors(prelude):
    """A rule's selectors: what commas part, but for those within parentheses."""
    return [each.strip() for each in re.split(r",(?![^(]*\))", prelude)]


def test_every_rule_is_within_a_view():
    found = [
        selector
        for prelude in rules(tinycss2.parse_stylesheet(style(), True, True))
        for selector in selectors(prelude)
    ]
    assert len(found) > 100
    assert VIEW.split()[0] == "agy-view"
    outside = [each for each in found if not re.match(r"\.agy-view(?![\w-])", each)]
    assert outside == []


def test_hidden_is_hidden_within_a_view_only():
    assert ".agy-view [hidden]" in style()


def test_style_sheet_loads_nothing():
    assert "url(" not in style()
    assert "@import" not in style()


def test_output_has_the_rules_that_apply_to_it_and_no_others():
    css = style_of('<div class="agy-node agy-text"><table class="agy-r2"><tr><td>1</td></table>')
    assert ".agy-r2 tr>:nth-child(2)" in css
    assert "& td{" in css
    assert not [name for name in ("agy-r3", "pre", "agy-tool", "--agy-accent") if name in css]


def test_every_variable_of_an_output_is_defined():
    css = style_of(
        f"<div class='{' '.join(re.findall(r'[.](agyc?-[a-z]+)', style()))}'><pre>".replace(
            "'", '"'
        )
    )
    assert set(re.findall(r"var\((--agy-\w+)", css)) == set(re.findall(r"(--agy-\w+):", css))
    assert not [node for node in tinycss2.parse_stylesheet(css) if node.type == "error"]
