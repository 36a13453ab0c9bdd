"""Files that the harness wrote in the recording are missing at the wire: the error says why."""

from pathlib import Path

import pytest

from agy_nb.cassette import use_cassette

BUILTIN = Path(__file__).parents[4] / "cassettes" / "builtin_file_tools"


def read(name, folder):
    with use_cassette(BUILTIN, "none", allow_unplayed=True):
        return (folder / name).read_text()


def test_error_about_a_file_of_the_harness_has_a_note(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read("notes.txt", tmp_path)
    (note,) = caught.value.__notes__
    assert "the harness wrote notes.txt" in note
    assert 'seam="model"' in note


def test_error_about_another_file_has_none(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read("other.txt", tmp_path)
    assert not hasattr(caught.value, "__notes__")
