"""Run agents: the command loop, turns, responses, approvals and limits.

`agy_nb.runtime` is both this package and the function `agy.runtime()`. A package and a function of
the same name share one attribute of their parent, so the package itself is made callable.
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
        """Return the default runtime; see `agy_nb.runtime.default_runtime.runtime`."""
        from agy_nb.runtime.default_runtime import runtime

        return runtime(config)


sys.modules[__name__].__class__ = _CallablePackage
