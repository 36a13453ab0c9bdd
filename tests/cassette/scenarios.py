"""Sessions of the real SDK, each with the script of its model: what can happen, once each.

The tests record and replay them, and `scripts/record_cassettes.py` records the shipped cassettes.
A scenario gives a transcript of what its user saw; record and replay must give the same.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydantic
from google.antigravity import Agent, LocalAgentConfig, types
from google.antigravity.hooks import hooks, policy

from agy_nb.testing import ModelTurn, ScriptUsage, call, each, fail, hang, say, think
from agy_nb.testing.script.script_router import PerConversation

NO_MODEL = "http://127.0.0.1:9"
QUICK = types.RetryConfig(
    # A sleep of 0 means the default of four seconds to the harness.
    api_retry=types.ModelAPIRetryConfig(
        max_retries=2, initial_sleep_duration_ms=1, exponential_multiplier=1.0, jitter_range=0.0
    ),
    model_output_retry=types.ModelOutputRetryConfig(max_retries=1),
)


@dataclass(frozen=True)
class Setting:
    """Where a scenario plays: the model's address, and a folder of its own."""

    base_url: str
    folder: Path

    def config(self, *, allow=True, **settings: Any) -> LocalAgentConfig:
        endpoint = types.GeminiAPIEndpoint(base_url=self.base_url, api_key="scripted-key-0")
        models = [
            types.ModelTarget(name="gemini-2.5-flash", types=[kind], endpoint=endpoint)
            for kind in (types.ModelType.TEXT, types.ModelType.IMAGE)
        ]
        if allow:
            settings.setdefault("policies", [policy.allow_all()])
        for name in ("work", "save", "app"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return LocalAgentConfig(
            **{
                "models": models,
                "workspaces": [str(self.folder / "work")],
                "save_dir": str(self.folder / "save"),
                "app_data_dir": str(self.folder / "app"),
                "retry_config": QUICK,
            }
            | settings
        )


@dataclass(frozen=True)
class Scenario:
    name: str
    script: Callable[[Path], Any]
    play: Callable[[Setting], Awaitable[Any]]


SCENARIOS: dict[str, Scenario] = {}


def scenario(script):
    """Name a scenario after its function; the script may need the folder."""

    def register(play):
        def make(folder):
            return _metered(script(folder) if callable(script) else script)

        SCENARIOS[play.__name__] = Scenario(play.__name__, make, play)
        return play

    return register


async def turn(agent, prompt, on_step=None):
    """One turn as its user sees it."""
    latest, order, raised = {}, [], None
    try:
        await agent.conversation.send(prompt)
        async for step in agent.conversation.receive_steps():
            key = (step.trajectory_id, step.id)
            if key not in latest:
                order.append(key)
            latest[key] = step
            if on_step is not None:
                await on_step(step)
    except types.AntigravityCancelledError:
        raised = "cancelled"
    except (types.AntigravityConnectionError, types.AntigravityExecutionError) as error:
        raised = f"{type(error).__name__}: {error}"
    names = {}
    for trajectory, _ in order:
        names.setdefault(trajectory, len(names))
    steps = [(names[key[0]], *_shown(latest[key])) for key in order]
    usage = agent.conversation.total_usage
    return {
        # Subagents run beside the main agent: in which order their steps come is chance.
        "steps": sorted(steps, key=lambda step: json.dumps(step, default=str)),
        "raised": raised,
        "tokens": usage.total_token_count if usage else None,
        "id": bool(agent.conversation_id),
    }


def _shown(step):
    calls = [(c.name, json.dumps(c.args, sort_keys=True, default=str)) for c in step.tool_calls]
    return (
        step.depth, step.type.value, step.source.value, step.status.value, step.content,
        step.thinking, calls, step.error,
    )  # fmt: skip


def _metered(script):
    """The script with the same usage in every run: requests differ in length by chance."""
    match script:
        case ModelTurn():
            usage = ScriptUsage(prompt=100, cached=10, candidates=5, thoughts=2)
            return replace(script, usage=usage)
        case PerConversation():
            return each(_metered(script.script))
        case dict():
            return {key: _metered(value) for key, value in script.items()}
        case (matcher, inner) if not isinstance(matcher, ModelTurn):
            return (matcher, _metered(inner))
        case _:
            return [_metered(item) for item in script]


def seen(result, at):
    """A transcript as text, the same wherever it played."""
    return json.dumps(result, indent=1, default=str).replace(str(at.folder), "<here>")


async def talk(config, *prompts):
    async with Agent(config) as agent:
        return [await turn(agent, prompt) for prompt in prompts]


def get_weather(city: str) -> dict:
    """Tell the weather of a city.

    Args:
        city: The city.
    """
    return {"city": city, "sky": "sunny", "degrees": len(city)}


def broken() -> str:
    """Fail."""
    raise ValueError("no luck")


@scenario([say(["Hel", "lo"]), say("Fine.")])
async def plain_chat(at):
    return await talk(at.config(), "Say hello", "How are you?")


@scenario([think("hm, let me see") + say("Four.")])
async def thoughts(at):
    return await talk(at.config(), "2 + 2?")


@scenario(
    [
        think("two") + call("get_weather", city="Paris") + call("get_weather", city="Rome"),
        say("Sunny in both."),
    ]
)
async def host_tools(at):
    return await talk(at.config(tools=[get_weather]), "Weather in Paris and Rome?")


@scenario([call("broken"), say("A pity.")])
async def tool_raises(at):
    return await talk(at.config(tools=[broken]), "Try")


def _files(folder):
    work = folder / "work"
    return [
        call(
            "write_to_file", TargetFile=f"{work}/notes.txt", CodeContent="one\ntwo\n",
            Overwrite=True, Description="notes", IsArtifact=False, Complexity=1, EmptyFile=False,
        ),
        call("view_file", AbsolutePath=f"{work}/notes.txt"),
        say("Written and read."),
    ]  # fmt: skip


@scenario(_files)
async def builtin_file_tools(at):
    return await talk(at.config(), "Take notes")


def _ask(allowed):
    async def ask(tool_call):
        return allowed

    return [policy.ask_user("get_weather", handler=ask)]


@scenario([call("get_weather", city="Oslo"), say("Sunny.")])
async def approval_granted(at):
    return await talk(at.config(tools=[get_weather], policies=_ask(True)), "Weather in Oslo?")


@scenario([call("get_weather", city="Oslo"), say("I may not.")])
async def approval_refused(at):
    return await talk(at.config(tools=[get_weather], policies=_ask(False)), "Weather in Oslo?")


@scenario([call("get_weather", city="Oslo"), call("get_weather", city="Rome"), say("Done.")])
async def policy_predicate(at):
    policies = [
        policy.deny("get_weather", when=lambda args: args.get("city") == "Oslo"),
        policy.allow_all(),
    ]
    return await talk(at.config(tools=[get_weather], policies=policies), "Weather?")


QUESTION = {"question": "Which colour?", "options": ["red", "blue"], "is_multi_select": False}


SHOP = """#!{python}
import runpy
runpy.run_path({server!r}, run_name="__main__")
"""


def _shop(folder):
    program = folder / "work" / "shop"
    program.parent.mkdir(parents=True, exist_ok=True)
    server = str(Path(__file__).parents[1] / "sdk" / "mcp_server.py")
    program.write_text(SHOP.format(python=sys.executable, server=server), encoding="utf-8")
    program.chmod(0o755)
    return [call("mcp_shop_price", item="tea"), say("Three euros.")]


@scenario(_shop)
async def mcp_server(at):
    shop = types.McpStdioServer(
        name="shop",
        force_all_tools_eager=True,
        command=str(at.folder / "work" / "shop"),
        args=[],
    )
    return await talk(at.config(mcp_servers=[shop]), "What is the price of tea?")


class Answering(hooks.OnInteractionHook):
    async def run(self, context, data):
        return types.QuestionHookResult(
            responses=[types.QuestionResponse(selected_option_ids=["2"])]
        )


@scenario([call("ask_question", questions=[QUESTION]), say("Blue it is.")])
async def ask_question(at):
    capabilities = types.CapabilitiesConfig(
        agent_behavior=types.AgentBehavior.INTERACTIVE,
        enabled_tools=[types.BuiltinTools.ASK_QUESTION],
    )
    return await talk(at.config(hooks=[Answering()], capabilities=capabilities), "Pick")


def _subagents(_folder):
    # The second one takes longer: which one comes back first is no chance.
    tasks = [
        {"TypeName": "researcher", "Role": "Researcher", "Prompt": f"look into {what}"}
        for what in ("cats", "dogs")
    ]
    weather = call("get_weather", city="Bern")
    return [
        ("cats", [weather, say("They purr.", delay_s=0.2)]),
        ("dogs", [weather, say("They bark.", delay_s=0.6)]),
        ("Ask around", [call("invoke_subagent", Subagents=tasks), say("Wait."), say("Cats done."),
                        say("All done.")]),
    ]  # fmt: skip


@scenario(_subagents)
async def subagents(at):
    researcher = types.SubagentConfig(
        name="researcher", description="Looks things up.", system_instructions="You research.",
        tools=[get_weather],
    )  # fmt: skip
    (result,) = await talk(at.config(subagents=[researcher], tools=[get_weather]), "Ask around")
    return {"tokens": result["tokens"], "raised": result["raised"]}


@scenario([say("One, ") + hang(), say("Here again.")])
async def cancel(at):
    async with Agent(at.config()) as agent:

        async def stop(step):
            if step.content_delta == "One, ":
                await agent.conversation.connection.cancel()

        first = await turn(agent, "Count", on_step=stop)
        return [first["raised"], await turn(agent, "Are you there?")]


@scenario([fail(429, retry_after=0), say("After all.")])
async def quota(at):
    return await talk(at.config(), "Hello")


@scenario([say("", finish_reason="SAFETY")] * 3)
async def safety(at):
    return await talk(at.config(), "Something bad")


@scenario([say("It goes on and", finish_reason="MAX_TOKENS")] * 3)
async def token_limit(at):
    return await talk(at.config(), "Tell me all")


@scenario([fail(401)])
async def unauthorised(at):
    return await talk(at.config(), "Hello")


class Answer(pydantic.BaseModel):
    city: str
    degrees: int


@scenario([call("finish", city="Oslo", degrees=4)])
async def structured_output(at):
    async with Agent(at.config(response_schema=Answer)) as agent:
        result = await turn(agent, "How warm is it?")
        return [result, agent.conversation.get_last_structured_output()]


@scenario([say("Nice to meet you."), say("Ada, of course.")])
async def resume(at):
    async with Agent(at.config()) as agent:
        first = await turn(agent, "My name is Ada")
        conversation_id = agent.conversation_id
    config = at.config(conversation_id=conversation_id)
    async with Agent(config) as agent:
        history = [step.content for step in agent.conversation.history]
        return [first, history, await turn(agent, "What is my name?")]


def _every_hook(seen):
    def note(kind, result=None):
        class Hook(kind):
            async def run(self, context, data):
                await asyncio.sleep(0)
                seen.append((kind.__name__, type(data).__name__))
                return result

        return Hook()

    allow = types.HookResult(allow=True)
    return [
        note(hooks.OnSessionStartHook),
        note(hooks.OnSessionEndHook),
        note(hooks.PreTurnHook, allow),
        note(hooks.PostTurnHook),
        note(hooks.PreToolCallDecideHook, allow),
        note(hooks.PostToolCallHook),
        note(hooks.OnToolErrorHook, "Try something else."),
        note(hooks.StopHook, types.StopHookResult(decision=types.StopDecision.ALLOW_STOP)),
    ]


@scenario([call("get_weather", city="Rome") + call("broken"), say("Well.")])
async def every_hook(at):
    seen = []
    config = at.config(tools=[get_weather, broken], hooks=_every_hook(seen))
    result = await talk(config, "Weather?")
    return [result, sorted(seen)]


@scenario({"north": [say("Cold.")], "south": [say("Warm.")], "east": [say("Windy.")]})
async def several_agents(at):
    async def one(name):
        here = Setting(at.base_url, at.folder / name)
        return await talk(here.config(), f"How is the {name}?")

    return await asyncio.gather(one("north"), one("south"), one("east"))


PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15"
    b"\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00"
    b"\x00\x00IEND\xaeB`\x82"
)


@scenario([say("A red dot.")])
async def multimodal(at):
    picture = types.Image(data=PIXEL, mime_type="image/png", description="a dot")
    return await talk(at.config(), ["What is this?", picture])


@scenario([say(f"Answer {n}.") for n in range(200)])
async def two_hundred_turns(at):
    return await talk(at.config(), *[f"Question {n}" for n in range(200)])
