"""The settings that the programs share: which model they use, and where they work."""

import os
from pathlib import Path

from google.antigravity import LocalAgentConfig, types
from google.antigravity.hooks import policy


def folder(name=""):
    """A folder of the program."""
    path = Path(os.environ["PROGRAM_FOLDER"], name)
    path.mkdir(parents=True, exist_ok=True)
    return path


def settings(**changes):
    """The arguments of a configuration."""
    endpoint = types.GeminiAPIEndpoint(
        base_url=os.environ["PROGRAM_MODEL"], api_key=os.environ.get("PROGRAM_KEY")
    )
    kinds = [types.ModelType.TEXT, types.ModelType.IMAGE]
    return {
        "models": [
            types.ModelTarget(name="gemini-2.5-flash", types=[kind], endpoint=endpoint)
            for kind in kinds
        ],
        "workspaces": [str(folder("work"))],
        "save_dir": str(folder("save")),
        "app_data_dir": str(folder("app")),
        "policies": [policy.allow_all()],
    } | changes


def config(**changes):
    """A configuration of the SDK."""
    return LocalAgentConfig(**settings(**changes))
