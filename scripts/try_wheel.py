"""Build the wheel and the sdist, install the wheel into an empty environment, and use it there.

Takes minutes and asks the package index, so it is no part of the tests: before a release, run
`.venv/bin/python scripts/try_wheel.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

SCRIPT = '''
import asyncio
import agy_nb as agy


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


async def main() -> None:
    async with agy.use_cassette("recorded"):
        agent = await agy.create_agent(tools=[get_weather], ask_user=lambda request: True)
        print(await agent.chat_text("Use get_weather for Paris"))
    await agy.runtime().close()


asyncio.run(main())
'''


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a program and give what it prints; end with its words where it fails."""
    print("$", *(str(part).strip().partition("\n")[0] for part in command), flush=True)
    done = subprocess.run(  # noqa: S603 - our own programs
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "GEMINI_API_KEY": "", **variables},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}exit code {done.returncode}")
    return done.stdout


def main() -> None:
    """Build, install, use."""
    with tempfile.TemporaryDirectory(prefix="agy-nb-wheel-") as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=ROOT)
        [wheel] = folder.glob("*.whl")
        [_] = folder.glob("*.tar.gz")
        venv.create(folder / "env", with_pip=True)
        here = folder / "env" / "bin"
        for extra in ("", "[notebook]"):
            run(here / "python", "-m", "pip", "install", "--quiet", f"{wheel}{extra}", cwd=folder)
            run(here / "python", "-m", "pip", "check", cwd=folder)
            run(here / "agy-nb", "doctor", cwd=folder)
        run(here / "agy-nb", "demo", cwd=folder)
        first = run(here / "python", "-c", SCRIPT, cwd=folder)
        again = run(
            here / "python", "-c", SCRIPT, cwd=folder, ANTIGRAVITY_HARNESS_PATH="/no/such/harness"
        )
        if first != again or "sunny in Paris" not in again:
            sys.exit(f"recorded {first!r}, replayed {again!r}")
        run(here / "agy-nb", "cassette", "verify", "recorded", cwd=folder)
        print(run(here / "agy-nb", "usage", "recorded", "--by", "model", cwd=folder), end="")
        print("the wheel works in an environment that has nothing else")


if __name__ == "__main__":
    main()
