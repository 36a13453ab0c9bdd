"""What works less well on a kernel is a warning of its own class, once, and never an error."""

import warnings

from agy_nb.kernel import KernelWarning, kernel_host
from agy_nb.kernel.kernel_host import KernelHost


class Bare:
    """A kernel without any of the hooks."""


def test_kernel_without_hooks_is_warned_of_and_not_refused(monkeypatch):
    monkeypatch.setattr(kernel_host, "current_kernel", Bare)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        guest = KernelHost()
        before = len(caught)
        with guest.busy():
            pass
    assert [warning.category for warning in caught[:before]] == [KernelWarning]
    assert guest.cells_reason in str(caught[0].message)
    assert not guest.cell_running
