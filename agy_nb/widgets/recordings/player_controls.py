"""Replay a recorded session at its recorded pace, or step through it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.recordings.frame_player import FramePlayer
from agy_nb.widgets.tree.nodes import Upsert
from agy_nb.widgets.tree.page_tree import PageTree

SPEEDS = (1, 4, 16)
"""Playback speeds, relative to the recording."""

_FRAME_S = 0.05
_SLICE_S = 0.01
_NODES = ("controls", "slider", "frame")


class PlayerControls:
    """Show one session on a page, with controls to move through it.

    Args:
        page: The page.
        touch: Called when the page has changed.

    Attributes:
        player: The player of the session, None if there is none.
        choices: HTML of additional controls.
    """

    def __init__(self, page: PageTree, touch: Callable[[], None]) -> None:
        self.player: FramePlayer | None = None
        self.choices = ""
        self._page = page
        self._touch = touch
        self._speed = SPEEDS[0]
        self._playing: asyncio.Task[None] | None = None
        self._seeking: int | None = None
        self.actions: dict[str, Callable[[str], Awaitable[None] | None]] = {
            "speed": self._on_speed,
            "play": lambda _value: self._play_or_pause(),
            "back": lambda _value: self._move(-1),
            "on": lambda _value: self._move(1),
            "start": lambda _value: self.seek(0),
            "whole": lambda _value: self.seek(len(self.player or ())),
            "seek": self._on_seek,
        }
        for name in _NODES:
            page.upsert(Upsert(id=name, kind="usage"))
        page.upsert(Upsert(id="player", kind="player"))

    def show(self, player: FramePlayer | None) -> None:
        """Show a session; None shows none."""
        self.stop()
        self.player = player
        self._page.show_transcript(None if player is None else player.transcript)
        if player is not None:
            self._show_position()
            return
        for name in _NODES:
            self._page.upsert(Upsert(id=name, kind="usage"))

    @property
    def playing(self) -> bool:
        """Whether a replay runs."""
        return self._playing is not None

    def _show_position(self) -> None:
        player = self.player
        assert player is not None
        self._page.upsert(Upsert(id="controls", kind="usage", body=self._controls()))
        self._page.upsert(self._slider())
        # A replay shows many frames per second: their contents follow when it pauses.
        head, body = player.headline(), player.frame() if self._playing is None else ""
        self._page.upsert(Upsert(id="frame", kind="tool", head=head, body=body, fold="closed"))

    def refresh(self) -> None:
        """Show changed `choices`."""
        if self.player is not None:
            self._page.upsert(Upsert(id="controls", kind="usage", body=self._controls()))

    def _controls(self) -> str:
        parts = [
            _button("play", self._play_label()),
            select(
                "speed",
                "Speed",
                [(str(each), f"{each}\N{MULTIPLICATION SIGN}") for each in SPEEDS],
                str(self._speed),
            ),
            _button("start", "|◀", "Go to start"),
            _button("back", "◀", "Previous frame"),
            _button("on", "▶", "Next frame"),
            _button("whole", "▶|", "Go to end"),
            self.choices,
        ]
        return f"<div class='agy-row'>{''.join(parts)}</div>"

    def _play_label(self) -> str:
        if self._playing is not None:
            return "❚❚ Pause"
        player = self.player
        between = player is not None and 0 < player.position < len(player)
        return "▶ Continue" if between else "▶ Replay"

    def _slider(self) -> Upsert:
        player = self.player
        assert player is not None
        body = (
            f"<input type='range' class='agy-slider' data-agy-act='seek' min='0' "
            f"max='{len(player)}' value='{player.position}' aria-label='Frame' "
            f"aria-valuetext='{escape(player.headline())}'>"
        )
        return Upsert(id="slider", kind="usage", body=body)

    def _on_seek(self, value: str) -> Awaitable[None] | None:
        """Follow the slider; of several moves only the latest counts."""
        player = self.player
        if player is None or not value.isascii() or not value.isdigit():
            return None
        waits = self._seeking is not None
        self._seeking = min(int(value), len(player))
        return None if waits else self._follow_slider()

    async def _follow_slider(self) -> None:
        while self._seeking is not None:
            wanted, self._seeking = self._seeking, None
            await self.seek(wanted, by_slider=True)

    async def _move(self, by: int) -> None:
        if self.player is not None:
            await self.seek(self.player.position + by)

    async def seek(self, position: int, *, by_slider: bool = False) -> None:
        """Go to a frame; 0 is before the first."""
        player = self.player
        if player is None:
            return
        self.stop()
        position = max(0, min(position, len(player)))
        if position == player.position + 1:
            player.step()
        elif position != player.position:
            player.jump(position, await asyncio.to_thread(player.transcript_at, position))
            self._page.show_transcript(player.transcript)
        if by_slider:  # the slider is there already, and the user may be moving it
            self._page.mark_sent(self._slider())
        self._show_position()
        self._touch()

    # -- replay ------------------------------------------------------------------------------

    def _on_speed(self, value: str) -> None:
        if value in map(str, SPEEDS):
            self._speed = int(value)
            if self._playing is not None:
                self.stop()
                self._play()

    async def _play_or_pause(self) -> None:
        player = self.player
        if player is None:
            return
        if self._playing is not None:
            self.stop()
            self._show_position()
            return
        if player.done:
            player.jump(0, player.transcript_at(0))
            self._page.show_transcript(player.transcript)
        self._play()

    def _play(self) -> None:
        assert self.player is not None
        self._playing = asyncio.get_running_loop().create_task(
            self._replay(self.player, self._speed)
        )
        self._show_position()
        self._touch()

    def stop(self) -> None:
        """Stop the replay."""
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None

    async def _replay(self, player: FramePlayer, speed: int) -> None:
        loop = asyncio.get_running_loop()
        # Frames are due by the recording's clock, relative to the start of the replay.
        before = player.snapshots[player.position - 1].at if player.position else 0.0
        began = loop.time()
        while not player.done:
            left = began + (player.next_at - before) / speed - loop.time()
            if left > 0:
                self._show_position()
                self._touch()
                await asyncio.sleep(max(left, _FRAME_S))
            player.play(before + (loop.time() - began) * speed, for_s=_SLICE_S)
            await asyncio.sleep(0)
        self._playing = None
        self._show_position()
        self._touch()


def _button(act: str, words: str, label: str = "") -> str:
    about = f" aria-label='{label}' title='{label}'" if label else ""
    return f"<button type='button' class='agy-button' data-agy-act='{act}'{about}>{words}</button>"


def select(act: str, label: str, choices: list[tuple[str, str]], chosen: str) -> str:
    """Render a selection of values with their labels."""
    options = "".join(
        f"<option value='{escape(value)}'{' selected' if value == chosen else ''}>"
        f"{escape(words)}</option>"
        for value, words in choices
    )
    return (
        f"<select class='agy-input agy-choice' data-agy-act='{act}' aria-label='{label}'>"
        f"{options}</select>"
    )
