"""A page in a cell: a widget while the kernel lives, and HTML beside it that stays.

Rule 1: the widget hides the HTML while it works; in a notebook that is opened without its kernel,
and in whatever nbconvert makes, the HTML is what is there.
Rule 2: the HTML is renewed some seconds after the page has changed, not with each change.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from agy_nb.kernel import guest, in_kernel
from agy_nb.widgets.live import LiveView, Message, put_on_page
from agy_nb.widgets.page import Page
from agy_nb.widgets.static_page import VIEW, style

STAYS_AFTER_S = 3.0
"""Seconds from a change to the HTML that has it."""

Still = Callable[[], tuple[str, str]]
"""Gives HTML and text of the page for good."""


class PageView:
    """Shows a page.

    Args:
        page: What to show.
        label: What a screen reader calls it.
        still: Gives the HTML, and the text, that stay.
        on_act: Told of what is clicked, chosen or typed: its name, and a value.

    Attributes:
        page: What it shows.
        live: Its connection to the front ends.
    """

    def __init__(
        self, page: Page, label: str, still: Still, on_act: Callable[[str, str], None]
    ) -> None:
        self.page = page
        self.live = LiveView(page, mode="page", label=label, on_message=self._on_message)
        self._still = still
        self._on_act = on_act
        self._handles: list[Any] = []
        self._outputs: list[Any] = []
        self._kept = ""
        self._keep_at: asyncio.TimerHandle | None = None
        self._loop = self.live.loop
        self._forget: Callable[[], None] = lambda: None

    def display(self) -> None:
        """Show it in the cell that runs; in a terminal, its text."""
        if not in_kernel():
            print(self._still()[1])  # noqa: T201 - what IPython does in a terminal
            return
        from IPython.display import display

        if not self._handles:
            self._forget = guest().at_exit(self.close, fallback=lambda: None)
        self._outputs.append(put_on_page(self.live.widget))
        self._handles.append(display(self._bundle(), raw=True, display_id=True))

    def touch(self) -> None:
        """The page may have changed: show that soon, and keep it a little later."""
        if self.page.is_told:
            return
        self.live.touch()
        if self._handles and self._keep_at is None:
            self._keep_at = self._loop.call_later(STAYS_AFTER_S, self.keep)

    def _bundle(self) -> dict[str, str]:
        inside, text = self._still()
        mark = f"{VIEW} agy-still agy-still-{self.live.widget.key}"
        self._kept = f'<style>{style()}</style><div class="{mark}">{inside}</div>'
        return {"text/html": self._kept, "text/plain": text}

    def keep(self) -> None:
        """Renew the HTML that stays, if it is another."""
        if self._keep_at is not None:
            self._keep_at.cancel()
            self._keep_at = None
        before, bundle = self._kept, self._bundle()
        if self._kept != before:
            for handle in self._handles:
                handle.update(bundle, raw=True)

    def close(self) -> None:
        """Take the widget away; the HTML stays, as it is now."""
        self._forget()
        with contextlib.suppress(Exception):  # a front end that is gone harms nothing
            if self._handles:
                self.keep()
            for output in self._outputs:
                output.update({"text/plain": ""}, raw=True)
        if self._keep_at is not None:
            self._keep_at.cancel()
        self._handles.clear()
        self._outputs.clear()
        self.live.close()

    def _on_message(self, message: Message, _buffers: list[Any]) -> None:
        if message.get("type") == "act":
            self._on_act(str(message.get("act")), str(message.get("value") or ""))
