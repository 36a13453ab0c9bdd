"""A class or module name means one thing in the whole package."""

from __future__ import annotations

from tests.contract import names


def test_no_two_modules_define_the_same_name():
    assert names.collisions() == {}


def test_a_name_that_two_modules_define_is_found(tmp_path, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "reader.py").write_text("class Reader: ...\nLimit = 3\nMAX = 4\n")
        (tmp_path / folder / "errors.py").touch()
    monkeypatch.setattr(names, "PACKAGE", tmp_path)
    both = ["one/reader.py", "two/reader.py"]
    assert names.collisions() == {"reader": both, "Reader": both, "Limit": both}
