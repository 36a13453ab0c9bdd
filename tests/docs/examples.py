"""Runs the examples of a docstring as a notebook would: `await` stands where it likes.

Rule 1: an example is what a user types; the only names it has are those of `notebook`, and what it
made itself.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import io
import sys
import traceback
from contextlib import redirect_stdout
from types import CodeType, FunctionType
from typing import Any

_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_PARSER = doctest.DocTestParser()
_CHECKER = doctest.OutputChecker()


def examples(text: str) -> list[doctest.Example]:
    """The examples in a text, in order."""
    return _PARSER.get_examples(text)


def needs(text: str, name: str) -> bool:
    """Whether the examples in a text read a name before they bind it."""
    for example in examples(text):
        found = [
            node
            for node in ast.walk(ast.parse(example.source))
            if isinstance(node, ast.Name) and node.id == name
        ]
        if found:
            first = min(found, key=lambda node: (node.lineno, node.col_offset))
            return isinstance(first.ctx, ast.Load)
    return False


async def run(text: str, names: dict[str, Any]) -> list[str]:
    """Run the examples of one docstring, one after the other.

    Args:
        text: The docstring.
        names: What the examples may use; what they define is added.

    Returns:
        A report on each example that did something else than it says.
    """
    reports = []
    for example in examples(text):
        said = await _run(example.source, names)
        if example.exc_msg is not None and said.error is not None:
            wanted, got = example.exc_msg, said.error
        else:
            wanted, got = example.want, said.out + (said.error or "")
        if not _CHECKER.check_output(wanted, got, _OPTIONS):
            report = _CHECKER.output_difference(
                doctest.Example(example.source, wanted), got, _OPTIONS
            )
            reports.append(f">>> {example.source}{report}{said.trace}")
    return reports


class _Said:
    def __init__(self) -> None:
        self.out = ""
        self.error: str | None = None
        self.trace = ""


async def _run(source: str, names: dict[str, Any]) -> _Said:
    said, out, shown = _Said(), io.StringIO(), sys.displayhook

    def show(value: object) -> None:
        if value is not None:
            print(repr(value))

    try:
        code = compile(
            source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        sys.displayhook = show
        with redirect_stdout(out):
            await _evaluate(code, names)
    except Exception as error:
        said.error = "".join(traceback.format_exception_only(error)[:1])
        said.trace = "".join(traceback.format_exception(error))
    finally:
        sys.displayhook = shown
    said.out = out.getvalue()
    return said


async def _evaluate(code: CodeType, names: dict[str, Any]) -> None:
    waiting = FunctionType(code, names)()
    if code.co_flags & inspect.CO_COROUTINE:
        await waiting
