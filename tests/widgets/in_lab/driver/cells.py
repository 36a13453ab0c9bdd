"""What the notebooks of these tests run."""

START = """
import asyncio
import agy_nb as agy
from agy_nb.testing import ScriptedModel, ScriptUsage, call, hang, say, think
from google.antigravity import types

runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0))

def delete(path: str) -> str:
    "Delete a file."
    return f"deleted {path}"

async def start(script, tools=(delete,), **settings):
    model = ScriptedModel(script)
    await model.start()
    approver = agy.widgets.approve()
    agent = await runtime.create_agent(model.config(**settings), tools=tools, ask_user=approver)
    return model, agent

DELETES = [think("Is it mine?") + call("delete", path="notes"), say("so it *is*")]
HANGS = [say("so far ") + hang()]
ANSWER = '''# Findings

Some **bold** words, `code` and a [link](https://example.org).

| name | count |
|------|------:|
| a    | 1     |

```python
def f(x):
    return x + 1  # one more
```

- one
- two
'''
"""

TURNS = {
    "await": "response = await agent.chat('go')\ndisplay(response)\nawait response.wait()\nNone",
    "sync": "response = agent.sync.chat('go')",
    "last line": "await agent.chat('go')",
    "idle": "await agent.chat('go', wait=False)",
}
"""How a turn is run: the cell awaits it, blocks on it, ends with it, or ends before it."""
