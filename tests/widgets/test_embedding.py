"""Panels and pages inside other widgets."""

import anywidget
import ipywidgets
import pytest

from agy_nb.errors import WrongLoopError
from agy_nb.widgets.chat.panel import ChatPanel
from agy_nb.widgets.recordings.browser import Browser
from agy_nb.widgets.tree import view_widget
from agy_nb.widgets.tree.view_widget import ViewWidget
from agy_nb.widgets.usage.usage_view import UsageView

VIEWS = (ChatPanel, UsageView, Browser)


@pytest.mark.parametrize("view", VIEWS)
def test_no_name_of_a_view_replaces_one_of_the_widget(view):
    classes = view.__mro__[: view.__mro__.index(ViewWidget)]
    own = {name for each in classes for name in vars(each) if not name.startswith("__")}
    made_by_traitlets = set(vars(ViewWidget))
    assert (own & set(dir(anywidget.AnyWidget))) - made_by_traitlets == {"close"}
    assert issubclass(view, ViewWidget)


@pytest.mark.parametrize(
    "box", [ipywidgets.HBox, ipywidgets.VBox, ipywidgets.Tab, ipywidgets.Accordion]
)
async def test_views_are_children_of_other_widgets(box, tmp_path):
    browser = Browser(tmp_path)
    try:
        assert box([browser]).children == (browser,)
    finally:
        browser.close()
    assert browser.comm is None


async def test_closing_a_view_twice_does_nothing(tmp_path):
    browser = Browser(tmp_path)
    browser.close()
    browser.close()


async def test_closing_all_widgets_stops_the_views(tmp_path):
    browser = Browser(tmp_path)
    ipywidgets.Widget.close_all()
    assert browser.view.live.closed


def test_view_without_a_loop_opens_no_widget(tmp_path, monkeypatch):

    monkeypatch.setattr(view_widget, "view_loop", lambda: None)
    before = len(ipywidgets.widgets.widget._instances)
    with pytest.raises(WrongLoopError):
        Browser(tmp_path)
    assert len(ipywidgets.widgets.widget._instances) == before
