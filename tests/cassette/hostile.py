"""Cassettes as an attacker, a broken tool or bad luck might leave them; see `test_hostile`."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HEADER = {
    "format": "agy-cassette", "version": 1, "complete": True, "recorded_at": "2026-01-01T00:00:00Z",
    "sdk": "0.1.22", "harness": "", "frames": 0, "size": 0, "sessions": [], "redactions": {},
    "model": False, "digest": "",
}  # fmt: skip
WRONG: dict[str, Any] = {
    "null": None, "true": True, "number": 7, "float": 1.5, "huge": 10**400, "text": "x",
    "empty": "", "list": [], "list of null": [None], "list of lists": [[[]]], "object": {},
    "nested": {"a": {"b": []}},
}  # fmt: skip

STEP = {
    "stepIndex": 1, "trajectoryId": "t", "parentTrajectoryId": "p", "state": "STATE_DONE",
    "source": "SOURCE_MODEL", "target": "TARGET_USER", "text": "hi", "thinking": "hm",
    "textDelta": "hi", "error": {"errorMessage": "e"}, "errorMessage": "e", "cumulativeUsage": {},
    "runCommand": {"commandLine": "ls"}, "questionsRequest": {"questions": []}, "customTool": {},
}  # fmt: skip
FRAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "config": ("client", {
        "models": [{"name": "m", "types": ["MODEL_TYPE_TEXT"],
                    "geminiApiEndpoint": {"baseUrl": "x"}}],
        "tools": [{"name": "t"}], "policyConfig": {"rules": [{"tool": "t"}]}, "workspaces": [],
        "skillsPaths": [], "appDataDir": "x", "cascadeId": "c", "enabledHooks": [],
        "customSubagents": [{"name": "s"}],
    }),
    "userInput": ("client", {"parts": [{"text": "hi"}]}),
    "stepUpdate": ("harness", STEP),
    "toolCall": ("harness", {"id": "1", "name": "t", "argumentsJson": "{}", "arguments": {},
                             "trajectoryId": "t"}),
    "toolResponse": ("client", {"id": "1", "responseJson": "{}", "errorMessage": "x",
                                "supplementalMedia": []}),
    "usageUpdate": ("harness", {"total": {"totalTokenCount": "1"},
                                "agents": [{"trajectoryId": "t", "usage": {}}]}),
    "trajectoryStateUpdate": ("harness", {"trajectoryId": "t", "state": "STATE_FULLY_IDLE",
                                          "parentTrajectoryId": "", "depth": 1}),
    "policyDecisionRequest": ("harness", {"requestId": "1", "ruleId": "rule_0", "toolArgs": {}}),
    "policyDecisionResponse": ("client", {"requestId": "1", "outcome": "x", "denyReason": "x"}),
    "callHookRequest": ("harness", {"requestId": "1", "preToolArgs": {}, "type": "x"}),
    "callHookResponse": ("client", {"requestId": "1", "preToolResult": {}}),
    "initializeConversationResponse": ("harness", {"cascadeId": "c"}),
}  # fmt: skip


def line(direction: str, frame: Any, **fields: Any) -> bytes:
    data = {"s": 0, "d": direction, "dt": 0.001, "f": frame} | fields
    return json.dumps(data).encode() + b"\n"


SESSION = [
    line("client", {"config": FRAMES["config"][1]}),
    line("harness", {"initializeConversationResponse": {"cascadeId": "c"}, "seqNum": "1"}),
    line("client", {"userInput": {"parts": [{"text": "hi"}]}}),
]
WIRE = b"".join(SESSION)

Write = Callable[[Path], None]


def files(*, header: Any = HEADER, wire: bytes = WIRE, **others: bytes) -> Write:
    """Writes these files; others by name, with `_` for the dot."""

    def write(folder: Path) -> None:
        folder.mkdir()
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        (folder / "header.json").write_bytes(text)
        (folder / "wire.jsonl").write_bytes(wire)
        for name, data in others.items():
            (folder / name.replace("_", ".")).write_bytes(data)

    return write


def special(name: str, make: Callable[[Path], object]) -> Write:
    """Puts something in the place of a file."""

    def write(folder: Path) -> None:
        files()(folder)
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return write


def sparse(name: str, size: int) -> Write:
    def write(folder: Path) -> None:
        files()(folder)
        os.truncate(folder / name, size) if (folder / name).exists() else None
        with (folder / name).open("ab") as file:
            file.truncate(size)

    return write


def hostile() -> Iterator[tuple[str, Write]]:
    """Names and writers."""
    yield from _headers()
    yield from _fields()
    yield from _lines()
    yield from _models()
    yield from _places()


def _headers() -> Iterator[tuple[str, Write]]:
    for field in HEADER:
        for kind, value in WRONG.items():
            if field not in ("format", "version") or kind in ("null", "huge", "list", "text"):
                yield f"header {field} is {kind}", files(header=HEADER | {field: value})
    for kind, value in WRONG.items():
        yield f"header is {kind}", files(header=json.dumps(value).encode())
        yield f"session is {kind}", files(header=HEADER | {"sessions": [value]})
        yield f"redaction is {kind}", files(header=HEADER | {"redactions": {"x": value}})


def _fields() -> Iterator[tuple[str, Write]]:
    for field in ("s", "d", "dt", "f"):
        for kind, value in WRONG.items():
            yield (
                f"line {field} is {kind}",
                files(wire=WIRE + line("harness", {}, **{field: value})),
            )
    for name, (direction, body) in FRAMES.items():
        for kind, value in WRONG.items():
            yield f"{name} is {kind}", files(wire=WIRE + line(direction, {name: value}))
        for field in body:
            for kind in ("null", "huge", "text", "list of null", "list of lists", "nested"):
                frame = {name: body | {field: WRONG[kind]}}
                yield f"{name}.{field} is {kind}", files(wire=WIRE + line(direction, frame))


def _lines() -> Iterator[tuple[str, Write]]:
    nines = b"9" * 400
    yield "dt of 400 digits", files(wire=b'{"s":0,"d":"client","dt":' + nines + b',"f":{}}\n')
    yield "s of 400 digits", files(wire=b'{"s":' + nines + b',"d":"client","dt":0,"f":{}}\n')
    yield (
        "dt of 5,000 digits",
        files(wire=b'{"s":0,"d":"client","dt":' + b"9" * 5000 + b',"f":{}}\n'),
    )
    for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"1e308"):
        yield f"dt {word.decode()}", files(wire=b'{"s":0,"d":"client","dt":' + word + b',"f":{}}\n')
    for depth in (90, 150, 900, 3_000, 100_000):
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        wire = b'{"s":0,"d":"harness","dt":0,"f":{"stepUpdate":' + deep + b"}}\n"
        yield f"frame {depth} deep", files(wire=WIRE + wire)
        lists = b"[" * depth + b"]" * depth
        wire = b'{"s":0,"d":"harness","dt":0,"f":{"stepUpdate":{"x":' + lists + b"}}}\n"
        yield f"lists {depth} deep", files(wire=WIRE + wire)
        text = json.dumps(lists.decode()).encode()
        wire = b'{"s":0,"d":"harness","dt":0,"f":{"toolCall":{"id":"1","argumentsJson":' + text
        yield f"arguments {depth} deep", files(wire=WIRE + wire + b"}}}\n")
        yield f"header {depth} deep", files(header=deep)
    embedded: Any = {"a": 1}
    for _ in range(12):
        embedded = {"a": json.dumps(embedded)}
    call = {"toolCall": {"id": "1", "name": "t", "argumentsJson": json.dumps(embedded)}}
    yield "JSON in JSON in JSON", files(wire=WIRE + line("harness", call))
    yield "conflict of git", files(wire=b"<<<<<<< ours\n" + WIRE + b"=======\n>>>>>>> theirs\n")
    yield "ends of lines of Windows", files(wire=WIRE.replace(b"\n", b"\r\n"))
    yield "byte order mark", files(wire=b"\xef\xbb\xbf" + WIRE)
    yield "UTF-16", files(wire=WIRE.decode().encode("utf-16"))
    yield "zeros", files(wire=bytes(100_000))
    yield "no end", files(wire=WIRE + WIRE[:50])
    yield "half a surrogate", files(wire=WIRE + line("harness", {"stepUpdate": {"text": "\ud800"}}))
    yield "zero in a text", files(wire=WIRE + line("client", {"userInput": {"text": "\0"}}))
    for text in ("{", "[]", '{"toolCall": {}}', "\ud800", "{" * 5_000):
        yield f"text {text[:9]!r}", files(wire=WIRE + line("harness", {"$text": text}))
    for value in ("%%%", 5, base64.b64encode(b"\xff" * 9).decode()):
        yield f"base64 {value!r}", files(wire=WIRE + line("harness", {"$base64": value}))
    for path in ("../../../etc", "/", "\0", "a" * 5_000, "~root", "{{agy:home}}/../.."):
        spaces = [{"filesystemWorkspace": {"directory": path}}]
        config = FRAMES["config"][1] | {"workspaces": spaces, "appDataDir": path, "cascadeId": path}
        yield f"folder {path[:20]!r}", files(wire=line("client", {"config": config}))
    many = b"".join(line("harness", {}, s=number) for number in range(3_000))
    yield "3,000 sessions", files(wire=many)
    yield (
        "10,000 tools",
        files(
            wire=line("client", {"config": {"tools": [{"name": str(n)} for n in range(10_000)]}})
        ),
    )
    keys = {f"k{number}": number for number in range(20_000)}
    yield "20,000 fields", files(wire=WIRE + line("harness", {"stepUpdate": keys}))
    for kind, text in {
        "BEGIN PRIVATE KEY": "-----BEGIN PRIVATE KEY-----\n" * 20_000,
        "quotes": 'password="' * 30_000,
        "spaces": "password" + " " * 300_000,
        "addresses": "https://a:" * 30_000,
        "base64 text": "eyJ" + "A" * 300_000,
        "dots": "a." * 150_000,
        "brackets": "[{" * 150_000,
        "escapes": "\\" * 200_000,
        "marks": "{{agy:secret}}" * 20_000,
    }.items():
        frame = {"stepUpdate": {"state": "STATE_DONE", "source": "SOURCE_MODEL", "text": text}}
        yield f"repeated {kind}", files(wire=WIRE + line("harness", frame))


def _models() -> Iterator[tuple[str, Write]]:
    bomb = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        repeated = ",".join([f"*{before}"] * 10)
        bomb += f"{name}: &{name} [{repeated}]\n".encode()
    made = {"request": {"method": "GET", "uri": "http://x", "body": None, "headers": {}},
            "response": {"status": {"code": 200, "message": "OK"}, "headers": {},
                         "body": {"string": "x"}}}  # fmt: skip
    for name in ("model_yaml", "tools_yaml"):
        for kind, data in {
            "runs code": b"interactions: [!!python/object/apply:os.system ['touch gotcha']]",
            "is a bomb": bomb + b"interactions: []\n",
            "is a bomb inside": bomb + b"interactions: [{request: {body: *i}, response: {}}]\n",
            "holds itself": b"interactions: &a [{request: {a: *a}, response: {}}]",
            "is deep": b"interactions: " + b"[" * 3_000 + b"]" * 3_000,
            "is binary": b"\x80\x81\x82",
            "is empty": b"",
            "is a number": b"5",
            "is a long scalar": b"interactions: " + b"a" * 1_000_000,
        }.items():
            yield f"{name} {kind}", files(**{name: data})
        for part in ("request", "response"):
            for kind, value in WRONG.items():
                if kind != "huge":
                    text = json.dumps({"interactions": [made | {part: value}], "version": 1})
                    yield f"{name} {part} is {kind}", files(**{name: text.encode()})
    for kind, value in WRONG.items():
        data = json.dumps(made | {"response": value}).encode() + b"\n"
        yield f"model_jsonl response is {kind}", files(model_jsonl=data)


def _places() -> Iterator[tuple[str, Write]]:
    names = ("header.json", "wire.jsonl", "model.yaml", "model.jsonl", "tools.yaml", "notes.txt")
    for name in names:
        yield f"{name} is /dev/zero", special(name, lambda path: path.symlink_to("/dev/zero"))
        yield (
            f"{name} is a private file",
            special(name, lambda path: path.symlink_to("/etc/shadow")),
        )
        yield f"{name} leads to itself", special(name, lambda path: path.symlink_to(path))
        yield f"{name} leads nowhere", special(name, lambda path: path.symlink_to("gone"))
        yield f"{name} is a pipe", special(name, os.mkfifo)
        yield f"{name} is a folder", special(name, Path.mkdir)
        yield f"{name} of 200 MB, one line", sparse(name, 200 * 2**20)
