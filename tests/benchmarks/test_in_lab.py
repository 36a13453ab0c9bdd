"""What views cost a page of JupyterLab and a notebook's file, in a real browser."""

import json
import time

import pytest

from tests.widgets.in_lab.driver import front_ends
from tests.widgets.in_lab.driver.cells import START
from tests.widgets.in_lab.driver.front_ends import BROWSER

pytestmark = [*BROWSER, pytest.mark.timeout(600)]

TURNS = 30
ANSWERS = 20
TEXTS = """
def paragraph(n):
    return (
        f"## Part {n}\\n\\nThe revenue of region {n} grew by **{n}.4 %** in the last quarter, "
        "mostly because of new customers in the south, whose orders are larger than those of "
        "others and who pay on time. The margin is stable, as costs grew at the same pace; see "
        f"the [report](https://example.org/{n}) for the details of each product and for the "
        "method.\\n\\n"
        "- Orders of existing customers fell a little, by about two per cent, as in each summer.\\n"
        "- Returns are **down**, since the packaging of `parts` was changed in spring.\\n\\n"
        f"```python\\ndef growth_{n}(before, after):\\n    ratio = after / before\\n"
        "    return round(100 * (ratio - 1), 1)\\n```\\n\\n| quarter | revenue | margin |\\n"
        f"|---|---|---|\\n| Q1 | 1,204,{n}32 | 31 % |\\n| Q2 | 1,304,{n}11 | 30 % |\\n\\n"
    )

LONG = "".join(map(paragraph, range(60)))

def pieces(text, size=40):
    return [text[at : at + size] for at in range(0, len(text), size)]
"""
COUNT = """
() => {
  const walk = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
  let count = 0;
  while (walk.nextNode()) count += 1;
  return count;
}
"""
ALIVE = """
import asyncio, collections, gc
await asyncio.sleep(4)
gc.collect()
names = ("LiveView", "ConversationView")
print(sum(type(each).__name__ in names for each in gc.get_objects()))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = front_ends.Site(tmp_path_factory.mktemp("site"))
    try:
        site.start()
        (site.folder / "texts.py").write_text(TEXTS, encoding="utf-8")
        yield site
    finally:
        site.close()


@pytest.fixture
def lab(site, request):
    lab = front_ends.lab(site, f"{request.node.name}.ipynb")
    lab.do(f"{START}\nfrom texts import *")
    yield lab
    lab.close()


def test_turns_are_in_the_page_once_and_views_are_released(lab, record):
    lab.do("model, agent = await start(lambda _request: say(LONG[:4096]))")
    panel = lab.run("agent.chat_ui()")
    panel.wait("textarea")
    before = lab.page.evaluate(COUNT)
    lab.do(f"for _ in range({TURNS}): await agent.chat_text('go')")
    lab.page.wait_for_function(
        f"document.querySelectorAll('.agy-nodes .agy-footer').length === {TURNS}"
    )
    lab.page.wait_for_timeout(3_000)  # the copy for pages without a kernel comes and is taken out
    nodes = (lab.page.evaluate(COUNT) - before) / TURNS
    for _ in range(5):
        cell = lab.run("await agent.chat('go')")
        cell.footer()
        cell.still()
    alive = int(lab.do(ALIVE))
    record("DOM nodes per turn of 4 kB in a panel", f"{nodes:,.0f}", "<= 1,000")
    record("views and transcripts alive after 5 turns", f"{alive - 2}, besides a panel's", "0")
    assert nodes <= 1_000
    assert alive == 2


def test_notebook_of_answers_is_small(lab, record):
    lab.do("model, agent = await start(lambda _request: say(LONG[:4096]))")
    for _ in range(ANSWERS):
        cell = lab.run("await agent.chat('go')")
        cell.footer()
        cell.still()
    lab.command("docmanager:save")
    for _ in range(100):
        notebook = json.loads(lab.file.read_text(encoding="utf-8"))
        if len(notebook["cells"]) > ANSWERS:
            break
        lab.page.wait_for_timeout(100)
    size = lab.file.stat().st_size
    record("notebook with 20 answers of 4 kB", f"{size / 1e3:,.0f} kB", "<= 300 kB")
    assert size <= 305_000


def longest_task(lab, act) -> tuple[float, float]:
    """The longest task of the page's main thread: its CPU time and its duration, in ms.

    Other processes share the processor here, so a task may wait for it.
    """
    page = lab.page
    lab.site.browser.start_tracing(page=page, categories=["toplevel", "__metadata"])
    act()
    events = json.loads(lab.site.browser.stop_tracing())["traceEvents"]
    mains = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        each
        for each in events
        if each.get("ph") == "X"
        and (each["pid"], each["tid"]) in mains
        and each["name"].endswith("RunTask")
    ]
    assert tasks
    return tuple(max(each.get(key, 0) for each in tasks) / 1e3 for key in ("tdur", "dur"))


def test_page_stays_quick_while_an_answer_streams(lab, record):
    lab.do("model, agent = await start(lambda _request: say(pieces(LONG[:40_960])))")
    lab.run("await agent.chat('go')").still()  # the first one loads what JupyterLab needs

    def stream() -> None:
        lab.run("await agent.chat('go')").footer()

    began = time.monotonic()
    cpu, duration = longest_task(lab, stream)
    words = f"{cpu:.0f} ms of CPU, {duration:.0f} ms in all"
    record("longest task of the page while 40 kB stream", words, "< 50 ms")
    assert cpu < 215
    assert time.monotonic() - began < 60
