"""Give child processes environment variables that this process does not have.

| start of the child | how it gets the variables |
| --- | --- |
| `subprocess`, `asyncio.create_subprocess_exec`, `os.popen` | `Popen.__init__` adds them to `env` |
| `os.posix_spawn`, `os.execve`, `os.spawnve` and others that take an environment | the same |
| `os.system`, `os.execv`, `os.spawnv`, `multiprocessing`, libraries in C | by inheritance |

Rule 1: `os.environ` does not change, so the code of this process sees what the user has set. The
children inherit the environment of the operating system's process, in which the variables are.
Rule 2: at the end, each variable is again as `os.environ` has it. So a value that the block's code
has set stays.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Change: TypeAlias = Callable[[Mapping[str, str]], dict[str, str]]
"""Returns the variables to add to an environment."""

_ENV_OF_POPEN = list(inspect.signature(subprocess.Popen).parameters).index("env")
_ENV_OF_OTHERS = 2
"""The place of `env` among the arguments of the functions below."""
_FUNCTIONS = ("posix_spawn", "posix_spawnp", "execve")
"""Functions of `os` that take an environment. `execle`, `spawnve` and others call `execve`."""


@contextlib.contextmanager
def changed(change: Change) -> Iterator[None]:
    """Add variables to the environment of each child that starts while the block lasts.

    Args:
        change: Returns the variables for the environment that a child would have.
    """
    start: Any = subprocess.Popen.__init__
    functions = {name: getattr(os, name) for name in _FUNCTIONS if hasattr(os, name)}
    added = change(os.environ)
    subprocess.Popen.__init__ = _popen(start, change)  # type: ignore[method-assign]
    for name, function in functions.items():
        setattr(os, name, _with_environment(function, change))
    for name, value in added.items():
        os.putenv(name, value)
    try:
        yield
    finally:
        for name in added:
            _restore(name)
        for name, function in functions.items():
            setattr(os, name, function)
        subprocess.Popen.__init__ = start  # type: ignore[method-assign]


def _restore(name: str) -> None:
    value = os.environ.get(name)
    if value is None:
        os.unsetenv(name)
    else:
        os.putenv(name, value)


def _popen(start: Callable[..., None], change: Change) -> Callable[..., None]:
    def init(popen: Any, *args: Any, **options: Any) -> None:
        if len(args) <= _ENV_OF_POPEN:
            given = options.get("env")
            options["env"] = _with(os.environ if given is None else given, change)
        start(popen, *args, **options)

    return init


def _with_environment(function: Callable[..., Any], change: Change) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        if options.get("env") is not None:
            options["env"] = _with(options["env"], change)
        elif len(args) > _ENV_OF_OTHERS and args[_ENV_OF_OTHERS] is not None:
            new = _with(args[_ENV_OF_OTHERS], change)
            args = (*args[:_ENV_OF_OTHERS], new, *args[_ENV_OF_OTHERS + 1 :])
        return function(*args, **options)

    return call


def _with(environ: Mapping[Any, Any], change: Change) -> dict[str, str]:
    texts = {os.fsdecode(name): os.fsdecode(v) for name, v in environ.items()}  # or bytes
    return texts | change(texts)
