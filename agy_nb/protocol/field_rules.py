"""Rules for fields that import pydantic only when a message is validated.

Importing pydantic takes 50 ms. Programs that only create and read messages, such as
`agy-nb harness`, do not pay for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, JsonValue
    from pydantic_core import CoreSchema

__all__ = ["FieldRule", "JsonValue"]


class FieldRule:
    """A `pydantic.Field` for use in `Annotated`.

    Args:
        rule: Arguments of `pydantic.Field`.

    Example:
        >>> from pydantic import TypeAdapter
        >>> TypeAdapter(Annotated[int, FieldRule(ge=1)]).validate_python(2)
        2
    """

    def __init__(self, **rule: Any) -> None:
        self._rule = rule

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of the type with this rule; pydantic calls this."""
        from pydantic import Field

        return handler.generate_schema(Annotated[source, Field(**self._rule)])


class _AnyJson:
    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic import JsonValue

        return handler.generate_schema(JsonValue)


if not TYPE_CHECKING:
    JsonValue: TypeAlias = Annotated[Any, _AnyJson()]
    """As pydantic's: None, a boolean, a number, a string, or a list or object of these."""
