"""Every rule of our style sheet is about our own views, and none about the front end."""

import re

import tinycss2

from agy_nb.widgets.response.static_html import VIEW, style


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
