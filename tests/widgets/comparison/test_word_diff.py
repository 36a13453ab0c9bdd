"""Marks on the words of an answer that differ from the first answer."""

import html
import re
import time

import pytest
from hypothesis import given, strategies as st

from agy_nb.widgets.comparison.word_diff import marked

WORDS = st.lists(st.sampled_from(["a", "b", "<i>", "&", "c\n", "long"]), max_size=12).map(" ".join)


def test_changed_words_are_marked():
    assert marked("Oslo is cold today", "Oslo is warm today") == (
        "Oslo is <del>cold</del> <ins>warm</ins> today"
    )


def test_new_and_missing_words_are_marked():
    assert marked("a b c", "a b c d") == "a b c <ins>d</ins>"
    assert marked("a b c", "a c") == "a <del>b</del> c"


def test_equal_answers_have_no_marks():
    assert marked("a  b\n", "a b") is None


def test_answers_with_little_in_common_have_no_marks():
    assert marked("one two three four five", "six seven eight nine five") is None


def test_html_of_the_model_is_text():
    found = marked("a b <b>bold</b>", "a b <script>x</script>")
    assert "&lt;script&gt;" in found
    assert set(re.findall(r"<(/?\w+)", found)) == {"ins", "/ins", "del", "/del"}


@given(WORDS, WORDS)
def test_the_answer_is_all_there(first, answer):
    found = marked(first, answer)
    if found is not None:
        kept = re.sub(r"<del>.*?</del>\s?", "", found, flags=re.DOTALL)
        words = html.unescape(re.sub(r"</?ins>", "", kept)).split()
        assert words == answer.split()


@pytest.mark.alone
def test_long_hostile_answers_take_little_time():
    first = "a b " * 50_000
    answer = "b a a " * 30_000 + "c"
    before = time.process_time()
    marked(first, answer)
    assert time.process_time() - before < 2
