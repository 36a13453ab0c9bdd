"""A web application with an agent per request, and one that lives as long as the application."""

import asyncio
import contextlib

import httpx
from google.antigravity import Agent
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from tests.programs.model import config


@contextlib.asynccontextmanager
async def lifespan(app):
    async with Agent(config()) as agent:
        app.state.agent = agent
        yield


async def chat(request):
    async with Agent(config()) as agent:
        response = await agent.chat((await request.json())["prompt"])
        return JSONResponse({"answer": await response.text()})


async def stream(request):
    response = await request.app.state.agent.chat(request.query_params["prompt"])
    return StreamingResponse(response.__aiter__(), media_type="text/plain")


app = Starlette(
    routes=[Route("/chat", chat, methods=["POST"]), Route("/stream", stream)], lifespan=lifespan
)


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
