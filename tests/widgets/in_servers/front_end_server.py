"""Servers that are not Jupyter's, each with a page in a headless Chromium."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import anywidget
from playwright.sync_api import sync_playwright

from tests.widgets.in_lab.driver.front_ends import BROWSERS, FLAGS, ROOT, SCREENSHOTS, WATCH

TURNS = """
    call("delete", path="notes"),
    say([*"# Done\\n\\nso it *is* now"]),
    call("ask_question", questions=[
        dict(question="Which colour?", options=["red", "blue"], is_multi_select=False)]),
    say("And *chosen*."),
    say("so far ") + hang(),
"""

TOKENS = ".agy-usage-table td >> text=/^(≥ )?[0-9]+,[0-9]{3}$/"
"""A number of tokens in the usage view."""

AGENT = """
import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, hang, say
from google.antigravity import types

def delete(path: str) -> str:
    "Delete a file."
    return f"deleted {path}"

async def start(*turns):
    model = await ScriptedModel(turns).start()
    capabilities = types.CapabilitiesConfig(
        agent_behavior=types.AgentBehavior.INTERACTIVE,
        enabled_tools=[types.BuiltinTools.ASK_QUESTION],
    )
    config = model.config(capabilities=capabilities)
    return await agy.create_agent(config, tools=[delete], ask_user=agy.widgets.approve())
"""
"""What every page runs first; also importable as `agent_for_pages`."""

# Front ends that load anywidget's own module from a network; it is in the installed package too.
_ANYWIDGET = "https://unpkg.com/anywidget@*/**"


@contextlib.contextmanager
def serving(folder: Path, *command: str):
    """Start `python -m COMMAND` with a free port in the place of `{port}`; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "agent_for_pages.py").write_text(AGENT, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "HOME": str(folder)}
    env.pop("PYTHONASYNCIODEBUG", None)
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *(each.format(port=port) for each in command)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _await(server, url, folder / "server.log")
            yield url
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _await(server, url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=30).close()
        except OSError:
            try:
                server.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            return
    raise RuntimeError(log.read_text(encoding="utf-8")[-3000:])


@contextlib.contextmanager
def page_at(url: str, name: str):
    """Open a page; when it fails, keep a picture of it."""
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1000, "height": 1200})
            page.set_default_timeout(60_000)  # a first start compiles pandas
            page.add_init_script(WATCH)
            page.route(_ANYWIDGET, _installed)
            page.goto(url)
            try:
                yield page
            finally:
                SCREENSHOTS.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=SCREENSHOTS / f"{name}.png")
        finally:
            browser.close()


def _installed(route) -> None:
    root = Path(anywidget.__file__).parent
    found = [
        *root.glob("**/index.js"),
        *Path(sys.prefix).glob("share/jupyter/**/anywidget/index.js"),
    ]
    route.fulfill(
        path=found[0],
        content_type="text/javascript",
        headers={"Access-Control-Allow-Origin": "*"},
    )


def send(page, words: str) -> None:
    """Type a prompt into the panel and press Enter."""
    box = page.locator("textarea").first
    box.fill(words)
    box.press("Enter")


def choose_and_stop(page):
    """Answer a question of the model, then stop a turn, both in the panel."""
    send(page, "more")
    page.locator(".agy-option >> text=blue").first.click()
    page.locator("button >> text=/^Answer$/").first.click()
    page.locator("em >> text=chosen").first.wait_for()
    send(page, "long")
    page.get_by_text("so far", exact=True).first.wait_for()
    page.locator("button:visible >> text=Stop").first.click()
    page.locator(".agy-footer >> text=Stopped").first.wait_for()
