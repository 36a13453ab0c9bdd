"""The command loop and what stands around it: quota, approvals, turns, responses, agents.

`agy_nb.runtime` is this package and, called, this kernel's runtime: Python gives a package and a
name in its parent one and the same attribute.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.runtime.runtime_config import RuntimeConfig


class _CallablePackage(ModuleType):
    def __call__(self, config: RuntimeConfig | None = None) -> Runtime:
        """This kernel's runtime; see `agy_nb.runtime.default_runtime.runtime`."""
        from agy_nb.runtime.default_runtime import runtime

        return runtime(config)


sys.modules[__name__].__class__ = _CallablePackage
