"""A page in a cell: a widget with controls, and static HTML that remains without a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agy_nb.widgets.response.static_fallback import StaticContent, StaticFallback
from agy_nb.widgets.tree.front_end_messages import Message, PageAction
from agy_nb.widgets.tree.live_view import LiveView
from agy_nb.widgets.tree.page_tree import PageTree
from agy_nb.widgets.tree.view_widget import ViewWidget


class PageView:
    """Show a page in cells.

    Args:
        page: The nodes of the page.
        widget: The widget that shows it.
        static: Returns the static content.
        on_act: Called with the name and the value of a control that the user operates.
        catch_up: Reads and shows all that has happened so far; it may block.

    Attributes:
        page: The nodes of the page.
        live: The connection to the front ends.
    """

    def __init__(
        self,
        page: PageTree,
        widget: ViewWidget,
        static: StaticContent,
        on_act: Callable[[str, str], None],
        catch_up: Callable[[], None],
    ) -> None:
        self.page = page
        self.live: LiveView = LiveView(page, on_message=self._on_message, widget=widget)
        self._fallback = StaticFallback(self.live, static, catch_up)
        self._on_act = on_act

    def display(self) -> None:
        """Show the page in the running cell; in a terminal, print its text."""
        self._fallback.display(at_exit=self.close)

    def touch(self) -> None:
        """Schedule an update of the widget, and a later one of the static HTML."""
        if self.page.is_sent:
            return
        self.live.touch()
        self._fallback.update_later()

    def close(self) -> None:
        """Close the widget; the static HTML stays."""
        self._fallback.close()

    def _on_message(self, message: Message, _buffers: list[Any]) -> None:
        if isinstance(message, PageAction):
            self._on_act(message.act, message.value)
