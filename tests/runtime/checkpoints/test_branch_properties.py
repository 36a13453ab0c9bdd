"""Random conversations and fork points on the real harness, against a run without branches."""

import json
import random
import re

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]
RUNS_OF_THEIR_OWN = re.compile(r"local time is: \S+|[0-9a-f]{32}")


def look_up(number: int) -> str:
    """Look something up."""
    return f"found-{int(number)}"


def answer(request):
    """Use the tool for every third prompt, and answer with what is known."""
    number = int(re.findall(r"prompt-(\d+)", "\n".join(request.user_texts))[-1])
    if number % 3 == 0 and f"found-{number}" not in results(request):
        return call("look_up", number=number)
    return say(f"answer-{number} " + "word " * (number * 7 % 40))


def results(request) -> list[str]:
    """The results of all calls of the conversation, each once."""
    return list(dict.fromkeys(re.findall(r"found-\d+", json.dumps(request.body["contents"]))))


def said(request) -> list[str]:
    """Everything in the request that both runs must have in common."""
    return [RUNS_OF_THEIR_OWN.sub("", text) for text in request.user_texts]


def prompts(request) -> list[int]:
    return [int(n) for n in re.findall(r"prompt-(\d+)", "\n".join(request.user_texts))]


class Conversation:
    """What a branch must know: the numbers of its prompts."""

    def __init__(self, agent, known):
        self.agent, self.known = agent, known


async def converse(config, model, numbers, branches, dice):
    """Go through a conversation, and fork and rewind its forks in between; return the requests."""
    runtime = agy.runtime()
    agent = await runtime.create_agent(config, tools=[look_up])
    original, others, fresh, done = [], [], iter(range(100, 200)), []
    for number in numbers:
        before = len(model.requests)
        await agent.chat_text(f"prompt-{number}")
        original += model.requests[before:]
        done.append(number)
        if not branches:
            continue
        for _ in range(dice.randint(0, 2)):
            parent = dice.choice([Conversation(agent, done), *others])
            turn = dice.randint(0, len(parent.known))
            others.append(Conversation(await parent.agent.fork(turn), parent.known[:turn]))
        if others and dice.random() < 0.4:
            other = dice.choice(others)
            turn = dice.randint(0, len(other.known))
            await other.agent.rewind(turn)
            del other.known[turn:]
        for other in others[-2:]:
            prompt = next(fresh)
            await other.agent.chat_text(f"prompt-{prompt}")
            other.known.append(prompt)
            assert prompts(model.requests[-1]) == other.known
            assert results(model.requests[-1]) == [f"found-{n}" for n in other.known if n % 3 == 0]
    return original


@pytest.mark.parametrize("seed", range(3))
async def test_branches_know_their_turns_and_the_original_is_undisturbed(seed):
    dice = random.Random(seed)
    numbers = list(range(1, dice.randint(3, 6)))
    requests = {}
    for branches in (False, True):
        await agy.runtime().close()
        runtime = agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
        async with ScriptedModel(answer) as model:
            found = await converse(model.config(), model, numbers, branches, dice)
            requests[branches] = [said(request) for request in found]
            tables = runtime.tables
            calls = tables.model_calls
            assert len(calls) == len(model.requests)
            tree = tables.branches()
            assert tree["total_tokens"].sum() == calls["total_tokens"].sum()
            assert tables.usage(by=[])["total_tokens"].sum() == calls["total_tokens"].sum()
        await runtime.close()
    assert requests[True] == requests[False]
