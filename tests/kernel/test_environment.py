"""Programs that look like a Jupyter kernel and are not."""

import sys
from types import SimpleNamespace

from agy_nb.kernel import environment


def _shell(module: str):
    """Make IPython's shell of a class in this module, with a kernel."""
    made = type("Shell", (), {"__module__": module})()
    made.kernel = object()
    return made


def _use(monkeypatch, shell) -> None:
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)


def test_page_of_solara_is_not_a_kernel(monkeypatch):
    _use(monkeypatch, _shell("solara.server.shell"))
    assert environment.in_solara()
    assert not environment.in_kernel()
    assert environment.current_shell() is None


def test_shell_with_a_kernel_is_a_kernel(monkeypatch):
    shell = _shell("ipykernel.zmqshell")
    _use(monkeypatch, shell)
    assert environment.in_kernel()
    assert environment.current_kernel() is shell.kernel
    assert not environment.in_solara()
