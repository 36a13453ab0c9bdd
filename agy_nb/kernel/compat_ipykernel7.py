"""Work around two faults of ipykernel 7.

Lost requests. Versions 7.0 to 7.3 send replies directly to the socket from which a stream reads
requests. Sending consumes the wake-up of a request that has just arrived. The stream does not read
that request, and the kernel stops answering. A view sends its first message when its cell ends,
which is when the kernel sends a reply. https://github.com/ipython/ipykernel/pull/1529 fixed it in
7.4.

Failed displays. Version 7.4 marks a cell as failed if its display raised an error. It forgets the
mark at the next cell only if that cell does not await, so a cell that awaits is reported as failed.
"""

from __future__ import annotations

from typing import Any

FIXED_IN = (7, 4)


def fix_replies(kernel: Any) -> bool:
    """Make the kernel look for requests after each reply that it sends.

    Args:
        kernel: The kernel of this process.

    Returns:
        Whether this version of ipykernel needs the fix.

    Raises:
        AttributeError: A private hook is missing in this kernel.
    """
    from ipykernel._version import version_info

    thread = getattr(kernel, "shell_channel_thread", None)
    if thread is None or version_info[:2] >= FIXED_IN:
        return False
    manager, requests = thread.manager, kernel.shell_stream
    send, look = manager._send_on_shell_channel, requests._rebuild_io_state
    replies = manager._main_to_shell_channel.to_stream

    def send_and_look(message: Any) -> None:
        send(message)
        look()

    def take_over() -> None:
        manager._send_on_shell_channel = send_and_look  # what subshells will use
        replies.on_recv(send_and_look, copy=False)

    thread.io_loop.add_callback(take_over)  # the sockets belong to that thread
    return True


def forget_failed_displays(shell: Any) -> None:
    """Forget at the start of each cell that the display of an earlier cell failed.

    Args:
        shell: The IPython shell of this kernel.
    """

    def forget(_info: object) -> None:
        if getattr(shell, "_last_traceback_during_displayhook", False):
            shell._last_traceback_during_displayhook = False
            shell.displayhook.msg = None  # the display that failed did not end

    shell.events.register("pre_run_cell", forget)
