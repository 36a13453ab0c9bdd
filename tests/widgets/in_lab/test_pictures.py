"""Pictures of every view for the documentation; `make pictures` keeps them."""

import contextlib
from pathlib import Path

import pytest

from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.front_ends import BROWSER, keep_picture

pytestmark = BROWSER

SHIPPED = Path(__file__).parents[3] / "cassettes"
WIDE, ZOOMED = {"width": 1400, "height": 1100}, {"width": 700, "height": 1100}

LOOKS = """
from google.antigravity.hooks import policy

def get_weather(city: str) -> str:
    "Look up the weather in a city."
    return f"Sunny in {city}"

CITIES = "Paris Rome Oslo Lima Cairo Delhi Tokyo Quito Accra Hanoi".split()
calls = call("get_weather", city=CITIES[0])
for city in CITIES[1:]:
    calls = calls + call("get_weather", city=city)
ENDS = '''It is **sunny** in all ten cities.[^1]

| city | high | low |
|---|---|---|
| Paris | 19 | 11 |
| Lima | 23 | 17 |

[^1]: As of this morning.
'''
model = await ScriptedModel([calls, say(ENDS), say("Bring *sunglasses*.")]).start()
agent = await runtime.create_agent(
    model.config(policies=[policy.allow_all()]), tools=[get_weather])
"""


@contextlib.contextmanager
def looking(lab, *, dark: bool, size: dict[str, int]):
    before = lab.page.viewport_size
    lab.page.set_viewport_size(size)
    theme = "Dark" if dark else "Light"
    lab.command("apputils:change-theme", theme=f"JupyterLab {theme}")
    light = str(not dark).lower()
    lab.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
    try:
        yield
    finally:
        lab.command("apputils:change-theme", theme="JupyterLab Light")
        lab.page.wait_for_selector("body[data-jp-theme-light='true']", state="attached")
        lab.page.set_viewport_size(before)


def picture(lab, cell, name: str) -> None:
    lab.page.mouse.move(1, 1)  # Lab marks the cell below it
    cell.picture(name)
    keep_picture(name)


def test_ten_parallel_calls_are_ten_rows(lab):
    lab.do(LOOKS)
    cell = lab.run("await agent.chat('How is the weather?')")
    cell.footer()
    cell.still()
    rows = cell.output.locator(".agy-tool summary .agy-arg:visible").all_inner_texts()
    cities = lab.do("print(*CITIES)").split()
    assert len(cities) == 10
    assert rows == [f'city="{city}"' for city in cities]
    with looking(lab, dark=False, size=WIDE):
        picture(lab, cell, "tool_calls")


@pytest.mark.parametrize(("name", "dark", "size"), [("dark", True, ZOOMED), ("light", False, WIDE)])
def test_every_view_has_no_barriers_and_fits(lab, name, dark, size):
    lab.do(LOOKS)
    lab.do("for prompt in ('How is the weather?', 'And?'): await agent.chat_text(prompt)")
    views = {
        "chat": ("agent.chat_ui()", "em >> text=sunglasses"),
        "usage": ("agent.usage_ui()", ".agy-chart"),
        "recordings": ("agy.browse('cassettes')", "[data-agy-act='open']"),
    }
    folder = lab.file.with_name("cassettes")
    folder.unlink(missing_ok=True)
    folder.symlink_to(SHIPPED)
    with looking(lab, dark=dark, size=size):
        for view, (code, ready) in views.items():
            cell = lab.run(code)
            cell.wait(ready)
            if view == "recordings":
                cell.wait("[data-agy-act='open'] >> text=builtin_file_tools").click()
                cell.wait(".agy-player .agy-footer")
            assert barriers(lab, cell, f"{view}_{name}") == []
            picture(lab, cell, f"{view}_{name}" if dark else view)


WAITS = """
def delete_files(folder: str, older_than_days: int) -> str:
    "Delete old files of a folder."
    return "3 files deleted"

calls = call("get_weather", city="Paris") + call("get_weather", city="Lima")
ENDS = '''It is **sunny** in both.

| city | high | low |
|---|---|---|
| Paris | 19 | 11 |
| Lima | 23 | 17 |
'''
deletes = call("delete_files", folder="forecasts", older_than_days=30)
model = await ScriptedModel([calls, say(ENDS), deletes, say("Done.")]).start()
agent = await runtime.create_agent(
    model.config(policies=[policy.allow("get_weather"), policy.ask_user("*")]),
    tools=[get_weather, delete_files], ask_user=agy.widgets.approve())
await agent.chat_text("How is the weather in Paris and Lima?")
"""


@pytest.mark.parametrize(("name", "dark"), [("approval", False), ("approval_dark", True)])
def test_panel_waits_for_an_approval(lab, name, dark):
    lab.do(LOOKS)
    lab.do(WAITS)
    with looking(lab, dark=dark, size=WIDE):
        cell = lab.run("agent.chat_ui()")
        cell.wait(".agy-footer")
        cell.prompt("Thanks. Now delete the forecasts that are older than a month.")
        cell.wait(".agy-approval button >> text=Allow once")
        assert barriers(lab, cell, f"{name}_waits") == []
        picture(lab, cell, name)
        cell.click("Allow once")
        cell.wait(".agy-footer >> nth=1")


def test_values_of_cells_are_tables(lab):
    lab.do(LOOKS)
    lab.do("response = await agent.chat('How is the weather?'); await response.text()")
    lab.do("from IPython.display import display")
    shown = "runtime, agent, response.usage, response.tool_calls, agy.expect(response)"
    cell = lab.run(f"display({shown})")
    cell.wait("pre >> text=get_weather(city='Hanoi')")
    assert cell.count("table") == 4
    assert "Turn " in cell.text()
    for dark in (False, True):
        with looking(lab, dark=dark, size=WIDE):
            for width in (1400, 700, 360):
                lab.page.set_viewport_size({"width": max(width, 700), "height": 1100})
                cell.output.evaluate(
                    "(box, width) => { box.style.maxWidth = width + 'px'; }", width
                )
                assert cell.output.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
                cell.picture(f"values_{width}_{'dark' if dark else 'light'}")
