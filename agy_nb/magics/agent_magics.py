"""The magics `%%agy`, `%agy_agents`, `%agy_usage` and `%agy_stop`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from agy_nb import kernel
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.default_runtime import create_agent, runtime
from agy_nb.runtime.runtime import Runtime
from agy_nb.runtime.turns.response import Response

if TYPE_CHECKING:
    from argparse import Namespace

_DEFAULT = "agent"


@magics_class
class AgentMagics(Magics):
    """The magics for agents; `%load_ext agy_nb` registers them."""

    @magic_arguments()
    @argument(
        "--agent",
        default=_DEFAULT,
        help="variable of the agent (default: agent, which is created if it does not exist)",
    )
    @argument("--sync", action="store_true", help="wait until the turn ends")
    @cell_magic
    def agy(self, line: str, cell: str) -> Response:
        """Send the cell's text to an agent and stream the answer below the cell.

        The cell ends at once and the turn continues in the background, unless `--sync` is given.
        The cell's value is the response, so `_.usage` works in the next cell.
        """
        arguments = self._parsed(line)
        agent = self._agent(arguments.agent)
        if arguments.sync:
            return agent.sync.chat(cell.strip())
        return kernel.run(agent.chat(cell.strip()))

    def _parsed(self, line: str) -> Namespace:
        try:
            arguments: Namespace = parse_argstring(self.agy, line)
        except UsageError as error:
            words = str(error).partition("unrecognized arguments: ")[2].split()
            if not words or words[0].startswith("-"):
                raise UsageError(f"%%agy: {error}. `%%agy?` lists the options.") from None
            text = " ".join(words)
            advice = f"For an agent, write `%%agy --agent {text}`. " if text.isidentifier() else ""
            raise UsageError(
                f"%%agy: unexpected text {text!r}. {advice}Write the prompt below this line."
            ) from None
        return arguments

    def _agent(self, name: str) -> Agent:
        namespace: dict[str, Any] = getattr(self.shell, "user_ns", {})
        known = namespace.get(name)
        if isinstance(known, Agent) and known.is_started:
            return known
        if name != _DEFAULT or (known is not None and not isinstance(known, Agent)):
            what = type(known).__name__ if known is not None else "nothing"
            msg = (
                f"%%agy: the variable {name!r} must hold a running agent, got {what}. "
                f"Create one with `{name} = await agy.create_agent(...)`."
            )
            raise UsageError(msg)
        namespace[name] = agent = kernel.run(create_agent())
        return agent

    @line_magic
    def agy_agents(self, line: str) -> Any:
        """Return the agents of this kernel's runtime as a DataFrame."""
        del line
        return runtime().tables.agents

    @magic_arguments()
    @argument(
        "--by",
        default="agent",
        choices=["agent", "turn", "model", "trajectory", "session", "tool", "day"],
        help="one row per agent (default), turn, model, and so on",
    )
    @line_magic
    def agy_usage(self, line: str) -> Any:
        """Return the token usage of this kernel's agents as a DataFrame."""
        return runtime().tables.usage(by=parse_argstring(self.agy_usage, line).by)

    @magic_arguments()
    @argument("agent", nargs="?", type=int, help="number of the agent (default: all agents)")
    @line_magic
    def agy_stop(self, line: str) -> None:
        """Cancel the running turns of this kernel's agents; partial answers are kept."""
        number = parse_argstring(self.agy_stop, line).agent
        known = runtime().agent_ids
        if number is not None and number not in known:
            names = ", ".join(map(str, known)) or "none"
            raise UsageError(f"%agy_stop: no agent {number}. Agents: {names}.")
        kernel.run(_stop(runtime(), number))


async def _stop(rt: Runtime, number: int | None) -> None:
    from agy_nb.protocol.commands import Cancel

    # All at once: a turn may take seconds to end. An agent that ends in this time is not an error.
    chosen = [each for each in rt.agent_ids if number in (None, each)]
    cancels = (rt.submit(Cancel(agent_id=each)) for each in chosen)
    results = await asyncio.gather(*cancels, return_exceptions=True)
    for agent_id, found in zip(chosen, results, strict=True):
        if isinstance(found, BaseException) and agent_id in rt.agent_ids:
            raise found
