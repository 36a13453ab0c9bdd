"""Sets in results of tools, whose order differs in each process."""

import dataclasses
import os
import subprocess
import sys

import pydantic
import pytest

import agy_nb as agy
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.sdk.patches.user_code.ordered_sets import with_ordered_sets
from agy_nb.testing import ScriptedModel, call, say


class Found(pydantic.BaseModel):
    tags: set[str]


@dataclasses.dataclass
class Kept:
    tags: frozenset[str]


@pytest.mark.parametrize(
    ("value", "ordered"),
    [
        ({"b", "a"}, ["a", "b"]),
        ({3, 10, 2}, [2, 3, 10]),
        ({"b", 1}, [1, "b"]),
        ({None, True}, [None, True]),
        ({(2, "b"), (1, "a")}, [[1, "a"], [2, "b"]]),
        ({"x": [{"b", "a"}]}, {"x": [["a", "b"]]}),
        (Found(tags={"b", "a"}), {"tags": ["a", "b"]}),
        (Kept(tags=frozenset({"b", "a"})), {"tags": ["a", "b"]}),
        ([Kept(tags=frozenset({"b", "a"}))], [{"tags": ["a", "b"]}]),
    ],
)
def test_sets_become_sorted_lists(value, ordered):
    assert with_ordered_sets(value) == ordered


@pytest.mark.parametrize("value", ["text", 1, None, [1, [2]], {"a": (1,)}, Found, ...])
def test_value_without_sets_is_the_same_object(value):
    assert with_ordered_sets(value) is value


PROGRAM = """
import json
from agy_nb.sdk.patches.user_code.ordered_sets import with_ordered_sets
from agy_nb.testing import ScriptedModel, call, say
words = {"Rome", "Oslo", "Bern", "Kyiv", "Lima"}
print(json.dumps(with_ordered_sets({"cities": words})))
print(words)
"""


@pytest.mark.slow
def test_result_and_text_of_two_processes_are_the_same():
    def run(seed):
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    (one, one_text), (other, other_text) = run("1"), run("2")
    assert one == other
    assert one_text != other_text  # a tool that returns it as text, or raises it
    assert Comparer().first(f"not in {one_text}!", f"not in {other_text}!") is None


@pytest.mark.parametrize("text", ["{a, b}", "{'a'", "{'a': 1}", "f{x}", "{" * 1000])
def test_braces_that_are_no_set_are_compared_as_they_are(text):
    assert Comparer().first(text, text[::-1]) is not None or text == text[::-1]


@pytest.mark.real
@pytest.mark.blocking_allowed
async def test_model_gets_the_set_of_a_tool_in_order():
    words = {"Rome", "Oslo", "Bern", "Kyiv", "Lima", "Cairo", "Quito", "Paris"}

    def cities() -> set[str]:
        """List the cities."""
        return words

    async with ScriptedModel([call("cities"), say("Done.")]) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config(), tools=[cities])
        await agent.chat_text("List them")
        assert model.requests[-1].tool_results[0].value == sorted(words)
