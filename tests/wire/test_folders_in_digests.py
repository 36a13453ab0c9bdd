"""A digest depends on no folder of a session, and on all that only looks like one."""

import pytest

from agy_nb.wire.summaries.canonical_config import config_digest
from agy_nb.wire.summaries.digest import SessionDigest


def config(folder, text):
    workspace = {"filesystemWorkspace": {"directory": folder}}
    return {"config": {"workspaces": [workspace], "systemInstructions": {"custom": text}}}


def turns(folder, text):
    digest = SessionDigest()
    digest.client(config(folder, ""))
    digest.client({"userInput": {"parts": [{"text": text}]}})
    return digest.result()["turns"]


@pytest.mark.parametrize("here", ["/home/ada/x at", '/w/ä"b', "C:\\Users\\ada"])  # fmt: skip
@pytest.mark.parametrize("text", ["work in {}/src", "first\n{}", "in {}, not in /apple"])
def test_folder_does_not_count(here, text):
    there = config("/app", text.format("/app"))
    assert config_digest(there) == config_digest(config(here, text.format(here)))
    assert turns("/app", text.format("/app")) == turns(here, text.format(here))


@pytest.mark.parametrize("text", ["/apple", "https://api/application/v1", "./app", "src/app"])
def test_word_that_begins_like_a_folder_counts(text):
    assert config_digest(config("/app", text)) == config_digest(config("/other", text))
    assert turns("/app", text) == turns("/other", text)
