"""The README's examples run as they stand, one after the other, without a key."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.testing import EchoModel

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def without_numbers(text: str) -> str:
    """The text without the counts of tokens, which depend on the harness, and their widths."""
    return re.sub(r"  +", " ", re.sub(r" *\d[\d,]{3,}", " N", text))


OUTPUTS = [
    without_numbers(text) for text in re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)
]


async def run(code: str, names: dict) -> None:
    compiled = compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(compiled, names)
    if inspect.isawaitable(waiting):
        await waiting


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK makes its save_dir on the loop
async def test_examples_run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    explore, choose, replay, analyse = EXAMPLES
    names: dict = {}
    async with agy.Runtime() as runtime:
        async with EchoModel() as model:

            async def create_agent(config=None, **parts):
                config = config or {"api_key": "k", "models": model.config().models}
                return await runtime.create_agent(config, **parts)

            monkeypatch.setattr(agy, "create_agent", create_agent)
            await run(explore, names)
            assert said(capsys) == OUTPUTS[0]
            await run(choose, names)
            assert repr(names["agent"]).endswith("model gemini-2.5-pro>")
            await run(replay, names)
            assert said(capsys) == OUTPUTS[1]
        await run(replay, names)
        assert said(capsys) == OUTPUTS[1]
    await run(analyse, names)
    assert said(capsys) == OUTPUTS[2]


def said(capsys) -> str:
    return without_numbers(capsys.readouterr().out)


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    root = Path(__file__).parents[3]
    assert [link for link in links if not (root / link).exists()] == []
