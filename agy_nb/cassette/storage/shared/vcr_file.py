"""Read and write plain files of vcrpy: `tools.yaml`, and the file of `cassette export --vcr`."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.storage.atomic_replace import write_file
from agy_nb.cassette.storage.safe_files import read_bytes
from agy_nb.cassette.storage.safe_json import check_size

Interaction: TypeAlias = dict[str, Any]
"""A request and its response in vcrpy's format; bodies are text or bytes."""

VCR_VERSION = 1
"""Version of vcrpy's format."""


@lru_cache
def yaml_serializer() -> Any:
    """Return vcrpy's module for YAML, without importing vcrpy.

    vcrpy imports every HTTP client that it can patch, which takes 0.2 seconds.
    """
    found = importlib.util.find_spec("vcr")  # found, not imported
    assert found is not None
    assert found.submodule_search_locations is not None
    file = Path(found.submodule_search_locations[0]) / "serializers" / "yamlserializer.py"
    spec = importlib.util.spec_from_file_location("agy_nb_vcr_yaml", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_vcr(file: Path) -> list[Interaction]:
    """Read a file of vcrpy. YAML tags in it never create Python objects.

    Raises:
        CassetteInvalidError: The file is not one of vcrpy, or cannot be read.
    """
    return checked(file, interactions_in(file))


def interactions_in(file: Path) -> list[Any]:
    """Return the items of a file of vcrpy, which are not checked.

    Raises:
        CassetteInvalidError: The file holds no list of interactions, or cannot be read.
    """
    import yaml

    folder = str(file.parent)
    try:
        data = yaml_serializer().deserialize(read_bytes(file).decode())
        check_size(data)
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise CassetteInvalidError(f"{file} cannot be read: {error}", path=folder) from error
    if data is None:
        return []
    found = data.get("interactions") if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise _not_of_vcrpy(file)
    return found


def checked(file: Path, found: list[Any]) -> list[Interaction]:
    """Check that items are interactions.

    Raises:
        CassetteInvalidError: One is not.
    """
    if not all(map(is_interaction, found)):
        raise _not_of_vcrpy(file)
    return found


def _not_of_vcrpy(file: Path) -> CassetteInvalidError:
    return CassetteInvalidError(
        f"{file} is not a file of vcrpy. Restore the cassette, or record it again",
        path=str(file.parent),
    )


def write_vcr(file: Path, interactions: list[Interaction]) -> None:
    """Write a file of vcrpy atomically.

    Raises:
        OSError: The file cannot be written; an older one is unchanged.
    """
    data = {"interactions": [in_utf8(made) for made in interactions], "version": VCR_VERSION}
    write_file(file, yaml_serializer().serialize(data).encode())


def in_utf8(value: Any, name: str = "") -> Any:
    """Replace texts that UTF-8 cannot hold: bodies by bytes, which YAML can hold."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raw = value.encode("utf-8", "surrogatepass")
            return raw if name in ("body", "string") else raw.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {key: in_utf8(item, key) for key, item in value.items()}
    return [in_utf8(item, name) for item in value] if isinstance(value, list) else value


def is_interaction(item: Any) -> bool:
    """Return whether a value is a request with its response in vcrpy's format."""
    if not isinstance(item, dict):
        return False
    request, response = item.get("request"), item.get("response")
    if not (isinstance(request, dict) and isinstance(response, dict)):
        return False
    status, body = response.get("status"), response.get("body")
    return (
        isinstance(request.get("method"), str)
        and isinstance(request.get("uri"), str)
        and isinstance(request.get("body"), str | bytes | None)
        and isinstance(request.get("headers"), dict)
        and isinstance(status, dict)
        and isinstance(status.get("code"), int)
        and isinstance(status.get("message"), str | None)
        and isinstance(response.get("headers"), dict)
        and isinstance(body, dict)
        and isinstance(body.get("string"), str | bytes)
    )
