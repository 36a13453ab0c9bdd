"""The browser of recordings: its list, one opened, replayed, stepped through, and two compared."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette.storage.format import HEADER, WIRE, Header
from agy_nb.cassette.storage.writer import CassetteWriter
from agy_nb.widgets.recordings.browser import Browser
from tests.cassette.conftest import Frames, to_lines

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

SHIPPED = Path(__file__).parents[3] / "cassettes"


def turn(prompt, answer):
    return [
        Frames.prompt(prompt),
        Frames.step(answer, index=1, source="SOURCE_MODEL", target="TARGET_USER"),
        Frames.usage(105),
        Frames.idle(),
    ]


def write(path, *sessions, end={"by": "client"}, gap=0.0):  # noqa: B006 - not changed
    """A recording of sessions, their frames `gap` seconds apart."""
    journal = CassetteWriter(path, Header(sdk="0.1.22"))
    for number, frames in enumerate(sessions):
        for place, line in enumerate(to_lines(frames, session=number, end=end)):
            journal.put(number, line.direction, place * gap, line.frame)
    journal.finish()
    return path


@pytest.fixture
def folder(tmp_path):
    hello = [Frames.config(), Frames.ready(), *turn("Good day", "Good *evening*")]
    add = [Frames.call("c1", a=1), Frames.result("c1", 3)]
    write(tmp_path / "hello", hello)
    write(tmp_path / "deep" / "adder", [*hello[:3], *add, *hello[3:]])
    write(tmp_path / "two", hello, [*hello[:2], *turn("And you?", "Fine")])
    return tmp_path


class Page:
    """A front end: it clicks and types, and keeps what it is told."""

    def __init__(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        self.browser = browser
        self.told: list[dict] = []
        monkeypatch.setattr(browser.view.live.widget, "send", self.told.append)
        browser.view.live._on_content({"type": "ready"}, [])

    async def act(self, act: str, value: str = "") -> None:
        self.browser.view.live._on_content({"type": "act", "act": act, "value": value}, [])
        await self.browser.settled()

    @property
    def html(self) -> str:
        """What it shows, without the prompts to choose a turn from."""
        turns = r"<select[^>]*data-agy-act='turn'.*?</select>"
        return re.sub(turns, "", self.browser._page.html(), flags=re.DOTALL)

    def names(self) -> list[str]:
        return re.findall(r"data-agy-act='open' data-agy-value='([^']*)'", self.html)

    def row(self, name: str) -> list[str]:
        """The cells of a row, as texts."""
        (row,) = [
            row for row in re.findall(r"<tr[^>]*>(.*?)</tr>", self.html) if f">{name}<" in row
        ]
        cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)
        return [re.sub(r"<[^>]+>", "", cell) for cell in cells]


@pytest.fixture
async def open_page(monkeypatch):
    """The page of a folder, once it was read."""
    browsers = []

    async def show(path) -> Page:
        browser = agy.browse(path)
        browsers.append(browser)
        await browser.settled()
        return Page(browser, monkeypatch)

    yield show
    for browser in browsers:
        browser.close()


@pytest.fixture
async def page(folder, open_page):
    return await open_page(folder)


# -- the list --------------------------------------------------------------------------------------


async def test_list_has_every_recording_with_what_its_header_says(page):
    assert page.names() == ["deep/adder", "hello", "two"]
    _name, recorded, *figures, size, state = page.row("deep/adder")
    assert recorded == ""  # its header has no time
    assert figures == ["1", "1", "105", "add", "0.1.22"]
    assert size.endswith(("B", "kB"))
    assert state == "Complete"
    assert page.row("two")[2:5] == ["2", "2", "210"]


@pytest.mark.parametrize(
    ("words", "names"),
    [("hello", ["hello"]), ("ADD", ["deep/adder"]), ("0.1.22 two", ["two"]), ("no such", [])],
)
async def test_filter_looks_at_names_tools_and_versions(page, words, names):
    await page.act("filter", words)
    assert page.names() == names
    if not names:
        assert "No matches (3 recordings)." in page.html


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ("Turns", ["two", "deep/adder", "hello"]),  # the largest first
        ("Tools", ["hello", "two", "deep/adder"]),
        ("Recorded", ["two", "deep/adder", "hello"]),
        ("<script>", ["deep/adder", "hello", "two"]),
    ],
)
async def test_list_is_sorted_by_a_column(page, folder, column, names):
    for name, day in (("two", 3), ("deep/adder", 2), ("hello", 1)):
        header = json.loads((folder / name / HEADER).read_bytes())
        header["recorded_at"] = f"2026-01-0{day}T10:00:00Z"
        (folder / name / HEADER).write_text(json.dumps(header))
    await page.act("refresh")
    await page.act("sort", column)
    assert page.names() == names
    assert re.fullmatch(r"2026-01-0\d", page.row("two")[1])


async def test_second_click_turns_the_order_around_and_unreadable_rows_stay_last(page, folder):
    (folder / "hello" / HEADER).write_bytes(b"{")
    await page.act("refresh")
    await page.act("sort", "Tokens")
    assert page.names() == ["two", "deep/adder", "hello"]
    assert "aria-sort='descending'" in page.html
    await page.act("sort", "Tokens")
    assert page.names() == ["deep/adder", "two", "hello"]
    assert "aria-sort='ascending'" in page.html


async def test_open_recording_counts_its_tool_calls(open_page):
    page = await open_page(SHIPPED)
    await page.act("open", "builtin_file_tools")
    assert "2 tool calls: 1 edit_file (built-in), 1 view_file (built-in)" in page.html
    await page.act("open", "mcp_server")
    assert re.search(r"1 tool call: 1 price \(\w+\)", page.html)
    await page.act("open", "plain_chat")
    assert "No tool calls" in page.html


async def test_comparison_can_be_closed(page):
    await page.act("open", "hello")
    for away in ("", "two"):
        await page.act("compare", "two")
        assert "Changes from hello to two" in page.html
        assert "<option value='two' selected>" in page.html
        assert "Close comparison" not in page.browser._static().html
        if not away:
            await page.act("compare", away)
        else:
            await page.act("open", away)
        assert "Changes from" not in page.html
        assert "<option value='two' selected>" not in page.html


async def test_what_is_typed_into_the_filter_is_not_typed_over(page):
    page.browser.view.live.flush()
    page.told.clear()
    await page.act("filter", "hel")
    page.browser.view.live.flush()
    changed = [change["put"]["id"] for message in page.told for change in message["changes"]]
    assert changed == ["list"]
    assert "value='hel'" in page.html  # for a front end that comes late


async def test_empty_folder_says_how_to_make_a_recording(open_page, tmp_path):
    page = await open_page(tmp_path)
    assert "No recordings in" in page.html
    assert "agy.use_cassette(" in page.html


async def test_folder_that_is_not_there_is_named(open_page, tmp_path):
    page = await open_page(tmp_path / "nowhere")
    assert f"Folder not found: {tmp_path / 'nowhere'}" in page.html


async def test_folder_that_is_a_recording_lists_that_one(open_page, folder):
    assert (await open_page(folder / "hello")).names() == ["hello"]


async def test_recording_that_came_later_is_found_by_reading_again(page, folder):
    shutil.copytree(folder / "hello", folder / "later")
    await page.act("refresh")
    assert "later" in page.names()


@pytest.mark.parametrize(
    "header", [b"{", b'{"format": "other"}', b"\xff", b'{"format": "agy-cassette", "version": 99}']
)
async def test_damaged_header_is_said_in_its_row(page, folder, header):
    (folder / "hello" / HEADER).write_bytes(header)
    await page.act("refresh")
    _, why = page.row("hello")
    assert why.startswith("Unreadable")
    assert page.row("two")[-1] == "Complete"
    await page.act("open", "hello")
    assert "agy-error" in page.html


async def test_recording_that_is_being_made_is_shown_as_far_as_it_goes(page, folder):
    journal = CassetteWriter(folder / "new", Header(sdk="0.1.22"))
    for line in to_lines([Frames.config(), Frames.ready(), *turn("Under way", "So far")]):
        journal.put(0, line.direction, 0.0, line.frame)
    journal._thread.close()  # what stands on the disk while the program goes on
    name = journal.folder.name
    await page.act("refresh")
    assert page.row(name)[-1] == "Unfinished"
    assert page.row(name)[2:5] == ["?", "?", "?"]
    await page.act("open", name)
    assert "Under way" in page.html
    assert "Frames are missing" in page.html
    assert "The recording stops here" in page.html
    assert journal.folder.exists()
    journal.abandon()


# -- one of them -----------------------------------------------------------------------------------


async def test_opened_recording_looks_like_a_chat(page):
    await page.act("open", "deep/adder")
    html = page.html
    assert html.index("Good day") < html.index("<code>add</code>") < html.index("<em>evening</em>")
    assert "agy-footer" in html
    assert "aria-current='true'" in html


async def test_recording_that_is_not_in_the_list_is_not_opened(page, tmp_path):
    for name in ("../hello", "/etc", "no such", ""):
        await page.act("open", name)
    assert page.browser.opened is None


async def test_each_session_is_shown_by_itself(page):
    await page.act("open", "two")
    assert "And you?" not in page.html
    await page.act("session", "1")
    assert "And you?" in page.html
    assert "Good day" not in page.html
    await page.act("session", "7")
    assert "And you?" in page.html


async def test_damaged_frames_end_what_is_shown(page, folder):
    wire = folder / "hello" / WIRE
    whole, *others = wire.read_bytes().splitlines(keepends=True)
    wire.write_bytes(b"".join([whole, *others[:2], b"{broken\n", *others[2:]]))
    await page.act("open", "hello")
    assert "line 4" in page.html
    assert "Good day" in page.html
    assert "evening" not in page.html


async def test_recording_without_frames_says_so(page, folder):
    (folder / "hello" / WIRE).write_bytes(b"")
    await page.act("open", "hello")
    assert "Frames are missing" in page.html
    assert "data-agy-act='play'" not in page.html


async def test_steps_go_frame_by_frame_in_both_directions(page):
    await page.act("open", "hello")
    whole = page.html
    await page.act("start")
    assert "Good day" not in page.html
    assert "Before frame 1 of 7" in page.html
    for _ in range(3):
        await page.act("on")
    assert "Good day" in page.html
    assert "evening" not in page.html
    assert "Frame 3 of 7" in page.html
    assert "sent by the client: userInput" in page.html
    assert "agyc-k" in page.html  # the frame itself, coloured
    assert re.search(r'agyc-k">"userInput', page.html)
    await page.act("back")
    assert "Good day" not in page.html
    await page.act("whole")
    assert re.sub(r"player-\d+", "", page.html) == re.sub(r"player-\d+", "", whole)


async def test_slider_goes_anywhere_and_is_not_made_anew_below_the_hand(page):
    await page.act("open", "hello")
    page.browser.view.live.flush()
    page.told.clear()
    await page.act("seek", "3")
    page.browser.view.live.flush()
    puts = [
        change["put"]["id"]
        for message in page.told
        for change in message["changes"]
        if "put" in change
    ]
    assert "slider" not in puts
    assert "Good day" in page.html
    for value in ("99", "-1", "x", "²", ""):
        await page.act("seek", value)
    assert page.browser.controls.player.position == 7


async def test_transcript_at_a_frame_is_the_same_from_both_sides(page):
    await page.act("open", "deep/adder")
    stage = page.browser.controls
    forwards = {}
    await page.act("start")
    for position in range(len(stage.player)):
        await page.act("on")
        forwards[position + 1] = stage.player.transcript.html()
    for position in reversed(forwards):
        await page.act("seek", str(position))
        assert stage.player.transcript.html() == forwards[position]


async def test_replay_keeps_the_pace_of_the_recording(open_page, tmp_path):
    write(tmp_path / "slow", [Frames.config(), Frames.ready(), *turn("one", "two")], gap=0.1)
    page = await open_page(tmp_path)
    await page.act("open", "slow")
    loop = asyncio.get_running_loop()
    began = loop.time()
    await page.act("play")
    assert "Pause" in page.html
    assert "two" not in page.html
    await page.browser.controls._playing
    assert 0.5 <= loop.time() - began < 2
    assert "Replay" in page.html
    assert ">two" in page.html
    await page.act("speed", "16")
    began = loop.time()
    await page.act("play")
    await page.browser.controls._playing
    assert loop.time() - began < 0.5


async def test_replay_can_be_paused_and_goes_on_from_there(open_page, tmp_path):
    write(tmp_path / "slow", [Frames.config(), Frames.ready(), *turn("one", "two")], gap=30.0)
    page = await open_page(tmp_path)
    await page.act("open", "slow")
    await page.act("play")
    await page.act("play")
    stage = page.browser.controls
    assert not stage.playing
    await page.act("seek", "3")
    await page.act("play")
    assert stage.playing
    await page.act("on")
    assert not stage.playing
    assert stage.player.position == 4


# -- two of them -----------------------------------------------------------------------------------


async def test_two_recordings_are_compared(page):
    await page.act("open", "hello")
    await page.act("compare", "deep/adder")
    assert "Changes from hello to deep/adder" in page.html
    assert "calls differ" in page.html
    await page.act("compare", "two")
    assert "only in two" in page.html


async def test_same_recordings_add_up_to_the_same(page, folder):
    shutil.copytree(folder / "hello", folder / "copy")
    await page.act("refresh")
    await page.act("open", "hello")
    await page.act("compare", "copy")
    assert "No differences in" in page.html


async def test_comparison_with_a_damaged_one_says_why_not(page, folder):
    await page.act("open", "hello")
    (folder / "two" / WIRE).write_bytes(b"{\n")
    await page.act("compare", "two")
    assert "Cannot compare" in page.html


# -- what stays, and what is hostile ---------------------------------------------------------------


async def test_html_that_stays_has_list_and_transcript_and_no_controls(page):
    await page.act("open", "hello")
    await page.act("compare", "two")
    html, text = page.browser._static().html, page.browser._static().text
    for said in ("deep/adder", "Good day", "<em>evening</em>", "only in two"):
        assert said in html
    assert not re.search(r"data-agy-act|<button|<input|<select", html)
    assert text.startswith("3 recordings in ")


async def test_long_transcript_is_not_kept_in_the_notebook(page, monkeypatch):
    monkeypatch.setattr("agy_nb.widgets.recordings.browser.LARGEST_STILL", 10)
    await page.act("open", "hello")
    html = page.browser._static().html
    assert "Too long to save" in html
    assert "evening" not in html


class Elements(HTMLParser):
    """What a browser makes of HTML: its tags, and the names of their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.acts: set[str | None] = set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.acts |= {value for name, value in attrs if name == "data-agy-act"}


