"""Scripts as people write them: processes of their own, in which a warning is an error."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]

ROOT = Path(__file__).parents[2]
ECHO = "agy_nb: no GEMINI_API_KEY is set, so a local echo model answers"


def said_by(code: str) -> tuple[list[str], str]:
    """The lines that a script prints, but for those that tell who answers; and its complaints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "GEMINI_API_KEY": "", "PYTHONPATH": str(ROOT)},
    )
    lines = done.stdout.replace(ECHO, "").splitlines()
    return [line for line in lines if line], done.stderr


def test_script_may_end_without_closing_anything():
    said = said_by("""
        import asyncio, agy_nb as agy

        async def main():
            agent = await agy.create_agent()
            print((await agent.chat_text("Hello")).splitlines()[0])

        asyncio.run(main())
    """)
    assert said == (["You said: Hello"], "")


def test_threads_with_loops_of_their_own_need_not_know_of_each_other():
    said = said_by("""
        import asyncio, threading, agy_nb as agy

        async def chat():
            async with await agy.create_agent() as agent:
                said.append((await agent.chat_text("Hello")).splitlines()[0])

        said = []
        threads = [threading.Thread(target=lambda: asyncio.run(chat())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(*said, sep="\\n")
    """)
    assert said == (["You said: Hello"] * 3, "")


def test_child_of_a_fork_has_agents_of_its_own_and_leaves_its_parents_alone():
    said = said_by("""
        import os, sys, agy_nb as agy

        def chat(agent, text):
            print(agent.sync.chat_text(text).splitlines()[0], flush=True)

        agent = agy.run(agy.create_agent())
        runtime = agy.runtime()
        chat(agent, "parent")
        child = os.fork()
        if child == 0:
            print(runtime.forked, flush=True)
            for attempt in (lambda: chat(agent, "no"), lambda: agy.run(runtime.create_agent())):
                try:
                    attempt()
                except agy.AgyError as error:
                    print(error, flush=True)
            chat(agy.run(agy.create_agent()), "child")
            sys.exit()
        os.waitpid(child, 0)
        chat(agent, "parent again")
    """)
    forked_from = "belongs to the parent of this forked process"
    lines = [
        "You said: parent",
        "True",
        f"agent 1 {forked_from}; create another one",
        f"the runtime {forked_from}; create another one (agy.runtime() does this automatically)",
        "You said: child",
        "You said: parent again",
    ]
    assert said == (lines, "")


def test_child_of_a_kernel_is_no_kernel():
    said = said_by("""
        import os
        from types import SimpleNamespace
        from IPython.core.interactiveshell import InteractiveShell
        from agy_nb import kernel

        InteractiveShell.instance().kernel = SimpleNamespace(io_loop=None)
        print(kernel.in_kernel(), flush=True)
        child = os.fork()
        if child == 0:
            print(kernel.in_kernel(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(kernel.in_kernel())
    """)
    assert said == (["True", "False", "True"], "")


def test_pool_of_forked_workers_may_use_agents():
    said = said_by("""
        import asyncio, multiprocessing, agy_nb as agy

        async def chat(text):
            async with await agy.create_agent() as agent:
                return (await agent.chat_text(text)).splitlines()[0]

        def work(text):
            return asyncio.run(chat(text))

        print(work("parent"), flush=True)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, ["one", "two"]))
    """)
    assert said == (["You said: parent", "['You said: one', 'You said: two']"], "")
