"""The finished runs of a comparison in a folder, so that another call runs only the missing ones.

Rule 1: one line of JSON per finished run, written with one call, so that a crash damages no other.
Rule 2: secrets are redacted, and only the user can read the file.
Rule 3: the file may be damaged or come from elsewhere. A line that cannot be used is reported, and
its run is missing.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from agy_nb.assertions.observation import ObservedCall
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.storage.safe_files import bounded_lines, open_plain
from agy_nb.errors import InvalidInputError
from agy_nb.experiments.plan import PlannedRun, Variant
from agy_nb.experiments.results import RunResult
from agy_nb.experiments.settings_digest import plain_settings

FILE_NAME = "runs.jsonl"
FORMAT = "agy_nb comparison"
VERSION = 1
_MOST_NAMED = 3
_LONGEST_LINE = 16 * 2**20

Key: TypeAlias = tuple[str, str, str, int]
"""What identifies a run: variant, digest of its settings, digest of the prompt, repeat."""

_Count = Annotated[int, Field(ge=0)]
_Amount = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="ignore", allow_inf_nan=False))
class _StoredRun:
    variant: str
    settings: str
    prompt_digest: str
    repeat: Annotated[int, Field(ge=1)]
    prompt: str
    status: Literal["ok", "error", "timeout", "cancelled", "denied"]
    answer: str | None = None
    calls: tuple[ObservedCall, ...] = ()
    tokens: _Count | None = None
    cost_usd: _Amount | None = None
    cost_is_lower_bound: bool = False
    duration: _Amount | None = None
    ttft: _Amount | None = None
    error: str = ""

    @property
    def key(self) -> Key:
        return self.variant, self.settings, self.prompt_digest, self.repeat


_STORED = TypeAdapter(_StoredRun)
_RESULTS = tuple(
    each.name
    for each in dataclasses.fields(_StoredRun)
    if each.name in {known.name for known in dataclasses.fields(RunResult)}
)


def key_of(run: PlannedRun, variant: Variant) -> Key:
    """Return what identifies a run in a folder.

    Args:
        run: The run.
        variant: Its variant.
    """
    return variant.name, variant.digest, run.prompt.digest, run.repeat


class RunLog:
    """The finished runs in a folder. Reading and writing block.

    Args:
        folder: The folder; it is created with the first run.

    Attributes:
        path: The file.
        problems: What could not be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder: Path = Path(folder)
        self.path: Path = self.folder / FILE_NAME
        self.problems: list[str] = []
        self._redactor = Redactor(places={})  # folders stay: only the user reads the file
        self._lock = threading.Lock()

    def read(self, runs: Iterable[PlannedRun], variants: Mapping[str, Variant]) -> dict[Key, Any]:
        """Return the results of an earlier call that ended normally, by their keys.

        Args:
            runs: The planned runs.
            variants: Their variants by name.

        Raises:
            InvalidInputError: The folder cannot be used, or has another comparison.
        """
        for variant in variants.values():  # the redactor learns the keys in the configurations
            settings = plain_settings((variant.config, variant.options))
            self._redactor.frame({"settings": settings})
        self._create()
        stored = self._stored()
        runs = list(runs)
        prompts = {run.prompt.digest for run in runs}
        mine = [run for run in stored if run.variant in variants or run.prompt_digest in prompts]
        if stored and not mine:
            names = ", ".join(sorted({repr(run.variant) for run in stored})[:_MOST_NAMED])
            msg = (
                f"{self.folder} has the runs of another comparison, with the variants {names} and "
                "other prompts; choose another folder"
            )
            raise InvalidInputError(msg, field="folder")
        return {run.key: run for run in mine if run.status == "ok"}

    def _create(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.path.exists():
                if any(self.folder.iterdir()):
                    msg = (
                        f"{self.folder} has other files and no {FILE_NAME}; choose a new folder "
                        "for the comparison"
                    )
                    raise InvalidInputError(msg, field="folder")
                self._write({"format": FORMAT, "version": VERSION})
        except OSError as error:
            msg = f"cannot use the folder {str(self.folder)!r}: {error}; choose another one"
            raise InvalidInputError(msg, field="folder") from error

    def _stored(self) -> list[_StoredRun]:
        found: list[_StoredRun] = []
        damaged: list[int] = []
        known = False
        try:
            with open_plain(self.path) as file:
                for number, line in enumerate(bounded_lines(file, _LONGEST_LINE), 1):
                    if _is_header(line, self.path):
                        known = True
                        continue
                    if not line.strip():
                        continue
                    try:
                        found.append(_STORED.validate_json(line))
                    except ValidationError:
                        damaged.append(number)
        except (OSError, ValueError) as error:
            msg = f"cannot read {self.path}: {error}; move the file away, or choose another folder"
            raise InvalidInputError(msg, field="folder") from error
        if not known and not found:
            msg = f"{self.path} is not a file of comparisons; choose another folder"
            raise InvalidInputError(msg, field="folder")
        if damaged:
            lines = ", ".join(map(str, damaged[:_MOST_NAMED]))
            more = f" and {len(damaged) - _MOST_NAMED} more" if len(damaged) > _MOST_NAMED else ""
            self.problems.append(
                f"{self.path}: cannot read line {lines}{more}; these runs run again"
            )
        return found

    def append(self, key: Key, result: RunResult) -> None:
        """Write a finished run. An error of the disk is added to `problems`, and the runs continue.

        Args:
            key: What identifies the run.
            result: Its result.
        """
        values = {name: getattr(result, name) for name in _RESULTS}
        variant, settings, prompt, repeat = key
        values |= {"variant": variant, "settings": settings, "prompt_digest": prompt}
        data = _STORED.dump_python(_StoredRun(**values | {"repeat": repeat}), mode="json")
        try:
            self._write(self._redactor.frame(data))
        except OSError as error:
            self.problems.append(f"cannot write a run of {variant!r} to {self.path}: {error}")

    def _write(self, data: Mapping[str, Any]) -> None:
        line = json.dumps(data).encode() + b"\n"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)  # POSIX, Windows
        with self._lock:
            fd = os.open(self.path, flags, 0o600)
            try:
                if os.fstat(fd).st_size:
                    os.lseek(fd, -1, os.SEEK_END)  # Windows has no `pread`
                    if os.read(fd, 1) != b"\n":  # cut by a crash or a full disk
                        line = b"\n" + line
                if os.write(fd, line) < len(line):
                    raise OSError("the disk is full")
                os.fsync(fd)
            finally:
                os.close(fd)


def result_of(run: PlannedRun, stored: Any) -> RunResult:
    """Return the result of a run that an earlier call finished.

    Args:
        run: The run.
        stored: Its line, from `RunLog.read`.
    """
    values = {name: getattr(stored, name) for name in _RESULTS}
    values |= {"variant": run.variant, "repeat": run.repeat, "prompt": run.prompt.text}
    return RunResult(**values, prompt_index=run.prompt_index, from_folder=True)


def _is_header(line: bytes, path: Path) -> bool:
    if not line.startswith(b'{"format"'):
        return False
    try:
        data = json.loads(line)
    except ValueError:
        return False
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return False
    if data.get("version") != VERSION:
        msg = (
            f"{path} has version {str(data.get('version'))[:20]!r} of the format, and this "
            f"agy_nb reads version {VERSION}; update agy_nb, or choose another folder"
        )
        raise InvalidInputError(msg, field="folder")
    return True
