"""What the tests of the scripted model share."""

from __future__ import annotations

import json

import aiohttp
import pytest


class Client:
    """Speaks to a scripted model as the harness does."""

    def __init__(self, session):
        self._session = session

    def gemini(self, model, prompt="hi", *, method="streamGenerateContent", name="m", **more):
        body = {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **more}
        url = f"{model.base_url}/v1beta/models/{name}:{method}?alt=sse"
        return self._session.post(url, json=body, headers={"X-Goog-Api-Key": "any"})

    def openai(self, model, prompt="hi", *, stream=True, **more):
        body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": prompt}]}
        return self._session.post(f"{model.openai_base_url}/chat/completions", json=body | more)

    def get(self, url):
        return self._session.get(url)

    def post(self, url, data):
        return self._session.post(url, data=data)

    async def events(self, call):
        """The parsed events of a streamed answer; `[DONE]` stays text."""
        async with call as response:
            assert response.status == 200, await response.text()
            text = (await response.read()).decode()
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.fixture
async def client():
    async with aiohttp.ClientSession() as session:
        yield Client(session)
