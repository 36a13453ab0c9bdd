"""What a comparison runs: its variants, and one run per variant, prompt and repeat. No I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from agy_nb.errors import InvalidInputError
from agy_nb.experiments.settings_digest import settings_digest
from agy_nb.protocol.labels import LONGEST_VALUE, problem_of
from agy_nb.protocol.turn_numbers import whole_number

if TYPE_CHECKING:
    from agy_nb.protocol.values import Prompt
    from agy_nb.runtime.agent import Agent

MakeAgent: TypeAlias = Callable[[], "Awaitable[Agent] | Agent"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the compared configurations.

    Attributes:
        name: Its name.
        config: The agent's configuration: one of the SDK's classes, a mapping, or None.
        options: Further arguments of `create_agent`.
        make: Returns an agent, instead of a configuration; None if there is a configuration.
        digest: Digest of the settings without secrets, which changes when a setting does.
    """

    name: str
    config: Any = field(repr=False, default=None)
    options: Mapping[str, Any] = field(repr=False, default_factory=dict)
    make: MakeAgent | None = field(repr=False, default=None)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    """One of the prompts.

    Attributes:
        content: The prompt as the user passed it.
        text: Its text, with a short label in place of each picture or other media.
        digest: Digest of its content.
    """

    content: Any = field(repr=False)
    text: str
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class PlannedRun:
    """One turn of one fresh agent.

    Attributes:
        variant: Name of the agent's variant.
        prompt: The prompt.
        prompt_index: Place of the prompt in the list, from 0.
        repeat: Number of the repetition, from 1.
    """

    variant: str
    prompt: PlannedPrompt
    prompt_index: int
    repeat: int


def planned_prompt(content: Any, prompt: Prompt) -> PlannedPrompt:
    """Plan a prompt.

    Args:
        content: The prompt as the user passed it.
        prompt: The same, as the runtime sends it.
    """
    words = [getattr(part, "text", "") or f"[{_kind_of(part)}]" for part in prompt]
    return PlannedPrompt(content, " ".join(words), settings_digest(prompt))


def _kind_of(part: Any) -> str:
    return str(getattr(part, "kind", "") or f"/{getattr(part, 'name', part.type)}")


def runs_of(
    prompts: Sequence[PlannedPrompt], variants: Sequence[str], repeat: int
) -> tuple[PlannedRun, ...]:
    """Return the runs, in their order.

    All variants answer a prompt before the next prompt is sent, and all prompts are sent before
    they are repeated. So a comparison that ends early has as many runs of each variant.

    Args:
        prompts: The prompts.
        variants: Names of the variants.
        repeat: How often each variant answers each prompt.
    """
    return tuple(
        PlannedRun(variant, prompt, index, number)
        for number in range(1, repeat + 1)
        for index, prompt in enumerate(prompts)
        for variant in variants
    )


def check_number(name: str, value: object) -> int:
    """Return a whole number from 1.

    Args:
        name: Name of the argument.
        value: Its value.

    Raises:
        InvalidInputError: The value is not a whole number, or it is too small.
    """
    number = whole_number(value)
    if number is None or number < 1:
        msg = f"{name} must be a whole number >= 1, got {value!r}"
        raise InvalidInputError(msg, field=name)
    return number


def check_name(name: object) -> str:
    """Return the name of a variant.

    Raises:
        InvalidInputError: It is not a short text of one line.
    """
    if not isinstance(name, str) or not name.strip() or problem_of("variant", name):
        msg = (
            "the name of a variant must be a text of one line, of 1 to "
            f"{LONGEST_VALUE} characters, got {repr(name)[:80]}"
        )
        raise InvalidInputError(msg, field="variants")
    return name
