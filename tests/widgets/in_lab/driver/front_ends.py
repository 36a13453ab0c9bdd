"""JupyterLab and Notebook 7 in a headless Chromium: cells are added and run one by one.

One server serves both; a `Front` is a page of one of them with a notebook in it.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import Page, TimeoutError as NotInTime, sync_playwright

ROOT = Path(__file__).parents[4]
SCREENSHOTS = ROOT / "build" / "screenshots"
IMAGES = ROOT / "docs" / "images"


def keep_picture(name: str, wanted: str = "") -> None:
    """Copy a picture into the documentation, for `make pictures`."""
    if os.environ.get("AGY_PICTURES"):
        shutil.copy(SCREENSHOTS / f"{name}.png", IMAGES / f"{wanted or name}.png")


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

# Notebook 7 stumbles over a setting and a command of its own while it starts.
NOT_OURS = ("reading 'schema'", "'filebrowser:open-path' not registered")

# What a script of somebody else would do, seen from the page.
WATCH = """
window.pwned = 0;
window.alert = window.confirm = window.prompt = () => { window.pwned += 1; };
document.addEventListener("securitypolicyviolation", () => { window.pwned += 1; });
"""

RUN = """
(code) => {
  const { commands, shell } = window.jupyterapp;
  const notebook = shell.currentWidget.content;
  const last = notebook.widgets.length - 1;
  notebook.activeCellIndex = last;
  notebook.activeCell.model.sharedModel.setSource(code);
  notebook.mode = "command";
  commands.execute("notebook:run-cell-and-insert-below");
  return last;
}
"""


IDLE = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"

BROWSER = [
    pytest.mark.browser,
    pytest.mark.blocking_allowed,  # Playwright has a loop of its own in this thread
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not any(map(shutil.which, BROWSERS)), reason="needs Chromium, as `make browser` installs it"
    ),
]
"""The marks of every test with a browser."""


class Cell:
    """A cell that was run."""

    def __init__(self, page: Page, number: int) -> None:
        self.page = page
        self.box = page.locator(".jp-Notebook .jp-Cell").nth(number)
        self.output = self.box.locator(".jp-Cell-outputArea")

    def wait(self, selector: str, **how):
        """Wait until something is in its output; give it."""
        found = self.output.locator(selector).first
        try:
            found.wait_for(**how)
        except NotInTime:
            self.picture("failed")
            raise
        return found

    def count(self, selector: str) -> int:
        return self.output.locator(selector).count()

    def text(self) -> str:
        return self.output.inner_text()

    def click(self, words: str) -> None:
        """Press the button that has these words."""
        self.wait(f"button >> text={words}").click()

    def prompt(self, words: str):
        """Send a prompt from its chat panel; give the text box."""
        box = self.wait("textarea")
        box.fill(words)
        box.press("Enter")
        return box

    def footer(self) -> str:
        """Wait for the end of the turn in it; give its last line."""
        return self.wait(".agy-footer").inner_text()

    def still(self) -> None:
        """Wait until its view is plain HTML."""
        self.wait(
            '.agy-footer >> xpath=self::*[not(ancestor::*[contains(@class, "jupyter-widgets")])]'
        )

    def picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.box.scroll_into_view_if_needed()
        self.box.screenshot(path=SCREENSHOTS / f"{name}.png")


class Site:
    """The server and the browser.

    Attributes:
        requests: What the browser asked for, of anybody.
        errors: What went wrong in a page.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.errors: list[str] = []
        for name, values in SETTINGS.items():
            package, plugin = name.split("/")
            path = folder / "settings" / "@jupyterlab" / package / f"{plugin}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        folders = {
            f"JUPYTER_{name.upper()}_DIR": str(self.folder / name)
            for name in ("config", "data", "runtime")
        }
        env = {
            **os.environ,
            **folders,
            "JUPYTERLAB_SETTINGS_DIR": str(self.folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.folder / "workspaces"),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "PYTHONPATH": str(ROOT),
        }
        env.pop("PYTHONASYNCIODEBUG", None)
        self.log = (self.folder / "lab.log").open("wb")
        options = (
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            "--IdentityProvider.token=",
            f"--ServerApp.root_dir={self.folder}",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            "--LabApp.news_url=None",
        )
        self.server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *options],
            env=env,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.playwright = sync_playwright().start()
        chromium = next(filter(None, map(shutil.which, BROWSERS)))
        self.browser = self.playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        self.await_server()

    def await_server(self) -> None:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/api", timeout=5).close()
            except OSError:
                try:
                    self.server.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
                break
            else:
                return
        raise RuntimeError((self.folder / "lab.log").read_text(encoding="utf-8")[-3000:])

    def new_page(self) -> Page:
        page = self.browser.new_page(viewport={"width": 1000, "height": 900})
        page.set_default_timeout(25_000)
        page.add_init_script(WATCH)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", self.note)
        page.on("dialog", self.on_dialog)
        return page

    def on_dialog(self, dialog) -> None:
        """Note every dialog of a script; leave a page with unsaved changes, as its turn goes on."""
        if dialog.type == "beforeunload":
            dialog.accept()
            return
        self.errors.append(dialog.message)
        dialog.dismiss()

    def note(self, error) -> None:
        """Keep what went wrong in a page."""
        said = str(error.stack or error)
        own = "/static/notebook/" in said and any(each in said for each in NOT_OURS)
        if not own:
            self.errors.append(said)

    def strangers(self) -> list[str]:
        """Requests that went to anybody but this machine."""
        own = ("127.0.0.1", None)
        return [url for url in self.requests if urlsplit(url).hostname not in own]

    def close(self) -> None:
        for end in (self.browser.close, self.playwright.stop):
            end()
        self.server.terminate()  # it ends its kernels
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.log.close()


