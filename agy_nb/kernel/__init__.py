"""A guest in the kernel: everything that touches ipykernel.

Importing this imports neither IPython nor ipykernel, and works outside a kernel.

Attributes:
    run: Block until a coroutine is done, with the kernel alive.
    guest: The guest of this process: busy(), on_interrupt(), at_exit().
    probe: What works here.
    ask_text: Ask a person for a line of text.
"""

from __future__ import annotations

from agy_nb.kernel.capabilities import Capabilities, Capability, FrontEnd, probe
from agy_nb.kernel.environment import in_kernel, main_loop
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
]
