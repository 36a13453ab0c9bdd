"""The `repr` of an instance of each public class is one line of at most 100 characters."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import pytest

import agy_nb as agy
from agy_nb.analysis import Prices
from agy_nb.analysis.live.priced_usage import PricedUsage
from agy_nb.analysis.metrics.turn_cost import Cost
from agy_nb.protocol.values import Message, TokenUsage
from agy_nb.testing import (
    EchoModel,
    FaultProxy,
    HttpError,
    ModelRequest,
    ProxiedConnection,
    ScriptedModel,
    call,
)
from tests.contract import surface

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 100
LONG = "words and words " * 100
NESTED = {"path": LONG, "items": [LONG] * 50}
USAGE = TokenUsage(input_tokens=10**12, output_tokens=10**12, total_tokens=2 * 10**12)
LIMITS: dict[str, Any] = {
    field.name: 123.456
    for field in dataclasses.fields(agy.RuntimeConfig)
    if field.type in ("float", "float | None", float, float | None)
}
CASSETTE = "cassettes/plain_chat"


def classes() -> list[type]:
    """The public classes; the repr of an error is its whole message, as everywhere in Python."""
    more = (Cost, Message, PricedUsage, TokenUsage)
    found = [each.value for each in surface.names() if inspect.isclass(each.value)]
    return [
        each
        for each in (*found, *more)
        if not issubclass(each, BaseException | enum.Enum)
        and not (inspect.isabstract(each) or getattr(each, "_is_protocol", False))
    ]


def filled(cls: Any) -> Any:
    """Make a data class whose fields have long values."""
    hints = get_type_hints(cls, include_extras=False)
    return cls(**{
        field.name: value(hints[field.name]) for field in dataclasses.fields(cls) if field.init
    })  # fmt: skip


def value(hint: Any) -> Any:
    """Make a long value of a type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return args[-1]
    if dataclasses.is_dataclass(hint):
        return filled(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return next(iter(hint))
    simple = {str: LONG, int: 503, float: 12345.678, bool: True, bytes: b"x" * 1000}
    if hint in simple:
        return simple[hint]
    if origin is tuple:
        return (value(args[0]),) * 20
    if origin in (list, dict) or "Mapping" in str(origin) or "Sequence" in str(origin):
        return NESTED if origin is not list else [LONG] * 20
    kinds = [each for each in args if each is not type(None)]
    return value(kinds[0]) if kinds else LONG


AGENTS: dict[str, Callable[[Any, Any], Any]] = {
    "Agent": lambda agent, _: agent,
    "Browser": lambda _, __: agy.browse("cassettes"),
    "Response": lambda _, response: response,
    "ResponseStream": lambda _, response: response.text_stream(),
    "Runtime": lambda agent, _: agent.runtime,
    "SyncAgent": lambda agent, _: agent.sync,
    "Tables": lambda agent, _: agent.tables,
    "ChatPanel": lambda agent, _: agent.chat_ui(),
    "UsageView": lambda agent, _: agent.usage_ui(),
}
"""Objects that need an agent or an event loop."""

OBJECTS: dict[str, Callable[[], Any]] = {
    "Approver": agy.widgets.approve,
    "DaskSessions": lambda: agy.load(CASSETTE, engine="dask"),
    "EchoModel": EchoModel,
    "FaultProxy": lambda: FaultProxy("http://127.0.0.1:1"),
    "HttpError": lambda: HttpError(status=503, message=LONG, reason=LONG, body=b"x" * 1000),
    "ModelRequest": lambda: filled(ModelRequest),
    "ModelTurn": lambda: call("get_weather", NESTED).having(delay_s=1.5, service_tier=LONG),
    "PricedUsage": lambda: PricedUsage.of(USAGE, lambda: Cost(1e9, is_lower_bound=True)),
    "Prices": lambda: Prices(own={f"model-{n}": (1.0, 1.0, 1.0) for n in range(50)}),
    "ProxiedConnection": lambda: ProxiedConnection(None, 1),
    "RecordedChat": lambda: agy.widgets.chat_ui(CASSETTE),
    "RuntimeConfig": lambda: agy.RuntimeConfig(**LIMITS),
    "ScriptedModel": lambda: ScriptedModel([call("get_weather", NESTED)]),
    "Sessions": lambda: agy.load(CASSETTE),
    "TokenUsage": lambda: USAGE,
    "use_cassette": lambda: agy.use_cassette("cassettes/" + "/".join(["long" * 20] * 10)),
}
"""Objects of classes whose fields have rules."""


def test_the_lists_have_no_leftovers():
    names = {each.__name__ for each in classes()}
    assert {*AGENTS, *OBJECTS} <= names


def must_be_short(shown: str) -> None:
    assert len(shown) <= WIDTH, shown
    assert "\n" not in shown
    assert " at 0x" not in shown


PLAIN = [each for each in classes() if each.__name__ not in AGENTS]


@pytest.mark.parametrize("cls", [pytest.param(each, id=each.__name__) for each in PLAIN])
def test_the_repr_of_a_public_class_is_one_short_line(cls):
    make = OBJECTS.get(cls.__name__, partial(filled, cls))
    must_be_short(repr(make()))


@pytest.mark.real
@pytest.mark.blocking_allowed  # views and tables are imported on their first use
async def test_the_repr_of_an_agent_and_all_that_it_gives_is_one_short_line():
    async with EchoModel() as model, await agy.create_agent(model.config()) as agent:
        response = await (await agent.chat(LONG))
        for pick in AGENTS.values():
            must_be_short(repr(pick(agent, response)))
