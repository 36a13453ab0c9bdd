"""Static HTML next to a widget, which remains when the kernel is gone.

The widget hides the HTML while it works. A notebook that is opened without its kernel, and the
output of nbconvert, show the HTML. It is updated some seconds after a change, not with each one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from agy_nb.kernel import current_host, in_kernel
from agy_nb.terminal import printable
from agy_nb.widgets.response.static_html import VIEW, style
from agy_nb.widgets.tree.live_view import LiveView, display_widget

UPDATE_AFTER_S = 3.0
"""Minimum delay between a change and the update of the HTML, in seconds."""

SENT_PER_S = 100_000
"""Maximum average rate of HTML, in characters per second. The HTML is always sent whole, so a long
conversation is updated less often. The update at shutdown is sent at once."""

StaticContent = Callable[[], tuple[str, str]]
"""Returns the static HTML and text of a view."""


class StaticFallback:
    """Show a view in cells, each with static HTML next to the widget.

    Args:
        live: The view.
        static: Returns the static HTML and text.
    """

    def __init__(self, live: LiveView, static: StaticContent) -> None:
        self._live = live
        self._static = static
        self._handles: list[Any] = []
        self._outputs: list[Any] = []
        self._html = ""
        self._update_at: asyncio.TimerHandle | None = None
        self._forget: Callable[[], None] = lambda: None

    def display(self, at_exit: Callable[[], None]) -> None:
        """Show the view in the running cell; in a terminal, print its text.

        Args:
            at_exit: Called when the kernel shuts down.
        """
        if not in_kernel():
            print(printable(self._static()[1]))  # noqa: T201 - as IPython does in a terminal
            return
        from IPython.display import display

        if not self._handles:
            self._forget = current_host().at_exit(at_exit, fallback=lambda: None)
        self._outputs.append(display_widget(self._live.widget))
        self._handles.append(display(self._bundle(), raw=True, display_id=True))

    def update_later(self) -> None:
        """Schedule an update of the HTML."""
        if self._handles and self._update_at is None:
            pause = max(UPDATE_AFTER_S, len(self._html) * len(self._handles) / SENT_PER_S)
            self._update_at = self._live.loop.call_later(pause, self.update)

    def _bundle(self) -> dict[str, str]:
        inside, text = self._static()
        mark = f"{VIEW} agy-still agy-still-{self._live.widget.key}"
        self._html = f'<style>{style()}</style><div class="{mark}">{inside}</div>'
        return {"text/html": self._html, "text/plain": text}

    def update(self) -> None:
        """Update the HTML now if it has changed."""
        if self._update_at is not None:
            self._update_at.cancel()
            self._update_at = None
        before, bundle = self._html, self._bundle()
        if self._html != before:
            for handle in self._handles:
                handle.update(bundle, raw=True)

    def close(self) -> None:
        """Update the HTML a last time and close the widget."""
        self._forget()
        with contextlib.suppress(
            Exception
        ):  # a front end that is closed must not fail the clean-up
            if self._handles:
                self.update()
            for output in self._outputs:
                output.update({"text/plain": ""}, raw=True)
        if self._update_at is not None:
            self._update_at.cancel()
        self._handles.clear()
        self._outputs.clear()
        self._live.close()
