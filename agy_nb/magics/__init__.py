"""IPython magics, registered by `%load_ext agy_nb`."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Register the magics; `%load_ext agy_nb` calls this."""
    from agy_nb.magics.agent_magics import AgentMagics
    from agy_nb.magics.cassette_magic import CassetteMagics

    shell.register_magics(AgentMagics, CassetteMagics)
