"""Everything that touches ipykernel. It also works outside a kernel.

Importing this package imports neither IPython nor ipykernel.

Attributes:
    run: Blocks until a coroutine is done; the kernel keeps handling widget messages.
    current_host: Returns the `KernelHost` of this process: busy(), on_interrupt(), at_exit().
    probe: Reports which features work in this process.
    ask_text: Asks the user for a line of text.
"""

from __future__ import annotations

from agy_nb.kernel.capabilities import Capabilities, Capability, FrontEnd, probe
from agy_nb.kernel.environment import in_kernel, main_loop, view_loop
from agy_nb.kernel.errors import CannotBlockError, KernelError, KernelWarning, NoStdinError
from agy_nb.kernel.interrupts import Where
from agy_nb.kernel.kernel_host import KernelHost, current_host
from agy_nb.kernel.run_blocking import run
from agy_nb.kernel.stdin_prompt import ask_text

__all__ = [
    "CannotBlockError",
    "Capabilities",
    "Capability",
    "FrontEnd",
    "KernelError",
    "KernelHost",
    "KernelWarning",
    "NoStdinError",
    "Where",
    "ask_text",
    "current_host",
    "in_kernel",
    "main_loop",
    "probe",
    "run",
    "view_loop",
]
