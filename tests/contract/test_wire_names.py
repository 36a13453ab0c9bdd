"""Names of the wire are spelled in one module: fields and enum values of frames in wire/frames.py.

They are collected from the SDK's own protobuf definitions, so that a name of the next SDK counts
from the day it is installed.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from google.antigravity.proto import localharness_pb2

ROOT = Path(__file__).parents[2]
HOME = ROOT / "agy_nb" / "wire" / "frames.py"

ALLOWED = {
    "agy_nb/sdk/config/mcp_file.py": "the mcp.json of MCP clients, which has the same names",
    "agy_nb/testing/gemini.py": "the Gemini API's JSON, which has names of its own",
    "agy_nb/analysis/read/model_requests.py": "the Gemini API's JSON",
    "agy_nb/cassette/redaction/http/sse_events.py": "the Gemini API's JSON",
    "agy_nb/cassette/matching/harness_parts.py": "the Gemini API's JSON",
    "agy_nb/cassette/replay/missing_files.py": "the kinds of steps that write files",
}
_WORD = re.compile(r"\w+")


def telling(name: str) -> bool:
    """Whether a name is the wire's for sure: a plain word may be anybody's."""
    return "_" in name if name.isupper() else re.search("[a-z][A-Z]", name) is not None


def names_of(*messages) -> frozenset[str]:
    """JSON names of fields and enum values of messages, and of all messages within them."""
    found: set[str] = set()
    seen: set[str] = set()
    left = [message.DESCRIPTOR for message in messages]
    while left:
        descriptor = left.pop()
        if descriptor.full_name in seen:
            continue
        seen.add(descriptor.full_name)
        for field in descriptor.fields:
            found.add(field.json_name)
            if field.enum_type is not None:
                found.update(field.enum_type.values_by_name)
            if field.message_type is not None:
                left.append(field.message_type)
    return frozenset(filter(telling, found))


NAMES = names_of(
    localharness_pb2.InputEvent, localharness_pb2.OutputEvent, localharness_pb2.HarnessConfig
)


def spelled_in(path: Path) -> list[str]:
    """Names of the wire in the texts of a module, with their lines; docstrings aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        f"{path.relative_to(ROOT)}:{node.lineno} {word}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        for word in _WORD.findall(node.value)
        if word in NAMES
    ]


def modules() -> list[Path]:
    return [path for path in sorted((ROOT / "agy_nb").rglob("*.py")) if path != HOME]


def test_names_are_those_of_the_wire():
    assert {"stepUpdate", "trajectoryId", "STATE_FULLY_IDLE", "argumentsJson"} <= NAMES
    assert not {"text", "state", "AUDIO"} & NAMES


def test_no_other_module_spells_a_name_of_the_wire():
    paths = [path for path in modules() if str(path.relative_to(ROOT)) not in ALLOWED]
    assert [spelled for path in paths for spelled in spelled_in(path)] == []


def test_exceptions_are_needed():
    for name in sorted(ALLOWED):
        assert spelled_in(ROOT / name), f"{name} spells no name of the wire any more"


def test_scan_finds_names_in_texts_and_leaves_docstrings_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.contract.test_wire_names.ROOT", tmp_path)
    module = tmp_path / "module.py"
    module.write_text('"""About stepUpdate."""\nx = f"a {y} stepIndex"\nz = {"STATE_DONE": 1}\n')
    assert spelled_in(module) == ["module.py:2 stepIndex", "module.py:3 STATE_DONE"]
