"""What a scripted model tells of itself and of what it was offered, by its public names."""

from agy_nb.testing import DeclaredTool, ModelStatistics, ScriptedModel, say


async def test_statistics_count_calls_turns_and_errors(client):
    async with ScriptedModel([say("one"), say("two")]) as model:
        assert model.statistics() == ModelStatistics(calls=0, active=0, unused=2, errors=0)
        await client.events(client.gemini(model))
        assert model.statistics() == ModelStatistics(calls=1, active=0, unused=1, errors=0)


async def test_offered_tool_has_its_schema(client):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    declared = {"name": "weather", "description": "Tell the weather.", "parameters": schema}
    async with ScriptedModel(say("Hello")) as model:
        await client.events(client.gemini(model, tools=[{"functionDeclarations": [declared]}]))
    assert model.requests[0].tools == (
        DeclaredTool(name="weather", description="Tell the weather.", parameters=schema),
    )
