"""The wheel has what users need, and its page on PyPI has no link that leads nowhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SITE = PROJECT["urls"]["Documentation"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=50)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_string(archive.read(name).decode())


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    """The wheel as a folder of an environment that has only its dependencies."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(unpacked, cwd, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "agy_nb", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_wheel_has_every_file_of_the_package(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "agy_nb"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert [name for name in tracked if name not in names and (ROOT / name).exists()] == []
    assert "agy_nb/notebooks/quickstart.ipynb" in names  # what `agy-nb demo` runs
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2  # the package, and its metadata
    assert not [name for name in names if re.search(r"\.pyc$|(^|/)\.|tests?/", name)]


def test_page_on_pypi_has_only_absolute_links(metadata):
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_links_lead_to_pages_and_pictures_of_the_documentation(metadata):
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    shown = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", metadata.get_payload()):
        if link.startswith(SITE):
            name = link.removeprefix(SITE).partition("#")[0]
            if picture := re.fullmatch(r"_images/(.+)", name):
                assert f"images/{picture[1]}" in shown  # Sphinx copies the pictures of its pages
            else:
                page = name.removesuffix(".html")
                assert (ROOT / "docs" / f"{page}.md").exists() or page in notebooks, link


def test_metadata_has_addresses_and_the_extras_that_the_documentation_lists(metadata):
    names = [line.split(",")[0] for line in metadata.get_all("Project-URL")]
    assert {"Documentation", "Changelog"} <= set(names)
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert listed == set(metadata.get_all("Provides-Extra")) - {"test", "docs", "dev"}


def test_all_brings_every_feature():
    [everything] = PROJECT["optional-dependencies"]["all"]
    brought = set(re.search(r"\[(.*)\]", everything)[1].split(","))
    assert brought == set(PROJECT["optional-dependencies"]) - {"all", "lab", "test", "docs", "dev"}


def test_help_names_every_command(unpacked, tmp_path):
    done = run(unpacked, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    for command in ("demo", "doctor", "cassette", "harness", "usage"):
        assert command in done.stdout


@pytest.mark.real
def test_demo_leaves_the_users_project_as_it_is(unpacked, tmp_path):
    done = run(unpacked, tmp_path, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    page = Path(re.search(r"HTML page: +(.+)", done.stdout)[1])
    assert page.is_file()
    try:
        assert tmp_path not in page.parents
        assert list(tmp_path.iterdir()) == []
    finally:
        shutil.rmtree(page.parent)
