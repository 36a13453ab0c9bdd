"""A FastAPI application with an agent per request, and one that lives as long as itself."""

import asyncio
import contextlib
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from google.antigravity import Agent
from pydantic import BaseModel

from tests.programs.model import config


class Question(BaseModel):
    """What a user asks."""

    prompt: str


async def agent_of_request():
    async with Agent(config()) as agent:
        yield agent


@contextlib.asynccontextmanager
async def lifespan(app):
    async with Agent(config()) as agent:
        app.state.agent = agent
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/chat")
async def chat(question: Question, agent: Annotated[Agent, Depends(agent_of_request)]):
    response = await agent.chat(question.prompt)
    return {"answer": await response.text()}


@app.get("/stream")
async def stream(prompt: str):
    response = await app.state.agent.chat(prompt)
    return StreamingResponse(response.__aiter__(), media_type="text/plain")


async def main():
    transport = httpx.ASGITransport(app=app)
    async with (
        lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        found = await asyncio.gather(
            *(client.post("/chat", json={"prompt": f"Chat {n}"}) for n in ("one", "two"))
        )
        print(*(response.json()["answer"] for response in found), sep="\n")
        for n in ("three", "four"):
            print((await client.get("/stream", params={"prompt": f"Stream {n}"})).text)


if __name__ == "__main__":
    asyncio.run(main())
