"""Find out which subagent a trajectory is, and therefore its model.

The harness reports the start of a subagent without its type. The arguments of `invoke_subagent`
have the type and the prompt of each subagent, if the call needed approval or if its HTTP response
was recorded. The first message of a trajectory repeats the prompt. Equal prompts of different types
leave the type unknown, because a guess could give a wrong price.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agy_nb.wire.json_values import objects_of, text_of

TOOL = "invoke_subagent"
"""Built-in tool that starts subagents."""
CLONE = "self"
"""Type of a subagent that is a copy of its agent."""

_CONTENT = "content="
_LONGEST = 20_000
_MOST = 1_000


class SubagentTypes:
    """The subagents of one agent.

    Attributes:
        models: Own models of the configured subagents by name; None for one that inherits. None if
            the configuration is unknown.
    """

    def __init__(self) -> None:
        self.models: Mapping[str, str | None] | None = None
        self._types: dict[str, set[str]] = {}
        self._messages: dict[str, str] = {}

    def asked(self, args: Mapping[str, Any]) -> None:
        """Take the arguments of a call that starts subagents."""
        for each in objects_of(args.get("Subagents")):
            name, prompt = text_of(each.get("TypeName")), text_of(each.get("Prompt"))
            if name and prompt and len(self._types) < _MOST:
                self._types.setdefault(prompt[:_LONGEST].strip(), set()).add(name)

    def began(self, trajectory_id: str, message: str) -> str | None:
        """Take the first message of a trajectory, and return its type if it is known."""
        prompt = message.partition(_CONTENT)[2][:_LONGEST].strip()
        if len(self._messages) < _MOST:
            self._messages[trajectory_id] = prompt
        return self._type(prompt)

    def found_later(self) -> dict[str, str]:
        """Return the types of the trajectories that have begun, as far as they are known."""
        types = {name: self._type(prompt) for name, prompt in self._messages.items()}
        return {name: found for name, found in types.items() if found is not None}

    def _type(self, prompt: str) -> str | None:
        types = self._types.get(prompt, set())
        return next(iter(types)) if len(types) == 1 else None

    def model_of(self, type_: str | None, inherited: str | None) -> tuple[str | None, str]:
        """Return the model of a subagent, and its source as in `model_source`.

        Args:
            type_: Its type; None if unknown.
            inherited: Model of its parent, None if unknown.
        """
        if self.models is None:
            return None, "unknown"
        if type_ is None:
            own = {model or inherited for model in self.models.values()}
            is_same = own <= {inherited}
            return (inherited, "inherited") if is_same and inherited else (None, "unknown")
        if type_ != CLONE and type_ not in self.models:
            return None, "unknown"  # a type of the harness's own
        model = self.models.get(type_)
        if model is not None:
            return model, "config"
        return (inherited, "inherited") if inherited else (None, "unknown")
