"""The views in the widget manager of VS Code's Jupyter extension, in Chromium with a real kernel.

The manager is VS Code's own, from npm. The page, the kernel connection and the loader of scripts
are stand-ins for VS Code's.
"""

import sys
import tarfile
from pathlib import Path

import pytest

from tests.widgets.in_lab.driver import front_ends
from tests.widgets.in_lab.driver.front_ends import BROWSER, ROOT, SCREENSHOTS
from tests.widgets.in_servers.front_end_server import AGENT, TOKENS, TURNS, choose_and_stop, send

PACKAGES = ROOT / "build" / "npm"
MANAGER = PACKAGES / "vscode-jupyter-ipywidgets8-1.0.9.tgz"
REQUIRE = Path(sys.prefix) / "share/solara/cdn/requirejs@2.3.6/require.js"
ANYWIDGET = Path(sys.prefix) / "share/jupyter/nbextensions/anywidget/index.js"

pytestmark = [
    *BROWSER,
    pytest.mark.skipif(
        not (MANAGER.exists() and REQUIRE.exists()), reason="`make front-ends` downloads it"
    ),
]

# VS Code loads the scripts of a widget from the environment's nbextensions, as is done here.
OPEN = """
async (manager) => {
  const url = URL.createObjectURL(new Blob([manager], { type: "text/javascript" }));
  (await import(url)).activate();
  window.vscIPyWidgets8.load();
  window.requirejs.config({ paths: { anywidget: "/nbextensions/anywidget/index" } });
  const kernel = await window.jupyterapp.serviceManager.kernels.startNew({ name: "python3" });
  const page = document.createElement("div");
  page.id = "vscode";
  page.style.cssText = "background: white; inset: 0; overflow: auto; position: fixed; z-index: 9";
  document.body.append(page);
  const loader = {
    widgetsRegisteredInRequireJs: new Set(),
    loadWidgetScript: async () => {},
    successHandler() {},
    errorHandler() {},
  };
  const widgets = new window.vscIPyWidgets.WidgetManager(kernel, page, loader, () => {});
  window.runCell = (code) => {
    const future = kernel.requestExecute({ code, allow_stdin: true });
    future.onIOPub = async (message) => {
      const node = document.createElement("div");
      const { data = {}, text = "", traceback = [] } = message.content;
      const view = data["application/vnd.jupyter.widget-view+json"];
      page.append(node);
      node.textContent = text + traceback.join("");
      if (view === undefined) {
        node.innerHTML += data["text/html"] ?? "";
        return;
      }
      const made = await widgets.create_view(await widgets.get_model(view.model_id));
      await widgets.display_view(message, made, { node });
    };
    return future.done.then(() => null);
  };
}
"""


@pytest.fixture
def lab(tmp_path):
    site = front_ends.Site(tmp_path)
    try:
        site.start()
        lab = front_ends.lab(site, "empty.ipynb")
        yield lab
        lab.close()
    finally:
        site.close()


def test_vscodes_manager_shows_streams_and_asks(lab):
    page = lab.page
    page.route("**/nbextensions/anywidget/index.js", lambda route: route.fulfill(path=ANYWIDGET))
    page.add_script_tag(content=REQUIRE.read_text(encoding="utf-8"))
    with tarfile.open(MANAGER) as package:
        manager = package.extractfile("package/dist/ipywidgets.js").read().decode()
    page.evaluate(OPEN, manager)
    run = "code => window.runCell(code)"
    page.evaluate(run, AGENT)
    page.evaluate(run, f"agent = await start({TURNS})")
    shown = page.locator("#vscode")
    for code in ("chat_ui()", "usage_ui()"):
        page.evaluate(run, f"agent.{code}")
    page.evaluate(run, f"agy.browse({str(ROOT / 'cassettes')!r})")
    send(shown, "go")
    shown.locator("button >> text=Allow once").first.click()
    shown.locator("h1 >> text=Done").first.wait_for()
    choose_and_stop(shown)
    shown.locator(TOKENS).first.wait_for()
    shown.locator("text=plain_chat").first.wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "vscode.png")
