"""A guest in the kernel: everything that touches ipykernel.

Importing this imports neither IPython nor ipykernel, and works outside a kernel.

Attributes:
    run: Block until a coroutine is done, with the kernel alive.
    guest: The guest of this process: busy(), on_interrupt(), at_exit().
    probe: What works here.
    ask_text: Ask a person for a line of text.
"""

from __future__ import annotations

from agy_nb.kernel.access import in_kernel, main_loop
from agy_nb.kernel.asking import ask_text
from agy_nb.kernel.errors import CannotBlock, KernelError, KernelWarning, NoStdin
from agy_nb.kernel.interrupts import Where
from agy_nb.kernel.probing import Ability, Capabilities, FrontEnd, probe
from agy_nb.kernel.running import run
from agy_nb.kernel.visiting import Guest, guest

__all__ = [
    "Ability",
    "CannotBlock",
    "Capabilities",
    "FrontEnd",
    "Guest",
    "KernelError",
    "KernelWarning",
    "NoStdin",
    "Where",
    "ask_text",
    "guest",
    "in_kernel",
    "main_loop",
    "probe",
    "run",
]
