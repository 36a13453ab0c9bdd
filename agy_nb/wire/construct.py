"""Frozen data made fast: a reader makes one or two events per frame.

The `__init__` of a frozen data class sets each field with `object.__setattr__`, which takes six
times as long as an ordinary assignment. So the fields are assigned while the object still belongs
to a subclass that is not frozen; then the object gets its own class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


def constructor_of(cls: Callable[P, T]) -> Callable[P, T]:
    """Return a faster constructor of the objects of a frozen data class with slots.

    Args:
        cls: The class. All its fields are keyword-only.
    """
    frozen = cast("Any", cls)
    thawed = {name: getattr(object, name) for name in ("__setattr__", "__delattr__")}
    draft = type(frozen.__name__, (frozen,), {"__slots__": (), **thawed})
    names: dict[str, Any] = {"new": object.__new__, "draft": draft, "frozen": frozen}
    parameters, body = [], []
    for field in fields(frozen):
        name, value = field.name, field.name
        if field.default is not MISSING:
            names[f"default_{name}"] = field.default
            parameters.append(f"{name}=default_{name}")
        elif field.default_factory is not MISSING:
            names[f"factory_{name}"] = field.default_factory
            parameters.append(f"{name}=None")
            value = f"factory_{name}() if {name} is None else {name}"
        else:
            parameters.append(name)
        body.append(f" made.{name} = {value}\n")
    source = (
        f"def construct(*, {', '.join(parameters)}):\n made = new(draft)\n{''.join(body)}"
        " made.__class__ = frozen\n return made\n"
    )
    exec(source, names)  # noqa: S102 - of field names only, as `dataclass` itself does it
    return cast("Callable[P, T]", names["construct"])
