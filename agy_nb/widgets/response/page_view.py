"""A page in a cell: controls of its own, and HTML beside it that stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agy_nb.widgets.response.static_fallback import StaticContent, StaticFallback
from agy_nb.widgets.tree.front_end_messages import Act, Message
from agy_nb.widgets.tree.live_view import LiveView
from agy_nb.widgets.tree.page_tree import PageTree


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
        self, page: PageTree, label: str, still: StaticContent, on_act: Callable[[str, str], None]
    ) -> None:
        self.page = page
        self.live = LiveView(page, mode="page", label=label, on_message=self._on_message)
        self._beside = StaticFallback(self.live, still)
        self._on_act = on_act

    def display(self) -> None:
        """Show it in the cell that runs; in a terminal, its text."""
        self._beside.display(at_exit=self.close)

    def touch(self) -> None:
        """The page may have changed: show that soon, and keep it a little later."""
        if self.page.is_told:
            return
        self.live.touch()
        self._beside.later()

    def close(self) -> None:
        """Take the widget away; the HTML stays, as it is now."""
        self._beside.close()

    def _on_message(self, message: Message, _buffers: list[Any]) -> None:
        if isinstance(message, Act):
            self._on_act(message.act, message.value)
