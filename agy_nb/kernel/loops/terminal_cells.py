"""Let Ctrl-C cancel a turn that a cell in IPython's terminal awaits.

IPython has no handler of its own there: `KeyboardInterrupt` leaves the event loop, and its
traceback shows asyncio's code. The turn would still be active, and the next prompt would wait for
it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from agy_nb.kernel.loops.driver import drive

if TYPE_CHECKING:
    from agy_nb.kernel.kernel_host import KernelHost


def cancel_turns_on_interrupt(shell: Any, host: KernelHost) -> None:
    """Run the `await` cells of a terminal so that an interrupt cancels the turn they wait for.

    Cells that wait for anything else behave as before. A runner that the user has chosen with
    `%autoawait` is kept.

    Args:
        shell: IPython's shell.
        host: The services of the process.
    """
    from IPython.core import async_helpers

    loop_of_shell = getattr(async_helpers, "get_asyncio_loop", None)
    if loop_of_shell is None or shell.loop_runner is not async_helpers._asyncio_runner:
        return

    def run_cell(cell: Awaitable[Any]) -> Any:
        return drive(cell, loop_of_shell(), host, only_turns=True)

    shell.loop_runner = run_cell
