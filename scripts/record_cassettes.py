"""Record the shipped cassettes: real SDK, real harness, scripted models.

Each scenario is recorded twice and kept only if both recordings add up to the same.

    python scripts/record_cassettes.py [--into cassettes] [NAME ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from agy_nb.cassette import use_cassette  # noqa: E402 - the repository comes first
from agy_nb.cassette.inspect.session_digests import digest_of  # noqa: E402
from agy_nb.cassette.storage.cassette_reader import load  # noqa: E402
from agy_nb.testing import ScriptedModel  # noqa: E402
from tests.cassette.scenarios import SCENARIOS, Scenario, Setting  # noqa: E402

CHANCE = {
    "cancel": "when a cancel hits is chance",
    "unauthorised": "what comes between an error and the end is chance",
}
"""Scenarios whose recordings need not agree, and why."""

WIRE_ONLY = {"two_hundred_turns"}
"""Too many requests of 50 kB each to ship the model's side too."""

TRIES = 5


async def record(scenario: Scenario, path: Path, folder: Path) -> list[str]:
    """Record a scenario; gives what its sessions add up to."""
    shutil.rmtree(folder, ignore_errors=True)
    keep_model = scenario.name not in WIRE_ONLY
    async with (
        ScriptedModel(scenario.script(folder)) as model,
        use_cassette(path, "all", record_model=keep_model),
    ):
        await scenario.play(Setting(model.base_url, folder))
    return sorted(json.dumps(digest_of(s), sort_keys=True) for s in load(path).sessions)


async def record_until_steady(scenario: Scenario, into: Path, scratch: Path) -> bool:
    """Record twice, and again until two recordings in a row agree."""
    before = await record(scenario, scratch / "c", scratch / "at")
    for _ in range(TRIES):
        now = await record(scenario, into / scenario.name, scratch / "at")
        if now == before or scenario.name in CHANCE:
            return True
        before = now
    shutil.rmtree(into / scenario.name, ignore_errors=True)
    return False


async def main(names: list[str], into: Path) -> int:
    """Record scenarios; gives the exit code."""
    unsteady = []
    for name in names or list(SCENARIOS):
        with tempfile.TemporaryDirectory(prefix="agy-") as scratch:
            steady = await record_until_steady(SCENARIOS[name], into, Path(scratch))
        print(f"{'kept   ' if steady else 'dropped'} {name}", flush=True)
        if not steady:
            unsteady.append(name)
    return 1 if unsteady else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--into", type=Path, default=ROOT / "cassettes")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # errors are what some scenarios are about
    sys.exit(asyncio.run(main(arguments.names, arguments.into)))
