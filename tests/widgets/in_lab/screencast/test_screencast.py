"""The screencast of the documentation, from the first cell to a cost chart.

The test plays it without pauses; `make screencast` films it.
"""

import os

import pytest

from tests.widgets.in_lab.driver import front_ends
from tests.widgets.in_lab.driver.front_ends import BROWSER, IMAGES
from tests.widgets.in_lab.screencast.film import Film

pytestmark = BROWSER

MODULE = '''"""What the notebook imports: two tools, and a scripted model on this machine."""

from agy_nb.testing import ScriptedModel, call, say, think

WEATHER = """It is **sunny** in both cities.

| city | high | low |
|---|---:|---:|
| Paris | 19 | 11 |
| Lima | 23 | 17 |

Take a *light* jacket for the evening.
"""


def get_weather(city: str) -> str:
    "Look up the weather in a city."
    return f"sunny in {city}"


def delete_files(folder: str, older_than_days: int) -> str:
    "Delete old files of a folder."
    return "3 files deleted"


def words(text):
    return say([f"{word} " if word else " " for word in text.split(" ")], chunk_delay_s=PAUSE)


def script():
    calls = call("get_weather", city="Paris") + call("get_weather", city="Lima")
    thought = think("Two cities, so two calls of the tool.")
    deletes = call("delete_files", folder="forecasts", older_than_days=30)
    return [
        thought + calls,
        words(WEATHER),
        deletes,
        words("Done. I deleted **3 files** from `forecasts`."),
        call("get_weather", city="Tokyo"),
        words("It is **sunny** in Tokyo, with 26 degrees at noon."),
    ]
'''

AGENT = """import agy_nb as agy
from google.antigravity.hooks import policy
from weather import ScriptedModel, delete_files, get_weather, script

model = await ScriptedModel(script()).start()
agent = await agy.create_agent(
    model.config(policies=[policy.allow("get_weather"), policy.ask_user("*")]),
    tools=[get_weather, delete_files],
    ask_user=agy.widgets.approve(),
)
agent.chat_ui()"""

COSTS = """from agy_nb.analysis import Prices

prices = Prices(own={"scripted-model": (2.0, 0.2, 10.0)})  # US dollars per million tokens
costs = agent.tables.with_prices(prices).usage(by="turn")
costs[["turn_id", "n_model_calls", "total_tokens", "cost_usd"]]"""


@pytest.fixture
def film(site):
    is_on = bool(os.environ.get("AGY_SCREENCAST"))
    pause = 0.08 if is_on else 0.0
    module = MODULE.replace("PAUSE", str(pause))
    (site.folder / "weather.py").write_text(module, encoding="utf-8")
    lab = front_ends.lab(site, "screencast.ipynb")
    lab.page.set_viewport_size({"width": 1000, "height": 720})
    lab.command("application:toggle-left-area")
    film = Film(lab, is_on=is_on)
    yield film
    lab.calm()
    lab.close()


def test_screencast(film):
    film.wait(1)
    cell = film.run(AGENT)
    film.until(cell, "textarea")
    film.wait(2)
    box = cell.wait("textarea")
    film.write(box, "How is the weather in Paris and Lima?")
    box.press("Enter")
    film.until(cell, ".agy-footer")
    film.wait(3)
    film.write(box, "Now delete the forecasts that are older than a month.")
    box.press("Enter")
    film.until(cell, ".agy-approval button >> text=Allow once")
    film.wait(4)
    cell.click("Allow once")
    film.until(cell, ".agy-footer >> nth=1")
    film.wait(3)
    cell.output.locator("button[aria-label='Edit this prompt']").first.click()
    edit = cell.wait(".agy-rewrite textarea")
    film.wait(1)
    film.write(edit, "How is the weather in Tokyo?")
    edit.press("Enter")
    film.until(cell, ".agy-switch >> text=2/2")
    film.until(cell, "text=26 degrees")
    film.wait(3)
    cell.wait("button[aria-label='Previous branch']").click()
    film.until(cell, ".agy-switch >> text=1/2")
    film.wait(3)
    usage = film.run("agy.usage_ui()")
    film.until(usage, ".agy-chart")
    film.wait(3)
    costs = film.run(COSTS)
    film.until(costs, "table.dataframe")
    film.wait(4)
    if film.is_on:
        film.save(IMAGES / "screencast.webp")
