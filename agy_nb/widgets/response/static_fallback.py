"""The HTML beside a widget: what is left of a view that has no kernel any more.

Rule 1: the widget hides the HTML while it works; in a notebook that is opened without its kernel,
and in whatever nbconvert makes, the HTML is what is there.
Rule 2: the HTML is renewed some seconds after a change, not with each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from agy_nb.kernel import current_host, in_kernel
from agy_nb.terminal import printable
from agy_nb.widgets.response.static_html import VIEW, style
from agy_nb.widgets.tree.live_view import LiveView, put_on_page

STAYS_AFTER_S = 3.0
"""Seconds from a change to the HTML that has it, at the least."""

SENT_PER_S = 100_000
"""Characters of HTML that are sent per second on average: a front end takes the HTML whole, so that
of a long conversation is sent less often. The end of the kernel waits for no pause."""

StaticContent = Callable[[], tuple[str, str]]
"""Gives HTML and text of a view for good."""


class StaticFallback:
    """Shows a view in cells, each time with HTML beside it that stays.

    Args:
        live: The view.
        still: Gives the HTML, and the text, that stay.
    """

    def __init__(self, live: LiveView, still: StaticContent) -> None:
        self._live = live
        self._still = still
        self._handles: list[Any] = []
        self._outputs: list[Any] = []
        self._kept = ""
        self._keep_at: asyncio.TimerHandle | None = None
        self._forget: Callable[[], None] = lambda: None

    def display(self, at_exit: Callable[[], None]) -> None:
        """Show it in the cell that runs; in a terminal, its text.

        Args:
            at_exit: Called when the kernel ends.
        """
        if not in_kernel():
            print(printable(self._still()[1]))  # noqa: T201 - what IPython does in a terminal
            return
        from IPython.display import display

        if not self._handles:
            self._forget = current_host().at_exit(at_exit, fallback=lambda: None)
        self._outputs.append(put_on_page(self._live.widget))
        self._handles.append(display(self._bundle(), raw=True, display_id=True))

    def later(self) -> None:
        """Something has changed that the HTML is to have."""
        if self._handles and self._keep_at is None:
            pause = max(STAYS_AFTER_S, len(self._kept) * len(self._handles) / SENT_PER_S)
            self._keep_at = self._live.loop.call_later(pause, self.keep)

    def _bundle(self) -> dict[str, str]:
        inside, text = self._still()
        mark = f"{VIEW} agy-still agy-still-{self._live.widget.key}"
        self._kept = f'<style>{style()}</style><div class="{mark}">{inside}</div>'
        return {"text/html": self._kept, "text/plain": text}

    def keep(self) -> None:
        """Renew the HTML, if it is another."""
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
        self._live.close()