class Front:
    """A page with a notebook whose kernel is idle.

    Args:
        site: Where it is.
        address: The page's path on the server, with `{}` for the notebook's.
        path: The notebook; it is made unless it is there.
    """

    def __init__(self, site: Site, address: str, path: str) -> None:
        self.site = site
        self.path = path
        self.file = site.folder / path
        if not self.file.exists():
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
            notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
            nbformat.write(notebook, self.file)
        self.page = site.new_page()
        self.page.goto(f"{site.url}/{address.format(path)}")
        self.settle()
        self.idle()

    def settle(self) -> None:
        """Wait until the notebook is there."""
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
        self.page.wait_for_function("!document.querySelector('.jp-NotebookPanel .jp-Spinner')")

    def idle(self) -> None:
        """Wait until the kernel is idle."""
        self.page.wait_for_function(IDLE, timeout=60_000)

    def reload(self) -> None:
        """Load the page again, whether or not its kernel works."""
        self.page.reload()
        self.settle()

    def press(self, command: str) -> None:
        """Press a button of the notebook's toolbar."""
        self.page.locator(f".jp-NotebookPanel-toolbar [data-command='{command}']").click()

    def start_kernel_again(self) -> None:
        """Press the toolbar's button for it, and say yes."""
        self.press("notebook:restart-kernel")
        self.page.locator(".jp-Dialog button.jp-mod-accept").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")
        self.idle()

    def run(self, code: str) -> Cell:
        """Run a cell at the notebook's end, and do not wait for it."""
        return Cell(self.page, self.page.evaluate(RUN, code))

    def do(self, code: str) -> str:
        """Run a cell to its end; give its text."""
        cell = self.run(f"{code}\nprint('all done')")
        cell.wait("text=/all done|Error/")
        text = cell.text()
        assert "all done" in text, text
        return text.replace("all done", "").strip()

    def command(self, name: str, **arguments) -> None:
        """Have the front end execute one of its commands."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments],
        )

    def calm(self) -> None:
        """End what a test has left running, so that the next one can begin."""
        if not self.page.evaluate(IDLE):
            try:
                self.page.wait_for_function(IDLE, timeout=1_000)
            except NotInTime:
                self.command("notebook:interrupt-kernel")
                self.page.wait_for_function(IDLE)

    def close(self) -> None:
        self.page.close()


def lab(site: Site, path: str) -> Front:
    """A notebook in JupyterLab."""
    return Front(site, "lab/tree/{}?reset", path)


def seven(site: Site, path: str) -> Front:
    """A notebook in Notebook 7."""
    return Front(site, "notebooks/{}", path)
