"""What keeps people from a view."""

import re

from axe_playwright_python.sync_playwright import Axe

from agy_nb.widgets.response.style_sheet import style
from tests.widgets.in_lab.driver.front_ends import SCREENSHOTS, Cell, Front

COLOURS = """
(names) => {
  const style = getComputedStyle(document.body);
  return names.map((name) => `${name}: ${style.getPropertyValue(name)};`).join(" ");
}
"""
SHOWN = """
(box) => [...box.querySelectorAll('.agy-view')]
  .filter((each) => each.checkVisibility())
  .map((each) => each.outerHTML)
  .join('')
"""


def barriers(front: Front, cell: Cell, name: str) -> list[str]:
    """What axe calls serious in a cell's views, and what is wider than 320 px.

    The views are looked at alone, in the colours that they have in the front end: axe cannot see
    through the panels there.
    """
    colours = front.page.evaluate(COLOURS, sorted(set(re.findall(r"--jp-[\w-]+", style()))))
    views = cell.output.evaluate(SHOWN)
    assert views
    alone = front.site.browser.new_page(viewport={"width": 320, "height": 640})
    try:
        look = f":root {{{colours}}} {style()} body {{background: var(--jp-layout-color1)}}"
        alone.set_content(
            f"<!doctype html><html lang='en'><title>{name}</title><style>{look}</style>"
            f"<main>{views}</main>"
        )
        alone.screenshot(path=SCREENSHOTS / f"{name}_320.png", full_page=True)
        found = Axe().run(alone).response["violations"]
        wide = alone.evaluate("document.documentElement.scrollWidth")
    finally:
        alone.close()
    return [f"it is {wide} px wide"] * (wide > 320) + [
        f"{each['id']}: {node['html'][:150]} {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