DANGEROUS = {"script", "img", "iframe", "style", "form", "link", "meta", "object", "embed", "b"}


async def test_hostile_recording_stays_text(open_page, tmp_path):
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>' \" data-agy-act='open'"
    tool = Frames.call("c1", name=evil, **{evil: evil})
    frames = [
        Frames.config(models=[{"name": evil}]),
        Frames.ready(),
        Frames.prompt(evil),
        tool,
        {"toolResponse": {"id": "c1", "errorMessage": evil}},
        Frames.step(evil, index=1, source="SOURCE_SYSTEM", state="STATE_ERROR", errorMessage=evil),
        {evil: evil},
        *turn(evil, evil)[1:],
    ]
    write(
        tmp_path / "evil'><b onclick=x>",
        frames,
        end={"by": "harness", "code": evil, "reason": evil},
    )
    write(tmp_path / "other", [Frames.config(), Frames.ready(), *turn("hi", "ho")])
    header = json.loads((tmp_path / "other" / HEADER).read_bytes())
    (tmp_path / "other" / HEADER).write_text(json.dumps(header | {"sdk": evil, "version": evil}))
    page = await open_page(tmp_path)
    name = "evil'><b onclick=x>"
    await page.act("open", name)
    assert page.browser.opened is not None
    await page.act("compare", "other")
    pages = [page.html, page.browser._static().html]
    for _ in range(12):
        await page.act("back")
        pages.append(page.html)
    for html in pages:
        elements = Elements(html)
        assert not elements.tags & DANGEROUS
        assert not {name for name in elements.attributes if name.startswith("on")}
        assert elements.acts <= set(page.browser._actions)


