"""A comparison: planned runs, their results, and tables."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from agy_nb.analysis.metrics.turn_cost import Cost
from agy_nb.experiments.agent_runs import run_all
from agy_nb.experiments.budget import why_stopped
from agy_nb.experiments.plan import PlannedRun, Variant
from agy_nb.experiments.progress import Progress, TerminalLine
from agy_nb.experiments.read_turn import not_run
from agy_nb.experiments.results import RUNNING, WAITING, RunResult, cost_of, summary, table
from agy_nb.experiments.run_log import RunLog, key_of, result_of
from agy_nb.experiments.variants import read_variants
from agy_nb.kernel import in_kernel
from agy_nb.sdk.process.executor import run_in_thread
from agy_nb.views import views

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.runtime.runtime import Runtime
    from agy_nb.runtime.turns.response import Response

_INTERRUPTED = "interrupted; await the comparison again to run it"
_NOT_YET = "not run yet; await the comparison to run it"


class _View(Protocol):
    """A view of the comparison, which `agy_nb.widgets` provides."""

    def show(self) -> None: ...
    def refresh(self) -> None: ...
    def refresh_later(self) -> None: ...


class Comparison:
    """The same prompts, answered by several variants. `agy.compare_runs` creates it.

    `await` starts the runs that are missing, and returns the comparison. After an interrupt, the
    results so far are kept, and another `await` starts the rest.

    Args:
        runs: What to run, in order.
        variants: The variants by name, as the user passed them.
        base: Settings that they share.
        runtime: Where the agents start; None for the default runtime.
        concurrency: Most runs at a time.
        max_cost_usd: The limit in US dollars.
        folder: Where finished runs are written; None for nowhere.
        shows_progress: Whether `await` shows how far the comparison is.
    """

    def __init__(
        self,
        runs: tuple[PlannedRun, ...],
        variants: Mapping[str, Any],
        *,
        base: Any,
        runtime: Runtime | None,
        concurrency: int,
        max_cost_usd: float | None,
        folder: str | os.PathLike[str] | None,
        shows_progress: bool = True,
    ) -> None:
        self._planned = runs
        self._given = variants, base
        self._variants: dict[str, Variant] = {}
        self._runtime = runtime
        self._concurrency = concurrency
        self._limit = max_cost_usd
        self._log = None if folder is None else RunLog(folder)
        self._results: dict[PlannedRun, RunResult] = {}
        self._stopped = ""
        self._missing = _NOT_YET
        self._lock = asyncio.Lock()
        self._shows_progress = shows_progress
        self._under_way: set[PlannedRun] = set()
        self._view: _View | None = None
        self._line = TerminalLine()
        self._reported = 0
        self._table: pd.DataFrame | None = None

    # -- running -----------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, Comparison]:
        return self._complete().__await__()

    async def _complete(self) -> Comparison:
        async with self._lock:  # a second `await` meanwhile waits for the first
            if not self._variants:
                self._variants = await run_in_thread(read_variants, *self._given)
                await self._read_folder()
            waiting = [run for run in self._planned if run not in self._results]
            if waiting:
                await self._run(waiting)
        return self

    async def _run(self, waiting: list[PlannedRun]) -> None:
        from agy_nb.runtime.default_runtime import runtime as default_runtime

        self._stopped, self._missing = "", WAITING
        if self._shows_progress and in_kernel():
            self._show()
        try:
            await run_all(
                waiting,
                self._variants,
                self._runtime or default_runtime(),
                concurrency=self._concurrency,
                may_start=self._may_start,
                on_start=self._on_start,
                on_finish=self._on_finish,
            )
        finally:
            self._missing = _INTERRUPTED
            self._under_way.clear()
            self._table = None
            if self._view is not None:
                self._view.refresh()
            self._line.end()
            self._report_problems()

    async def _read_folder(self) -> None:
        if self._log is None:
            return
        try:
            stored = await run_in_thread(self._log.read, self._planned, self._variants)
        except BaseException:
            self._variants = {}  # read again at the next `await`
            raise
        keys = {run: key_of(run, self._variants[run.variant]) for run in self._planned}
        self._results = {
            run: result_of(run, stored[key]) for run, key in keys.items() if key in stored
        }
        self._report_problems()

    def _report_problems(self) -> None:
        new = self.problems[self._reported :]
        self._reported += len(new)
        for problem in new:
            warnings.warn(problem, stacklevel=2)

    def _may_start(self) -> bool:
        self._stopped = why_stopped(self._results.values(), self._limit)
        return not self._stopped

    def _on_start(self, run: PlannedRun) -> None:
        self._under_way.add(run)
        self._refresh()

    async def _on_finish(self, run: PlannedRun, result: RunResult) -> None:
        self._results[run] = result
        self._table = None
        self._under_way.discard(run)
        self._refresh()
        if self._log is not None:
            key = key_of(run, self._variants[run.variant])
            await run_in_thread(self._log.append, key, result)

    # -- views -------------------------------------------------------------------------------

    def _show(self) -> None:
        if self._view is None:
            self._view = views().comparison_view(self)
        self._view.show()

    def _refresh(self) -> None:
        if self._view is not None:
            self._view.refresh_later()
        elif self._shows_progress:
            self._line.show(self.progress)

    def _ipython_display_(self) -> None:
        self._show()

    # -- for readers -------------------------------------------------------------------------

    @property
    def runs(self) -> tuple[RunResult, ...]:
        """All runs, in the order of the table; also those that did not start."""
        missing = self._stopped or self._missing
        return tuple(
            self._results.get(run) or not_run(run, RUNNING if run in self._under_way else missing)
            for run in self._planned
        )

    @property
    def progress(self) -> Progress:
        """How far the comparison is."""
        results = self._results.values()
        return Progress(
            n_runs=len(self._planned),
            n_done=len(results),
            n_running=len(self._under_way),
            n_failed=sum(not result.ok for result in results),
            cost=self.cost,
            limit=self._limit,
            stopped=self._stopped,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read from `folder`, or written to it."""
        return () if self._log is None else tuple(self._log.problems)

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the variants."""
        return tuple(self._given[0])

    @property
    def prompts(self) -> tuple[str, ...]:
        """The texts of the prompts."""
        return tuple({run.prompt_index: run.prompt.text for run in self._planned}.values())

    @property
    def table(self) -> pd.DataFrame:
        """One row per run: variant, prompt, answer, tool calls, tokens, cost, times and error."""
        if self._table is None:
            self._table = table(self.runs)
        return self._table

    def summary(self) -> pd.DataFrame:
        """Return one row per variant: means with 95% intervals, total cost and errors.

        Means are of runs that ended normally. The intervals use Student's t, and assume that runs
        do not depend on each other. Runs of different prompts differ more than repeats of one.

        Example:
            >>> found = await agy.compare_runs(["Hello"], {"a": {}, "b": {"tools": [get_weather]}})
            agy_nb: no GEMINI_API_KEY is set, so a local echo model answers
            >>> found.summary()[["variant", "n_runs", "n_ok"]].values.tolist()
            [['a', 1, 1], ['b', 1, 1]]
        """
        return summary(self.runs)

    @property
    def responses(self) -> list[Response]:
        """The turns, for `agy.expect`; runs that did not start or come from a folder have none."""
        return [run.response for run in self.runs if run.response is not None]

    @property
    def cost(self) -> Cost:
        """What the runs cost so far. An unknown cost makes it a lower bound."""
        return cost_of(self._results.values())

    def __repr__(self) -> str:
        done, planned = len(self._results), len(self._planned)
        variants, prompts = len(self.variants), len(self.prompts)
        return f"<Comparison: runs {done}/{planned}, variants {variants}, prompts {prompts}>"
