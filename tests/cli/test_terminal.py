"""Text from anywhere becomes text that a terminal does not obey and in which nothing hides."""

import sys
import unicodedata

import pytest
from hypothesis import given, strategies as st

from agy_nb.terminal import printable, revealed

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1)]
TAGS = [chr(code) for code in range(0xE0000, 0xE0080)]
VARIATIONS = [
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
    *"\u180b\u180c\u180d\u180f",
]
FILLERS = list("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
INVISIBLE = sorted(
    {
        *TAGS,
        *VARIATIONS,
        *FILLERS,
        *(
            each
            for each in CHARACTERS
            if unicodedata.category(each) in ("Cf", "Cc", "Zl", "Zp", "Zs", "Cs")
            and each not in " \n\t"
        ),
    }
)
CONTROLS = [each for each in INVISIBLE if unicodedata.category(each) == "Cc"]
TURNS = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_list_of_invisible_characters_is_long():
    assert len(INVISIBLE) >= 492


@pytest.mark.parametrize("show", [printable, revealed])
def test_every_invisible_character_is_shown_in_text_that_is_to_be_allowed(show):
    for character in INVISIBLE:
        shown = show(f"rm {character}-rf", exact=True)
        assert character not in shown
        assert f"{ord(character):x}" in shown.lower() or character == "\r"


@pytest.mark.parametrize("show", [printable, revealed])
def test_control_characters_and_turns_never_pass(show):
    for character in CONTROLS + TURNS + TAGS:
        assert character not in show(f"a{character}b")


def test_tab_is_an_arrow_on_a_page_and_an_escape_in_a_terminal():
    assert revealed("a\tb", exact=True) == "a⇥\tb"
    assert printable("a\tb", exact=True) == "a\\tb"
    assert printable("a\tb\n") == "a\tb\n"


@pytest.mark.parametrize(
    "text",
    [
        "plain, with\ntwo lines",
        "שלום עולם",
        "e\u0301 na\u00efve 数\u3000字",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f 1\ufe0f\u20e3",
        "\u0915\u094d\u200d\u0937 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u845b\U000e0100",
    ],
)
def test_characters_that_a_script_or_an_emoji_needs_are_kept(text):
    assert printable(text) == revealed(text) == text


@pytest.mark.parametrize("character", ["\u200d", "\u200c", "\ufe0f", "\U000e0101"])
def test_the_same_characters_are_shown_where_nothing_needs_them(character):
    assert character not in printable(f"rm{character}x")
    assert character not in printable(f"\u845b\U000e0100{character}{character}")


def test_escape_sequences_are_text():
    assert printable("\x1b[2J\x1b]0;x\x07\x9b31m") == "\\x1b[2J\\x1b]0;x\\x07\\x9b31m"


@given(st.text())
def test_any_text_can_be_written_and_shown_twice(text):
    printable(text).encode()
    once = printable(text, exact=True)
    assert printable(once, exact=True) == once
    assert set(once) <= {"\n", *filter(str.isprintable, once)}
