"""DataFrames that a notebook shows with all of their columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_BOX = "<div style='overflow-x:auto;max-width:100%'>"
_NAME = "WideFrame"


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """Return a DataFrame that a notebook shows with all of its columns, in a box that scrolls.

    pandas hides the columns in the middle if there are more than `display.max_columns`, which are
    20. The cost of a turn would be one of them. Tables that you derive are shown in the same way.

    Args:
        table: The table, which does not change.

    Example:
        >>> usage = agy.load("cassettes/plain_chat").usage(by="turn")
        >>> len(usage.columns) > 20, usage.head()._repr_html_().count("...")
        (True, 0)
    """
    shown: pd.DataFrame = _wide_frame()(table)
    return shown


@cache
def _wide_frame() -> type[Any]:
    """Create the class on first use, since importing pandas takes half a second."""
    import pandas as pd

    class AnyFrame(type):
        """Counts every DataFrame as an instance: pandas' tests of equality compare the types."""

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, pd.DataFrame)

    class WideFrame(pd.DataFrame, metaclass=AnyFrame):
        """A DataFrame that a notebook shows with all of its columns."""

        @property
        def _constructor(self) -> Callable[..., pd.DataFrame]:
            return WideFrame

        def _repr_html_(self) -> str | None:
            with pd.option_context("display.max_columns", None):
                html = super()._repr_html_()  # type: ignore[misc]  # not in the stubs
            return None if html is None else f"{_BOX}{html}</div>"

    WideFrame.__qualname__ = _NAME  # pickle finds the class by its module and this name
    return WideFrame


def __getattr__(name: str) -> Any:
    if name == _NAME:
        return _wide_frame()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
