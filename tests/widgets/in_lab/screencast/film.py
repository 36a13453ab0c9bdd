"""Films a notebook: pictures of its page, with the real time between them, as an animated image."""

from __future__ import annotations

import io
import itertools
import time
from pathlib import Path
from typing import Any

from PIL import Image

from tests.widgets.in_lab.driver.front_ends import Cell, Front

TYPE = """
(code) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = notebook.widgets.length - 1;
  notebook.activeCell.model.sharedModel.setSource(code);
  notebook.activeCell.node.scrollIntoView({ block: "end" });
}
"""
QUALITY = 60
LAST_S = 3.0
"""Seconds for which the last picture stays."""


class Film:
    """What a page showed, and when.

    Args:
        lab: The notebook.
        is_on: Whether pictures are taken; if not, nothing waits either.
    """

    def __init__(self, lab: Front, *, is_on: bool) -> None:
        self.lab = lab
        self.is_on = is_on
        self._pictures: list[tuple[float, bytes]] = []

    def shoot(self) -> None:
        """Take a picture, unless it is that of before."""
        if not self.is_on:
            return
        box = self.lab.page.locator(".jp-NotebookPanel").bounding_box()
        picture = self.lab.page.screenshot(clip=box)
        if not self._pictures or self._pictures[-1][1] != picture:
            self._pictures.append((time.monotonic(), picture))

    def wait(self, seconds: float) -> None:
        """Film for some seconds."""
        end = time.monotonic() + seconds
        while self.is_on and time.monotonic() < end:
            self.shoot()

    def until(self, cell: Cell, selector: str) -> None:
        """Film until something is in the output of a cell."""
        found = cell.output.locator(selector).first
        while self.is_on and not found.is_visible():
            self.shoot()
            self._follow(cell)
        cell.wait(selector)
        self._follow(cell)
        self.shoot()

    def _follow(self, cell: Cell) -> None:
        cell.box.evaluate("node => node.scrollIntoView({ block: 'end' })")

    def type(self, code: str) -> None:
        """Type code into the last cell."""
        step = 4 if self.is_on else len(code)
        for end in range(step, len(code) + step, step):
            self.lab.page.evaluate(TYPE, code[:end])
            self.shoot()

    def run(self, code: str) -> Cell:
        """Type code into the last cell, and run it."""
        self.type(code)
        return self.lab.run(code)

    def write(self, box: Any, text: str) -> None:
        """Type text into a text box."""
        step = 3 if self.is_on else len(text)
        for end in range(step, len(text) + step, step):
            box.fill(text[:end])
            self.shoot()

    def save(self, path: Path) -> None:
        """Write the film as an animated WebP."""
        images = [Image.open(io.BytesIO(picture)).convert("RGB") for _, picture in self._pictures]
        times = [at for at, _ in self._pictures]
        lasts = [round(1000 * (after - at)) for at, after in itertools.pairwise(times)] + [
            round(1000 * LAST_S)
        ]
        images[0].save(
            path, save_all=True, append_images=images[1:], duration=lasts, loop=0,
            quality=QUALITY, method=4, allow_mixed=True,
        )  # fmt: skip
