"""Whatever the user's code gives or raises, the harness gets an answer and the turn ends."""

import math
from dataclasses import dataclass
from types import MappingProxyType

import pydantic
import pytest
from google.antigravity import types
from google.antigravity.hooks import hooks, policy

import agy_nb as agy
from agy_nb.protocol.events import TurnState
from agy_nb.testing import call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

HALF = "broken \ud800"
"""Half a surrogate pair, which UTF-8 cannot hold."""
WHOLE = "broken \ufffd"
SCRIPT = [call("measure", values=[1]), say("ok")]


class MuteError(Exception):
    """Cannot say what it is."""

    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


class GarbledError(Exception):
    """Says what UTF-8 cannot hold."""

    def __repr__(self):
        return HALF


ERRORS = [ValueError(HALF), MuteError(), GarbledError(HALF)]
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


@pytest.fixture
async def runtime():
    """Give a runtime in which a turn that hangs is soon out of time."""
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0, chat_timeout=10)) as runtime:
        yield runtime


@pytest.fixture
def measured():
    return []


@pytest.fixture
def measure(measured):
    def measure(values: list) -> str:
        """Measure values."""
        measured.append(values)
        return f"measured {values}"

    return measure


def heard(model):
    return model.requests[1].tool_results[0].text


# --- what hooks give -----------------------------------------------------------------------


async def test_reason_of_a_denied_turn(told):
    @hooks.pre_turn
    async def deny(prompt):
        return types.HookResult(allow=False, message=HALF)

    response, *_ = await told([say("never")], hooks=[deny])
    assert response.state is TurnState.DENIED
    with pytest.raises(agy.TurnDeniedError, match=WHOLE):
        await response.text()


async def test_reason_of_a_denied_call(told, measure, measured):
    @hooks.pre_tool_call_decide
    async def deny(tool_call):
        return types.HookResult(allow=False, message=HALF)

    response, model, _ = await told(SCRIPT, tools=[measure], hooks=[deny])
    assert (response.partial_text, measured) == ("ok", [])
    assert WHOLE in heard(model)


@dataclass
class Range:
    high: float


class Label(pydantic.BaseModel):
    text: str


@pytest.mark.parametrize(
    ("changed", "arrives"),
    [
        (HALF, WHOLE),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        ({HALF: math.inf}, {WHOLE: "Infinity"}),
        ((math.inf,), ["Infinity"]),
        (Range(math.inf), {"high": "Infinity"}),
        (Label(text=HALF), {"text": WHOLE}),
        (MappingProxyType({"high": math.inf}), {"high": "Infinity"}),
    ],
    ids=repr,
)
async def test_changed_arguments(told, measure, measured, changed, arrives):
    @hooks.pre_tool_call_decide
    async def change(tool_call):
        return types.HookResult(allow=True, modified_args={"values": [changed]})

    response, *_ = await told(SCRIPT, tools=[measure], hooks=[change])
    assert (response.partial_text, measured) == ("ok", [[arrives]])


class Unprintable:
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize("changed", [10**400, Unprintable()], ids=["huge", "unprintable"])
async def test_arguments_that_nothing_can_stand_for_deny_the_call(told, measure, measured, changed):
    @hooks.pre_tool_call_decide
    async def change(tool_call):
        return types.HookResult(allow=True, modified_args={"values": [changed]})

    response, *_ = await told(SCRIPT, tools=[measure], hooks=[change])
    assert (response.partial_text, measured) == ("ok", [])
    assert [result.denied for result in response.tool_results] == [True]


async def test_reason_to_go_on(told):
    class OnceMore(hooks.StopHook):
        async def run(self, context, data):
            if data.continuation_count:
                return types.StopHookResult()
            return types.StopHookResult(decision=types.StopDecision.CONTINUE, reason=HALF)

    response, model, _ = await told([say("one"), say("two")], hooks=[OnceMore()])
    assert response.partial_text == "one\n\ntwo"
    assert WHOLE in model.requests[1].user_texts[-1]


