"""All modules of the package that a pytest run in this process would load."""

import importlib
import pkgutil


def load_package() -> None:
    """Load them now: a run in this process forgets what it was the first to load.

    A second copy of these modules would have classes and patches of its own.
    """
    importlib.import_module("vcr")
    for layer in ("analysis", "cassette", "kernel", "protocol", "runtime", "sdk", "testing"):
        package = importlib.import_module(f"agy_nb.{layer}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
