"""`agy.compare_runs`: the same prompts against several configurations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agy_nb.errors import InvalidInputError, InvalidPromptError
from agy_nb.experiments.budget import check_limit
from agy_nb.experiments.comparison import Comparison
from agy_nb.experiments.plan import PlannedPrompt, check_number, planned_prompt, runs_of
from agy_nb.experiments.variants import named_variants
from agy_nb.runtime.turns.prompts import parse_prompt

if TYPE_CHECKING:
    from agy_nb.runtime.runtime import Runtime


def compare_runs(
    prompts: Iterable[Any],
    variants: Mapping[str, Any] | Iterable[tuple[str, Any]],
    *,
    repeat: int = 1,
    concurrency: int = 4,
    max_cost_usd: float | None = None,
    folder: str | os.PathLike[str] | None = None,
    base: Any = None,
    runtime: Runtime | None = None,
    progress: bool = True,
) -> Comparison:
    """Run the same prompts with several configurations, and compare what they do.

    Each run is one turn of a fresh agent, which is shut down afterwards. `await` starts the runs.
    An error of a run is a row of the table, and the other runs continue.

    Args:
        prompts: The prompts. Each is a text, or a list of text and media.
        variants: Variants by name. A variant is a mapping of settings: fields of the SDK's
            configuration, such as `model` and `system_instructions`, and arguments of
            `create_agent`, such as `tools` and `ask_user`. It can also be a configuration object of
            the SDK, or a function, plain or async, that returns an agent.
        repeat: How often each variant answers each prompt.
        concurrency: Most runs at a time.
        max_cost_usd: Limit in US dollars. No run starts once the known cost reaches it, or when the
            cost of a run is not known. Up to `concurrency` runs are under way at that time, so the
            cost can exceed the limit by theirs.
        folder: Where each finished run is written, with secrets redacted. Another call with this
            folder starts only the runs that are missing there or failed. A changed prompt or
            setting makes a run missing; a tool counts with its name and its source. Costs of
            earlier calls count for `max_cost_usd`.
        base: Settings that all variants share, as a mapping or a configuration object of the SDK.
            A variant's settings replace them.
        runtime: Where the agents start; the default runtime by default.
        progress: Whether to show how far the comparison is: answers that fill in a notebook, one
            line of text in a terminal.

    Returns:
        The comparison. `await` it.

    Raises:
        InvalidInputError: An argument cannot be used; `field` names it.
        InvalidConfigError: The SDK rejects a setting of a variant.

    Example:
        >>> comparison = await agy.compare_runs(
        ...     ["Hello", "Use get_weather for Paris"],
        ...     {"plain": {}, "tools": {"tools": [get_weather]}},
        ... )
        >>> comparison.table[["variant", "answer"]].values.tolist()[-1]
        ['tools', 'get_weather says: sunny in Paris']
    """
    planned = _prompts(prompts)
    named = named_variants(variants)
    return Comparison(
        runs_of(planned, tuple(named), check_number("repeat", repeat)),
        named,
        base=base,
        runtime=runtime,
        concurrency=check_number("concurrency", concurrency),
        max_cost_usd=check_limit(max_cost_usd),
        folder=_checked_folder(folder),
        shows_progress=progress,
    )


def _checked_folder(folder: object) -> str | os.PathLike[str] | None:
    if folder is None or (isinstance(folder, str | os.PathLike) and str(folder).strip()):
        return folder
    msg = f"folder must be a path or None, got {folder!r}"
    raise InvalidInputError(msg, field="folder")


def _prompts(prompts: object) -> list[PlannedPrompt]:
    if isinstance(prompts, str):
        prompts = [prompts]
    if not isinstance(prompts, Iterable) or isinstance(prompts, bytes | Mapping):
        msg = f"prompts must be a list of prompts, got {type(prompts).__name__}"
        raise InvalidInputError(msg, field="prompts")
    planned: list[PlannedPrompt] = []
    digests: Counter[str] = Counter()
    for place, content in enumerate(prompts):
        try:
            new = planned_prompt(content, parse_prompt(content))
        except InvalidPromptError as error:
            raise InvalidPromptError(f"prompts[{place}]: {error}", field="prompts") from error
        before = digests[new.digest]  # pictures differ, and their texts may not
        digests[new.digest] += 1
        planned.append(replace(new, digest=f"{new.digest}-{before}") if before else new)
    if not planned:
        msg = "prompts is empty; pass at least one prompt"
        raise InvalidInputError(msg, field="prompts")
    return planned
