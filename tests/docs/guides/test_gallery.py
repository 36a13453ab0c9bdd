"""The gallery shows every picture of the documentation, and there is one of every view and plot."""

from __future__ import annotations

import re

import pytest
from PIL import Image

import agy_nb as agy
from agy_nb.analysis import Tables
from agy_nb.runtime.agent import Agent
from tests.docs import pages
from tests.docs.generated import plot_pictures

IMAGES = pages.DOCS / "images"
SHOWN = re.findall(r"\{image\} images/(\w+)\.png", pages.read("gallery.md"))


def test_every_picture_is_shown_once():
    assert sorted(SHOWN) == sorted(path.stem for path in IMAGES.glob("*.png"))


def test_screencast_is_shown_short_and_small():
    path = IMAGES / "screencast.webp"
    assert "images/screencast.webp" in pages.read("gallery.md")
    assert path.stat().st_size < 3_000_000
    with Image.open(path) as film:
        seconds = 0.0
        for place in range(film.n_frames):
            film.seek(place)
            film.load()
            seconds += film.info["duration"] / 1000
        assert film.n_frames > 50
    assert 45 <= seconds <= 120


def test_there_is_a_picture_of_every_plot():
    plots = {name for name in dir(Tables) if name.startswith("plot_")}
    assert plots == {*plot_pictures.PLOTS, "plot_latency"}
    assert plots <= set(SHOWN)


def test_every_view_is_named():
    views = {name for each in (agy, Agent) for name in dir(each) if name.endswith("_ui")}
    text = pages.read("gallery.md")
    assert [name for name in {*views, "browse", "compare_runs"} if f"{name}(" not in text] == []


@pytest.mark.parametrize("name", SHOWN)
def test_picture_shows_something(name):
    with Image.open(IMAGES / f"{name}.png") as picture:
        assert min(picture.size) >= 150
        assert len(picture.convert("RGB").getcolors(2**24)) > 20


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.blocking_allowed  # it has a loop of its own, as a script has
def test_pictures_of_plots_are_those_of_the_code(tmp_path):
    drawn = plot_pictures.draw(tmp_path)
    for path in drawn:
        with Image.open(path) as new, Image.open(IMAGES / path.name) as kept:
            assert new.size == kept.size, "make pictures draws them again"
