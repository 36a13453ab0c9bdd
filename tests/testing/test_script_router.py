"""Which turn answers which call."""

from __future__ import annotations

import pytest

from agy_nb.testing import (
    InvalidScriptError,
    NoScriptError,
    ScriptCrashedError,
    ScriptExhaustedError,
    each,
    in_prompt,
    in_system,
    offers_tool,
    say,
)
from agy_nb.testing.model_request import ModelRequest
from agy_nb.testing.model_server import GEMINI
from agy_nb.testing.script.script_router import ScriptRouter


def asked(prompt="hi", conversation="aaaaaaaa", number=1, system="", tools=()):
    body = {
        "systemInstruction": {"parts": [{"text": f"{system}\nConversation ID: {conversation}\n"}]},
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "tools": [{"functionDeclarations": [{"name": name} for name in tools]}],
    }
    return ModelRequest(
        number=number,
        path="/",
        model="m",
        headers={},
        body=body,
        streaming=True,
        size=1,
        dialect=GEMINI,
    )


async def answers(router, *requests):
    return [(await router.turn(request)).text for request in requests]


async def test_turns_are_played_in_order_whoever_asks():
    router = ScriptRouter([say("1"), say("2"), say("3")])
    requests = (asked(conversation="aaaaaaaa"), asked(conversation="bbbbbbbb"), asked())
    assert await answers(router, *requests) == ["1", "2", "3"]


async def test_one_turn_answers_every_call():
    assert await answers(ScriptRouter(say("again")), *[asked()] * 3) == ["again"] * 3


async def test_a_function_answers_every_call():
    router = ScriptRouter(lambda request: say(request.user_text.upper()))
    assert await answers(router, asked("a"), asked("b")) == ["A", "B"]


async def test_a_function_may_be_async_and_stand_among_turns():
    async def shout(request):
        return say(request.user_text.upper())

    router = ScriptRouter([say("1"), shout, say("3")])
    assert await answers(router, asked(), asked("b"), asked()) == ["1", "B", "3"]


async def test_each_conversation_keeps_the_script_it_got():
    router = ScriptRouter({"cats": [say("cat 1"), say("cat 2")], "dogs": [say("dog 1")]})
    requests = (
        asked("on cats", "aaaaaaaa"),
        asked("on dogs", "bbbbbbbb"),
        asked("something else", "aaaaaaaa"),
    )
    assert await answers(router, *requests) == ["cat 1", "dog 1", "cat 2"]


async def test_conversations_that_match_alike_share_no_script():
    router = ScriptRouter([("", [say("first")]), ("", [say("second")])])
    requests = (asked(conversation="aaaaaaaa"), asked(conversation="bbbbbbbb"))
    assert await answers(router, *requests) == ["first", "second"]


async def test_each_is_played_by_every_conversation_from_its_start():
    router = ScriptRouter(each([say("1"), say("2")]))
    requests = [asked(conversation=key) for key in ("aaaaaaaa", "bbbbbbbb", "aaaaaaaa", "bbbbbbbb")]
    assert await answers(router, *requests) == ["1", "1", "2", "2"]


async def test_matchers_look_where_they_say():
    router = ScriptRouter(
        [
            (in_prompt("cats"), [say("prompt")]),
            (in_system("researcher"), [say("system")]),
            (offers_tool("finish"), [say("tool")]),
            (lambda request: request.model == "m", [say("function")]),
        ]
    )
    requests = (
        asked("cats", "aaaaaaaa"),
        asked("x", "bbbbbbbb", system="You are a researcher."),
        asked("x", "cccccccc", tools=["finish"]),
        asked("x", "dddddddd"),
    )
    assert await answers(router, *requests) == ["prompt", "system", "tool", "function"]


async def test_the_end_of_a_script_names_the_call_that_came_after_it():
    router = ScriptRouter([say("1")])
    await router.turn(asked())
    with pytest.raises(
        ScriptExhaustedError, match=r"call 7 has no turn: the script has 1 .*'one more'"
    ) as caught:
        await router.turn(asked("one more", number=7))
    assert (caught.value.played, caught.value.request_number) == (1, 7)


async def test_a_conversation_that_nothing_matches_is_named():
    with pytest.raises(NoScriptError, match=r"'birds'.*no script matches it"):
        await ScriptRouter({"cats": [say("1")]}).turn(asked("birds"))


async def test_a_conversation_too_many_is_told_of_each():
    router = ScriptRouter({"": [say("1")]})
    await router.turn(asked(conversation="aaaaaaaa"))
    with pytest.raises(NoScriptError, match=r"other conversations use.*each\(\)"):
        await router.turn(asked(conversation="bbbbbbbb"))


async def test_a_function_that_raises_is_named_with_its_error():
    def broken(_request):
        raise KeyError("oops")

    with pytest.raises(ScriptCrashedError, match="KeyError") as caught:
        await ScriptRouter(broken).turn(asked())
    assert isinstance(caught.value.__cause__, KeyError)


INSIDE = [{"cats": "text"}, [("cats", 7)], each("text")]


async def test_a_function_that_gives_no_turn_is_named():
    with pytest.raises(ScriptCrashedError, match=r"'text'.*say\(\)"):
        await ScriptRouter(lambda _request: "text").turn(asked())


@pytest.mark.parametrize("script", ["text", b"bytes", ["text"], [say("a"), 7], 7, None, *INSIDE])
def test_what_is_no_script_is_refused_where_it_is_made(script):
    with pytest.raises(InvalidScriptError):
        ScriptRouter(script)


async def test_unused_turns_are_known():
    router = ScriptRouter({"cats": [say("1"), say("2")], "dogs": [say("3")]})
    await router.turn(asked("cats"))
    assert router.unused == (say("2"), say("3"))


def test_an_empty_script_is_a_script():
    assert ScriptRouter([]).unused == ()
