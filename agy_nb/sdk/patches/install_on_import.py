"""Replace the SDK's way to its harness as soon as a child process imports the SDK.

Only in a child of a process that uses a cassette, see `process.inherited_cassette`. This module
imports nothing heavy, because each such child imports it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from agy_nb.sdk.process import refused_harness

_PATCHED = "google.antigravity.connections.local.local_connection"


def watch_imports() -> None:
    """Have agents of the SDK alone refused as well, once the SDK is imported."""
    refused_harness.forget()
    sys.meta_path.insert(0, _InstallAfterImport())


class _InstallAfterImport:
    """Replaces the SDK's way to its harness when the SDK's module has been imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        del path, target
        if name != _PATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        run = loader.exec_module

        def run_and_install(module: ModuleType) -> None:
            run(module)
            from agy_nb.sdk.patches import harness_start

            harness_start.install()

        loader.exec_module = run_and_install
        return spec