async def test_shipped_recordings_are_all_shown_without_complaint(open_page):
    page = await open_page(SHIPPED)
    for name in page.names():
        await page.browser.open_recording(name)
        assert "Cannot show" not in page.html, name
        assert "agy-footer" in page.html, name


@pytest.mark.slow
def test_without_an_event_loop_the_error_says_what_to_do(tmp_path):
    code = f"import agy_nb as agy\nagy.browse({str(tmp_path)!r})"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "WrongLoopError: a view needs an event loop" in result.stderr.splitlines()[-1]


async def test_in_a_terminal_the_text_is_printed(page, capsys):
    page.browser._ipython_display_()
    assert capsys.readouterr().out.startswith("3 recordings in ")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (lambda folder: [folder / "hello", folder / "deep" / "adder"], {"hello", "deep/adder"}),
        (lambda folder: agy.load(folder / "hello"), {"hello"}),
        (lambda folder: [agy.load(folder / "two"), str(folder / "deep")], {"two", "deep/adder"}),
        (lambda folder: str(folder / "hello"), {"hello"}),
    ],
    ids=["list", "sessions", "both", "recording"],
)
async def test_list_has_only_the_recordings_that_were_given(open_page, folder, given, names):
    assert set((await open_page(given(folder))).names()) == names


@pytest.mark.parametrize("wrong", [[], 5, [5], b"folder"], ids=repr)
def test_what_names_no_recording_is_refused(wrong):
    with pytest.raises(agy.InvalidInputError) as caught:
        agy.browse(wrong)
    assert caught.value.field == "folder"
