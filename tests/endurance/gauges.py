"""What a process holds, measured again and again, and whether it grows.

Rule 1: measured at rest, after Python's own collector: what is counted then is held by somebody.
Rule 2: a slope comes with its uncertainty; "flat" means that growth beyond the bound is excluded.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

GAUGES = ("memory", "blocks", "objects", "threads", "descriptors", "processes", "tasks")


@dataclass(frozen=True)
class Sample:
    """What a process holds after so many turns.

    Attributes:
        turns: Turns until then.
        memory: What is in main memory, in KiB.
        blocks: Python's memory blocks.
        objects: Objects that the collector knows.
        threads: Threads that run.
        descriptors: Open files, pipes and sockets.
        processes: Those that this one started and that are not waited for.
        tasks: Tasks of the event loop.
    """

    turns: int
    memory: float
    blocks: int
    objects: int
    threads: int
    descriptors: int
    processes: int
    tasks: int


def sample(turns: int) -> Sample:
    """Measure now. Called within the event loop, by a task that is not counted."""
    gc.collect()
    return Sample(
        turns=turns,
        memory=_resident_kib(),
        blocks=sys.getallocatedblocks(),
        objects=len(gc.get_objects()),
        threads=threading.active_count(),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        processes=len(children()),
        tasks=len(asyncio.all_tasks()) - 1,
    )


def children() -> list[int]:
    """Ids of the processes that this one started."""
    threads = Path("/proc/self/task").iterdir()
    return [
        int(pid)
        for thread in threads
        for pid in (thread / "children").read_text(encoding="ascii").split()
    ]


def _resident_kib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


@dataclass(frozen=True)
class Slope:
    """Growth for each turn, by least squares, and the standard error of it."""

    value: float
    error: float

    @property
    def at_most(self) -> float:
        """The highest slope that the measurements allow, at two standard errors."""
        return self.value + 2 * self.error

    def __str__(self) -> str:
        return f"{self.value:+.5f} ± {self.error:.5f} a turn"


def slope(xs: Sequence[float], ys: Sequence[float]) -> Slope:
    """The line through points that has the least squares."""
    assert len(xs) == len(ys) > 2
    mean_x, mean_y = fmean(xs), fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    value = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum((y - mean_y - value * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    return Slope(value, math.sqrt(rest / (len(xs) - 2) / spread))


@dataclass
class Log:
    """Samples of one run."""

    samples: list[Sample] = field(default_factory=list)

    def take(self, turns: int) -> None:
        """Measure now."""
        self.samples.append(sample(turns))

    def slope(self, gauge: str) -> Slope:
        """How a gauge grows, the first third left out: caches fill, modules load."""
        late = self.samples[len(self.samples) // 3 :]
        return slope([each.turns for each in late], [getattr(each, gauge) for each in late])

    def report(self) -> str:
        """A line for each gauge."""
        first, last = self.samples[len(self.samples) // 3], self.samples[-1]
        return "\n".join(
            f"{gauge:12} {getattr(first, gauge):>11,.0f} -> {getattr(last, gauge):>11,.0f}"
            f"   {self.slope(gauge)}"
            for gauge in GAUGES
        )
