"""No comparer and no codec takes more than linear time, whatever its input."""

import itertools
import json
import re

import pytest

from agy_nb.cassette.matching.compare_frames import Comparer, Difference, same_text
from agy_nb.cassette.matching.mismatch import diff_of
from agy_nb.errors import InvalidMessageError
from agy_nb.protocol import codec
from agy_nb.widgets.approvals import argument_editor
from tests.growth import growth
from tests.growth.growth import check_growth, filled

SECRET = "{{agy:secret}}"

pytestmark = pytest.mark.timeout(120)


def marks_in(recorded, now):
    """A recorded text with marks, and one that differs in its last character."""
    return lambda size: (filled(recorded, size) + "end", filled(now, size) + "END")


def message(inner):
    return f'{{"family":"event","message":{{"type":"text","text":{inner}}}}}'


def decode(text):
    with pytest.raises(InvalidMessageError):
        codec.decode(text)


def refuse_edit(text):
    assert argument_editor.problem({}, text)


def all_differences(pair):
    return list(Comparer(ignore=["a.b[*].c", "*.d"]).differences(*pair))


def repeating(size):
    """An object whose last key repeats its first."""
    return "{" + ",".join(f'"{n:06}":0' for n in range(size // 11)) + ',"000000":1}'


COMPARERS = {
    "equal rows with a mark": (marks_in(f"row {SECRET} x\n", "row 1 x\n"), lambda p: same_text(*p)),
    "marks only": (marks_in(SECRET, "a"), lambda p: same_text(*p)),
    "a mark in every word": (marks_in(f"a{SECRET}", "ab"), lambda p: same_text(*p)),
    "no mark": (marks_in("row x\n", "row y\n"), lambda p: same_text(*p)),
    "a long list": (
        lambda size: ([1] * (size // 3), [2] * (size // 3)),
        all_differences,
    ),
    "a wide object": (
        lambda size: tuple(
            {f"name {n} {side}": n for n in range(size // 12)} for side in ("then", "now")
        ),
        all_differences,
    ),
    "JSON in a string in JSON": (
        lambda size: tuple(
            {"text": json.dumps({"text": json.dumps([f"{n:4}{side}" for n in range(size // 5)])})}
            for side in "ab"
        ),
        all_differences,
    ),
    "deep JSON": (
        lambda size: tuple(
            {"text": "[" * min(size // 2, 900) + side + "]" * min(size // 2, 900)} for side in "12"
        ),
        all_differences,
    ),
    "strings that begin like JSON": (
        lambda size: tuple({"text": filled("[", size) + side} for side in "ab"),
        all_differences,
    ),
}  # fmt: skip

DIFFS = {
    "few words in another order": lambda size: tuple(
        " ".join(f"w{n * step % 97}" for n in range(size // 4)) for step in (1, 31)
    ),
    "few numbers in another order": lambda size: tuple(
        [n * step % 97 for n in range(size // 3)] for step in (1, 31)
    ),
    "equal lines": lambda size: (filled("a\n", size), filled("a\n", size // 2)),
    "all lines new": lambda size: tuple(
        "\n".join(f"{side}{n}" for n in range(size // 6)) for side in "ab"
    ),
}

CODECS = {
    "keys that repeat": (
        repeating,
        decode,
    ),
    "keys that repeat within": (
        lambda size: message(repeating(size)),
        decode,
    ),
    "a long number": (lambda size: message(filled("1", size)), decode),
    "many long numbers": (
        lambda size: message(f"[{','.join([filled('9', 2000)] * max(1, size // 2000))}]"), decode,
    ),
    "deep lists": (lambda size: message(filled("[", size)), decode),
    "wide lists": (lambda size: message(f"[{'0,' * (size // 2)}0]"), decode),
    "escapes": (lambda size: message(f'"{filled(chr(92) + "ud800", size // 6 * 6)}"'), decode),
    "not JSON": (lambda size: filled('{"', size), decode),
    "edited arguments with keys that repeat": (
        repeating,
        refuse_edit,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPARERS)
def test_comparing_takes_linear_time(name):
    check_growth(*COMPARERS[name])


@pytest.mark.parametrize("name", DIFFS)
def test_diff_takes_linear_time(name):
    check_growth(lambda size: Difference("x", *DIFFS[name](size)), diff_of)


@pytest.mark.parametrize("name", CODECS)
def test_decoding_takes_linear_time(name):
    check_growth(*CODECS[name])


@pytest.mark.parametrize("power", [2, 3])
def test_faster_growth_is_found(power):
    def squared(size):
        for _ in itertools.product(range(size), repeat=power - 1):
            sum(range(size))

    with pytest.raises(AssertionError, match="time grows with the power"):
        check_growth(lambda size: size, squared)


def test_time_that_doubles_ends(monkeypatch):
    monkeypatch.setattr(growth, "LONGEST_S", 0.5)
    doubling = re.compile("(a|a)*b")
    with pytest.raises(AssertionError, match="more than"):
        check_growth(lambda size: filled("a", size), doubling.fullmatch)
