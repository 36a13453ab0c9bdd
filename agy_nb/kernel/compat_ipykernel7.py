"""Replies that do not make the kernel deaf, on ipykernel 7.0 to 7.3.

These send replies straight to the socket that a stream reads requests from. Sending uses up the
wake-up of a request that has just come, so that the stream never looks: the kernel answers nothing
any more. A view sends its first message when the cell that shows it ends, which is that moment.
https://github.com/ipython/ipykernel/pull/1529 mended it in 7.4.
"""

from __future__ import annotations

from typing import Any

MENDED = (7, 4)


def mend_replies(kernel: Any) -> bool:  # noqa: ANN401 - ipykernel's kernel
    """Have the kernel look for requests whenever it has sent a reply.

    Args:
        kernel: The kernel of this process.

    Returns:
        Whether it needed that.

    Raises:
        AttributeError: A private hook is missing in this kernel.
    """
    from ipykernel._version import version_info

    thread = getattr(kernel, "shell_channel_thread", None)
    if thread is None or version_info[:2] >= MENDED:
        return False
    manager, requests = thread.manager, kernel.shell_stream
    send, look = manager._send_on_shell_channel, requests._rebuild_io_state
    replies = manager._main_to_shell_channel.to_stream

    def send_and_look(message: Any) -> None:  # noqa: ANN401 - ZeroMQ frames
        send(message)
        look()

    def take_over() -> None:
        manager._send_on_shell_channel = send_and_look  # what subshells will use
        replies.on_recv(send_and_look, copy=False)

    thread.io_loop.add_callback(take_over)  # the sockets belong to that thread
    return True
