"""The widget that shows a view, and how a cell displays it.

ipywidgets has no types. `WidgetBase` declares its public parts for type checkers, so that a user's
program with a view has none that are unknown.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import anywidget
import traitlets

from agy_nb.errors import WrongLoopError
from agy_nb.kernel import view_loop
from agy_nb.kernel.environment import current_shell
from agy_nb.kernel.loops.script_loop import process_loop
from agy_nb.widgets.response.style_sheet import style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    class WidgetBase(traitlets.HasTraits):
        """The parts of `anywidget.AnyWidget` that a user may need."""

        comm: Any
        layout: Any
        tooltip: Any

        def __init__(self, **traits: object) -> None: ...

        @property
        def model_id(self) -> str:
            """The id of the model in the front ends."""
            ...

        def open(self) -> None:
            """Open the connection to the front ends."""

        def close(self) -> None:
            """Close the connection to the front ends."""

        def send(
            self, content: object, buffers: Sequence[bytes | memoryview] | None = None
        ) -> None:
            """Send a message to the front ends."""

        def on_msg(
            self,
            callback: Callable[[Any, Any, list[Any]], object],
            remove: bool = False,  # noqa: FBT001, FBT002 - as there
        ) -> None:
            """Call a function with each message of the front ends, or stop this."""

        def add_class(self, className: str) -> Self:  # noqa: N803 - its name there
            """Add a CSS class."""
            ...

        def remove_class(self, className: str) -> Self:  # noqa: N803 - its name there
            """Remove a CSS class."""
            ...

        def _repr_mimebundle_(
            self, **kwargs: object
        ) -> tuple[dict[str, Any], dict[str, Any]] | dict[str, Any] | None: ...

else:
    WidgetBase = anywidget.AnyWidget

_STATIC = Path(__file__).parents[1] / "static"


class ViewWidget(WidgetBase):
    """The anywidget of a view: a tree of nodes, and a composer if `mode` is `"chat"`.

    Panels and pages derive from it, so that they work wherever a front end takes a widget. Their
    names must not be those of `anywidget.AnyWidget`.

    Args:
        mode: `"turn"`, `"chat"`, or `"page"` for a page with its own controls.
        label: The accessible name.

    Raises:
        WrongLoopError: No event loop has run in this process.

    Attributes:
        mode: As above.
        label: As above.
        key: The widget's model id.
    """

    # As text: anywidget watches files, and keeps every widget of a watched file alive.
    _esm: str = "\n".join(path.read_text(encoding="utf-8") for path in sorted(_STATIC.glob("*.js")))
    _css: str = style()
    mode: traitlets.Unicode[str, str | bytes] = traitlets.Unicode("turn").tag(sync=True)
    label: traitlets.Unicode[str, str | bytes] = traitlets.Unicode("Conversation").tag(sync=True)
    key: traitlets.Unicode[str, str | bytes] = traitlets.Unicode("").tag(sync=True)

    def __init__(self, mode: str, label: str) -> None:
        loop_of_views()  # nothing is created where it could not be updated
        # In a row of widgets, views share the width.
        super().__init__(mode=mode, label=label, layout={"flex": "1 1 auto"})
        self.key = self.model_id

    def __repr__(self) -> str:  # shown by a notebook that does not support widgets
        return f"<{self.label}, live>"

    def close_widget(self) -> None:
        """Close the connection to the front ends; a panel's `close` does more."""
        super().close()

    def __del__(self) -> None:
        self.close_widget()


def display_widget(widget: Any) -> Any:
    """Display a widget in the running cell, in an output that can be updated.

    `display(widget)` does not work here: ipywidgets 7, which Colab uses, drops the display id.

    Returns:
        The display handle of the output.
    """
    from IPython.display import display

    bundle = widget._repr_mimebundle_()
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return display(data, metadata=metadata, raw=True, display_id=True)


def loop_of_views() -> asyncio.AbstractEventLoop:
    """Return the loop that handles what the user does in views.

    Raises:
        WrongLoopError: No event loop has run in this process.
    """
    loop = view_loop()
    if loop is None and current_shell() is not None:
        loop = process_loop().loop()  # a terminal of IPython runs its loop only while it awaits
    if loop is None:
        raise WrongLoopError(
            "a view needs an event loop, and none has run in this process. Show the view in a "
            "notebook, or create it in a coroutine."
        )
    return loop
