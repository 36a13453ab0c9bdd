"""Agents that share one harness process, by a connection strategy of the program's own."""

import asyncio
import os
import struct

import pydantic
import websockets
from google.antigravity import Agent, LocalAgentConfig
from google.antigravity.connections import connection
from google.antigravity.connections.local import local_connection
from google.antigravity.proto import localharness_pb2 as pb
from google.protobuf import json_format

from tests.programs.model import settings


class Harness:
    """One harness process for any number of conversations."""

    def __init__(self, binary=None, save_dir=None):
        self.binary = binary
        self.save_dir = save_dir
        self.process = self.address = None
        self.lock = asyncio.Lock()

    def __deepcopy__(self, memo):
        return self

    async def started(self, strategy):
        async with self.lock:
            if self.process is None:
                await self.start(self.binary or strategy._binary_path, strategy._save_dir)
        return self.address

    async def start(self, binary, save_dir):
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            binary, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
        blob = pb.InputConfig(storage_directory=save_dir or "").SerializeToString()
        self.process.stdin.write(struct.pack("<I", len(blob)) + blob)
        await self.process.stdin.drain()
        (size,) = struct.unpack("<I", await self.process.stdout.readexactly(4))
        self.address = pb.OutputConfig.FromString(await self.process.stdout.readexactly(size))

    async def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            await self.process.wait()
            self.process = None


class PooledStrategy(connection.ConnectionStrategy):
    """Opens a conversation of its own on the shared process."""

    def __init__(self, inner, harness):
        self.inner = inner
        self.harness = harness

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def connect(self):
        return self.inner.connect()

    async def __aenter__(self):
        self.inner._validate_connection()
        config = self.inner._build_harness_config()
        address = await self.harness.started(self.inner)
        for attempt in range(5):
            try:
                ws = await websockets.connect(
                    f"ws://localhost:{address.port}/",
                    additional_headers={"x-goog-api-key": address.api_key},
                    max_size=None,
                )
            except OSError:
                await asyncio.sleep(0.05 * 2**attempt)
            else:
                break
        else:
            raise RuntimeError("the shared harness does not listen")
        await ws.send(json_format.MessageToJson(pb.InitializeConversationEvent(config=config)))
        await ws.recv()
        self.inner._connection = local_connection.LocalConnection(
            process=None,
            ws=ws,
            tool_runner=self.inner._tool_runner,
            hook_runner=self.inner._hook_runner,
            initial_history=[],
        )

    async def __aexit__(self, *error):
        found, self.inner._connection = getattr(self.inner, "_connection", None), None
        if found is not None:
            await found.disconnect()


class PooledConfig(LocalAgentConfig):
    """A configuration whose agents share a process."""

    harness: Harness
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    def create_strategy(self, *, tool_runner, hook_runner):
        inner = super().create_strategy(tool_runner=tool_runner, hook_runner=hook_runner)
        return PooledStrategy(inner, self.harness)


async def ask(harness, prompt):
    async with Agent(PooledConfig(**settings(harness=harness))) as agent:
        response = await agent.chat(prompt)
        return await response.text()


async def main():
    harness = Harness(os.environ.get("PROGRAM_HARNESS"))
    try:
        for answer in await asyncio.gather(*(ask(harness, f"Say {n}") for n in ("one", "two"))):
            print(answer)
        print(await ask(harness, "Say three"))
    finally:
        await harness.stop()


if __name__ == "__main__":
    asyncio.run(main())
