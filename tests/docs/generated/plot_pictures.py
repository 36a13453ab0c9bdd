"""The pictures of the plots in the gallery, made from the shipped cassettes: `make pictures`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agy_nb as agy
from agy_nb.analysis import Prices, Tables
from agy_nb.testing import ModelRequest, ModelTurn, ScriptedModel, ScriptUsage, call, say

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "docs" / "images"
SIZE, DPI = (7.0, 3.4), 110
PLOTS: dict[str, Callable[[Tables, Any], Any]] = {
    "plot_usage": lambda tables, ax: tables.plot_usage(by="order", ax=ax),
    "plot_cost": lambda tables, ax: tables.plot_cost(cumulative=True, ax=ax),
    "plot_context": lambda tables, ax: tables.plot_context(ax=ax),
    "plot_timeline": lambda tables, ax: tables.plot_timeline(ax=ax),
    "plot_branches": lambda tables, ax: tables.plot_branches(ax=ax),
}
"""Each plot of a live session by its name; that of latencies has all shipped cassettes."""


def draw(into: Path = IMAGES) -> list[Path]:
    """Draw every plot; gives the paths of the pictures."""
    session = asyncio.run(_session())
    shipped = agy.load(ROOT / "cassettes", prices=Prices(), cache=False)
    latency = _save("plot_latency", lambda tables, ax: tables.plot_latency(ax=ax), shipped, into)
    return [*(_save(name, plot, session, into) for name, plot in PLOTS.items()), latency]


def _save(name: str, plot: Callable[[Tables, Any], Any], tables: Tables, into: Path) -> Path:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
    plot(tables, ax)
    path = into / f"{name}.png"
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return path


async def look_up(place: str) -> str:
    """Look a place up."""
    await asyncio.sleep(0.3)
    return f"{place} is worth a trip"


def _answer(request: ModelRequest) -> ModelTurn:
    """Answer with more and more tokens; a prompt on a place needs a tool."""
    size = 3_000 + 1_500 * len(request.body["contents"])
    usage = ScriptUsage(prompt=size, cached=size // 2, candidates=600, thoughts=250)
    if "Rome" in request.user_text and not request.tool_results:
        return call("look_up", place="Rome").having(usage=usage, delay_s=0.4)
    return say("Here is a plan.", usage=usage, delay_s=0.4)


async def _decide(request: agy.ApprovalRequest) -> bool:
    await asyncio.sleep(0.4)
    return True


async def _session() -> Tables:
    """Return the tables of an agent with tools, approvals and three forks."""
    settings = agy.RuntimeConfig(chat_pause=0, checkpoints="all")
    async with ScriptedModel(_answer) as model, agy.Runtime(settings) as runtime:
        config = model.config(model="gemini-2.5-flash")
        agent = await runtime.create_agent(config, tools=[look_up], ask_user=_decide)
        for prompt in ("I like trains", "Plan a trip to Rome", "Make it cheaper", "And shorter"):
            await agent.chat_text(prompt)
        for turn in (1, 2, 3):
            fork = await agent.fork(turn)
            await fork.chat_text("Try another way")
        return runtime.tables.now()


if __name__ == "__main__":
    for picture in draw():
        print(picture)
