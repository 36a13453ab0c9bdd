"""Whether a front end shows widgets here.

The Jupyter protocol does not say so. A front end that has opened one view shows the others too;
before that, one that takes no input is taken for papermill or nbclient, which show nothing.
"""

from __future__ import annotations

from agy_nb.kernel.stdin_prompt import why_no_stdin

_opened = False


def view_opened() -> None:
    """Record that a front end has opened a view."""
    global _opened  # noqa: PLW0603 - one set of front ends per process
    _opened = True


def opens_views() -> bool:
    """Whether a front end has opened a view in this process."""
    return _opened


def why_headless() -> str:
    """Return why views are not seen now; empty if they may be."""
    return "" if _opened else why_no_stdin()
