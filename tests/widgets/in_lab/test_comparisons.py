"""A comparison in JupyterLab: it fills in while it runs, and marks differences."""

from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.front_ends import BROWSER, keep_picture
from tests.widgets.in_lab.test_pictures import looking

pytestmark = BROWSER

WHOLE = {"width": 1400, "height": 2200}

ANSWERS = """
from agy_nb.testing import ScriptedModel, call, each, fail, say, hang
from agy_nb.testing.script.script_router import in_system
import asyncio
gate = asyncio.Event()
def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"
LONG = "It is **sunny** in Paris, with 21 degrees and a light wind from the west."
BRIEF = "It is **sunny** in Paris, with 19 degrees and a strong wind from the east."
async def answer(request):
    brief = "Be brief" in request.system_text
    if "slow" in request.user_text: await gate.wait()
    if "bad" in request.user_text and brief: return fail(400, "no <b>such</b> thing")
    if "weather" in request.user_text and not request.tool_results and not brief:
        return call("get_weather", city="Paris")
    if "story" in request.user_text:
        return say("Once upon a time there was a model. " * 60 + ("The end." if brief else "Bye."))
    return say(BRIEF if brief else LONG)
model = await ScriptedModel(answer).start()
variants = {"long": {"tools": [get_weather]}, "brief": {"system_instructions": "Be brief"},
            "other model": {"model": "gemini-2.5-pro"}}
base = model.config(model="gemini-2.5-flash")
"""


def test_answers_fill_in_side_by_side_with_their_differences(lab):
    lab.do(ANSWERS)
    lab.do("asyncio.get_running_loop().call_later(6, gate.set)")
    cell = lab.run(
        "await agy.compare_runs(['How is the weather?', 'bad <i>prompt</i>', 'A story', 'slow'],"
        " variants, base=base, max_cost_usd=1)"
    )
    cell.wait("progress")
    cell.wait("text=/of 12 runs.*of \\$1.00.*running/")
    cell.picture("comparison-running")
    cell.wait("text=/12 of 12 runs/")
    cell.wait("ins >> text=19")
    assert cell.count(".agy-view:not(.agy-still) .agy-variant") == 12
    assert cell.count("progress") == 0
    with looking(lab, dark=False, size=WHOLE):
        cell.picture("comparison")
        keep_picture("comparison")
    assert barriers(lab, cell, "comparison") == []
    try:
        lab.command("apputils:change-theme", theme="JupyterLab Dark")
        lab.page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
        cell.picture("comparison-dark")
        assert barriers(lab, cell, "comparison-dark") == []
    finally:
        lab.command("apputils:change-theme", theme="JupyterLab Light")
    cell.wait("[data-agy-act='differences'][aria-pressed='true']").click()
    cell.wait("[data-agy-act='differences'][aria-pressed='false']")
    cell.wait(".agy-variant strong >> text=sunny")
    assert cell.output.locator(".agy-view:not(.agy-still) ins").count() == 0
    cell.picture("comparison-plain")
