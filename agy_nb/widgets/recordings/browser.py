"""Browse recordings: list them, and open, replay, step through, compare or continue them.

Nothing in a recording is executed: its frames are read and shown. To continue a recording starts a
new agent; see `agy.fork`. Files are read in a thread, one action at a time; other actions wait.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from agy_nb.kernel import in_kernel, run
from agy_nb.protocol.amounts import counted
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.recordings import recording_list as rl
from agy_nb.widgets.recordings.continuation import Continuation, LiveSettings, fork_code
from agy_nb.widgets.recordings.frame_player import FramePlayer
from agy_nb.widgets.recordings.player_controls import PlayerControls, select
from agy_nb.widgets.response.page_view import PageView
from agy_nb.widgets.response.static_html import Still
from agy_nb.widgets.tree.nodes import Upsert, static
from agy_nb.widgets.tree.page_tree import PageTree
from agy_nb.widgets.tree.view_widget import ViewWidget

LARGEST_STILL = 2_000_000
"""Maximum length of a transcript that the notebook keeps, in characters."""

_log = logging.getLogger("agy_nb.widgets")


class Browser(ViewWidget):
    """Show the recordings in a folder; `agy.browse` creates it.

    The last line of a cell shows it. The notebook keeps it as static HTML with the open recording.
    It is a widget, so it can also be a part of others, such as `ipywidgets.HBox`.

    Args:
        folder: The folder.
        live: What agents have that continue a recording.

    Attributes:
        folder: The folder.
        rows: The recordings, as last read.
        opened: The open recording, None if there is none.
        controls: The player of the open session.
        continuation: The chats that continue a recording.

    Example:
        >>> browser = agy.browse("cassettes/")
        >>> browser  # the last line of a cell shows it
        <Recordings, live>
        >>> browser.close()
    """

    def __init__(
        self, folder: Path, live: LiveSettings | None = None, places: Sequence[Path] = ()
    ) -> None:
        super().__init__("page", "Recordings")
        self.folder = folder
        self._places = tuple(each.absolute() for each in places)
        self.rows: list[rl.Row] = []
        self.opened: rl.OpenedRecording | None = None
        self._name = self._problem = ""
        self._filter = ""
        self._order = rl.BY_NAME
        self._other = ""  # the recording that the open one is compared with
        self._comparison: Upsert | None = None
        self._session = 0
        self._page = PageTree()
        self._is_read = False
        self.view: PageView = PageView(self._page, self, self._static, self._on_act, self._catch_up)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._actions: dict[str, Callable[[str], Awaitable[None] | None]] = {
            "filter": self._on_filter,
            "refresh": lambda _value: self.refresh(),
            "open": self._open,
            "session": self._on_session,
            "compare": self._compare_with,
            "sort": self._on_sort,
        }
        self.controls: PlayerControls = self._begin()
        self.continuation: Continuation = Continuation(self.view, live or LiveSettings())
        self._page.upsert(Upsert(id="comparison", kind="usage"))
        self._actions |= self.controls.actions | self.continuation.actions
        if self.view.live.loop.is_running():  # between the cells of a terminal it does not
            self._start_task(self.refresh())

    def _begin(self) -> PlayerControls:
        title = f"<strong>Recordings in {escape(str(self.folder))}</strong>"
        self._page.upsert(Upsert(id="title", kind="row", head=title))
        self._page.upsert(self._filter_node())
        self._page.upsert(Upsert(id="list", kind="usage", body="<p>Loading…</p>"))
        self._page.upsert(Upsert(id="about", kind="usage"))
        return PlayerControls(self._page, self._on_player)

    def _on_player(self) -> None:
        if self.controls.player is not None:
            self.continuation.follow(self.controls.player.position)
        self.view.touch()

    # -- controls ----------------------------------------------------------------------------

    def _on_act(self, act: str, value: str) -> None:
        known = self._actions.get(act)
        if known is not None:
            work = known(value)
            if work is not None:
                self._start_task(work)

    def _start_task(self, work: Awaitable[None]) -> None:
        task = self.view.live.loop.create_task(self._run_exclusively(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if inspect.iscoroutine(work):  # if the view is closed before it runs
            task.add_done_callback(lambda _task: work.close())

    async def _run_exclusively(self, work: Awaitable[None]) -> None:
        # One action after the other: a seek that waits for its thread must not put the transcript
        # of its recording on the page of the one that was opened meanwhile.
        async with self._lock:
            try:
                await work
            except Exception as error:
                _log.exception("the recordings browser failed")
                words = f"Cannot show this recording: {type(error).__name__}: {error}"
                self._page.upsert(Upsert(id="about", kind="usage", body=f"<p>{escape(words)}</p>"))
        self.view.touch()

    async def settled(self) -> None:
        """Wait until all actions are done, except a running replay."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _catch_up(self) -> None:
        """Finish all actions; in a terminal, only read the folder."""
        if in_kernel():
            run(self.settled())
        elif not self._is_read:
            self._read()

    # -- the list ----------------------------------------------------------------------------

    def _read(self) -> None:
        self.rows, self._problem = [], ""
        try:
            self.rows = rl.rows(self.folder, self._places)
        except OSError as error:
            self._problem = str(error)
        self._is_read = True

    async def refresh(self) -> None:
        """Read the folder again."""
        await asyncio.to_thread(self._read)
        self._show_list()

    def _filter_node(self) -> Upsert:
        body = (
            "<div class='agy-row'><input type='search' class='agy-input' data-agy-act='filter' "
            "placeholder='Filter by name, tool, model or version' aria-label='Filter' "
            f"value='{escape(self._filter)}'>"
            "<button type='button' class='agy-button' data-agy-act='refresh'>Refresh</button>"
            "</div>"
        )
        return Upsert(id="filter", kind="usage", body=body)

    def _on_filter(self, value: str) -> None:
        self._filter = value
        self._page.mark_sent(self._filter_node())
        self._show_list()
        self.view.touch()

    def _on_sort(self, column: str) -> None:
        self._order = rl.sort_order(column, self._order)
        self._show_list()
        self.view.touch()

    def _shown(self) -> list[rl.Row]:
        words = self._filter.split()
        return [row for row in self.rows if row.matches(words)]

    def _list(self, *, links: bool) -> str:
        if not self._is_read:
            return "<p>Not loaded yet.</p>"
        if self._problem:
            return f"<p>{escape(self._problem)}</p>"
        shown = self._shown()
        if shown:
            return rl.table(shown, links=links, opened=self._name, order=self._order)
        if self.rows:
            return f"<p>No matches ({counted(len(self.rows), 'recording')}).</p>"
        where = escape(str(self.folder))
        if not self.folder.is_dir():
            return f"<p>Folder not found: {where}</p>"
        code = escape(f'with agy.use_cassette("{self.folder / "first"}"): ...')
        return f"<p>No recordings in {where}. To make one: <code>{code}</code></p>"

    def _show_list(self) -> None:
        self._page.upsert(Upsert(id="list", kind="usage", body=self._list(links=True)))

    # -- the open recording ------------------------------------------------------------------

    async def open_recording(self, name: str) -> None:
        """Show a recording of the list.

        Args:
            name: A name in the list; any other name is ignored.
        """
        self._start_task(self._open(name))
        await self.settled()

    async def _open(self, name: str) -> None:
        row = next((row for row in self.rows if row.name == name), None)
        if row is None:
            return
        self.controls.stop()
        self._name, self._session, self._other = name, 0, ""
        self._comparison = None
        self.opened = await asyncio.to_thread(rl.read, row.entry.path)
        self._page.upsert(Upsert(id="comparison", kind="usage"))
        self._show_list()
        await self._show_session()

    async def _on_session(self, value: str) -> None:
        if self.opened is not None and value in map(str, range(len(self.opened.sessions))):
            self.controls.stop()
            self._session = int(value)
            await self._show_session()

    async def _show_session(self) -> None:
        assert self.opened is not None
        player = None
        if self.opened.sessions:
            player = await asyncio.to_thread(FramePlayer, self.opened.sessions[self._session])
        self._show_about("" if player is None else player.tool_calls())
        if player is not None:
            player.jump(len(player), await asyncio.to_thread(player.transcript_at, len(player)))
        self.controls.choices = self._choices(self.opened)
        self.controls.show(player)
        several = len(self.opened.sessions) > 1
        number = self.opened.sessions[self._session].number if several else None
        self.continuation.show(self.opened.path, number, player)

    def _choices(self, opened: rl.OpenedRecording) -> str:
        count, sessions = len(opened.sessions), ""
        if count > 1:
            named = [(str(n), f"Session {n + 1} of {count}") for n in range(count)]
            sessions = select("session", "Session", named, str(self._session))
        others = [row.name for row in self.rows if row.name != self._name and row.entry.header]
        named = [("", "Compare with…"), *((name, name) for name in others)]
        return sessions + select("compare", "Compare with", named, self._other)

    def _show_about(self, tools: str) -> None:
        assert self.opened is not None
        said = [f"<h4>{escape(self._name)}</h4>"]
        if tools:
            said.append(f"<p class='agy-dim'>{tools}</p>")
        if self.opened.problem:
            said.append(f"<div class='agy-error'>{escape(self.opened.problem)}</div>")
        elif not self.opened.sessions:
            said.append("<p>This recording is empty.</p>")
        self._page.upsert(Upsert(id="about", kind="usage", body="".join(said)))

    # -- comparison --------------------------------------------------------------------------

    async def _compare_with(self, name: str) -> None:
        row = next((row for row in self.rows if row.name == name), None)
        if self.opened is None or (name and row is None):
            return
        self._other = name
        self.controls.choices = self._choices(self.opened)
        self.controls.refresh()
        if row is None:
            self._comparison = None
            self._page.upsert(Upsert(id="comparison", kind="usage"))
            return
        found = await asyncio.to_thread(rl.compare, self.opened.path, row.entry.path)
        head = f"Changes from {escape(self._name)} to {escape(name)}"
        close = (
            "<button type='button' class='agy-button' data-agy-act='compare' data-agy-value=''>"
            "Close comparison</button>"
        )
        node = Upsert(id="comparison", kind="tool", head=head, body=found, fold="open")
        self._comparison = node
        body = f"{found}<div class='agy-row'>{close}</div>"
        self._page.upsert(replace(node, body=body))

    # -- static HTML -------------------------------------------------------------------------

    def _static(self) -> Still:
        nodes = [
            Upsert(id="title", kind="row", head=f"Recordings in {escape(str(self.folder))}"),
            Upsert(id="list", kind="usage", body=self._list(links=False)),
        ]
        kept = [self._page.node("about"), self._comparison]
        html = static([*nodes, *(node for node in kept if node is not None)])
        if self.controls.player is not None:
            said = static(self.controls.player.transcript.snapshot())
            html += said if len(said) <= LARGEST_STILL else "<p>Too long to save here.</p>"
        hint = f"<p class='agy-dim'>To continue: <code>{escape(self._code())}</code></p>"
        node = Upsert(id="hint", kind="usage", body=hint if self._code() else "")
        return Still(html + static([node, *self.continuation.static()]), self._text())

    def _code(self) -> str:
        """Return code for pages without buttons: it continues the open recording, or the first."""
        if self.opened is not None:
            return self.continuation.code
        named = (row for row in self._shown() if row.entry.header is not None)
        return next((fork_code(row.entry.path, 1) for row in named), "")

    def _text(self) -> str:
        """Return the list as text, for terminals."""
        if not self._is_read or self._problem:
            return f"Recordings in {self.folder}: {self._problem or 'not loaded yet'}"
        title = f"{counted(len(self.rows), 'recording')} in {self.folder}"
        hint = [f"To continue: {self._code()}"] if self._code() else []
        return "\n".join([title, *rl.text(self._shown()), *hint])

    def close(self) -> None:
        """Close the view; the static HTML stays."""
        self.controls.stop()
        self.continuation.close()
        for task in self._tasks:
            task.cancel()
        self.view.close()

    def _ipython_display_(self) -> None:
        self.view.display()