async def test_words_for_a_tools_error(told):
    def measure(values: list) -> str:
        """Fail."""
        raise ValueError("no ruler")

    class Reworded(hooks.OnToolErrorHook):
        async def run(self, context, data):
            return HALF

    response, model, _ = await told(SCRIPT, tools=[measure], hooks=[Reworded()])
    assert response.partial_text == "ok"
    assert WHOLE in heard(model)


QUESTION = {"question": "Which colour?", "options": ["red", "blue"], "is_multi_select": False}
ASKING = types.CapabilitiesConfig(
    agent_behavior=types.AgentBehavior.INTERACTIVE,
    enabled_tools=[types.BuiltinTools.ASK_QUESTION],
)


async def test_answer_to_a_question(told):
    class Answering(hooks.OnInteractionHook):
        async def run(self, context, data):
            answer = types.QuestionResponse(freeform_response=HALF)
            return types.QuestionHookResult(responses=[answer])

    script = [call("ask_question", questions=[QUESTION]), say("ok")]
    settings = {"capabilities": ASKING}
    response, model, _ = await told(script, hooks=[Answering()], settings=settings)
    assert response.partial_text == "ok"
    assert WHOLE in heard(model)


# --- what is raised ------------------------------------------------------------------------


@each_error
async def test_pre_turn_hook_that_raises_denies_the_turn(told, error):
    @hooks.pre_turn
    async def fails(prompt):
        raise error

    response, *_ = await told([say("never")], hooks=[fails])
    assert response.state is TurnState.DENIED
    with pytest.raises(agy.TurnDeniedError, match=f"the hook failed: {type(error).__name__}"):
        await response.text()


@each_error
async def test_hook_on_a_call_that_raises_denies_it(told, measure, measured, error):
    @hooks.pre_tool_call_decide
    async def fails(tool_call):
        raise error

    response, model, _ = await told(SCRIPT, tools=[measure], hooks=[fails])
    assert (response.partial_text, measured) == ("ok", [])
    assert type(error).__name__ in heard(model)


@each_error
@pytest.mark.parametrize("kind", ["handler", "condition"])
async def test_policy_that_raises_denies_the_call(told, measure, measured, error, kind):
    def fails(*_args):
        raise error

    rules = {
        "handler": policy.ask_user("measure", handler=fails),
        "condition": policy.allow("measure", when=fails),
    }
    response, model, _ = await told(SCRIPT, tools=[measure], policies=[rules[kind]])
    assert (response.partial_text, measured) == ("ok", [])
    assert f"the policy failed: {type(error).__name__}" in heard(model)


@each_error
async def test_approval_handler_that_raises_denies_the_call(told, measure, measured, error):
    def fails(request):
        raise error

    response, model, _ = await told(SCRIPT, tools=[measure], ask_user=fails)
    assert (response.partial_text, measured) == ("ok", [])
    assert f"the approval handler failed: {type(error).__name__}" in heard(model)


@each_error
async def test_tool_that_raises_has_an_error(told, error):
    def measure(values: list) -> str:
        """Fail."""
        raise error

    response, model, _ = await told(SCRIPT, tools=[measure])
    assert response.partial_text == "ok"
    assert (WHOLE if not isinstance(error, MuteError) else "MuteError") in heard(model)


@pytest.mark.parametrize(
    "result",
    [HALF, math.inf, {HALF: math.nan}, Unprintable(), {"values": [Unprintable()]}],
    ids=["half", "inf", "nan", "unprintable", "within"],
)
async def test_tool_with_a_result_that_json_cannot_hold(told, result):
    def measure(values: list):
        """Measure values."""
        return result

    response, model, _ = await told(SCRIPT, tools=[measure])
    assert response.partial_text == "ok"
    assert len(model.requests) == 2
